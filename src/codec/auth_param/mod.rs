//! HTTP authentication challenges: schemes, auth-params and quoted strings
//! ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110.html#section-11), "HTTP Authentication").
//!
//! 1. A header line is a list of challenges. Each is a scheme alone, a scheme with one token68, or
//!    a scheme with auth-params. Empty list elements are skipped. Each line of a header is parsed
//!    by itself.
//! 2. Parsing is strict: a line that does not follow the grammar is refused as a whole, so that no
//!    parameter is ever attributed to another challenge. Values are UTF-8.
//! 3. If a challenge repeats a parameter, none of its parameters are returned. Other challenges of
//!    the line stay readable.
//! 4. Limits: 64 KiB a line, 32 challenges, 32 parameters each.

mod challenge;
mod credentials;
mod cursor;

#[cfg(test)]
mod tests;

pub use self::{
    challenge::{AuthChallenge, write},
    credentials::{
        after_scheme, folded_credentials, may_be_folded, remove_credentials, sole_credential,
        take_credentials,
    },
};
