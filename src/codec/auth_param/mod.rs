//! HTTP authentication challenges (RFC 9110, section 11): schemes, auth-params, quoted strings.
//!
//! 1. A line is a list of challenges; each is a scheme alone, with one token68, or with
//!    auth-params. Empty list elements are skipped. Every line of a field is read for itself.
//! 2. Strict: what the grammar does not know makes the whole line unreadable, so that no
//!    parameter is ever taken for another challenge's. Values are UTF-8.
//! 3. A challenge that repeats a parameter is unreadable, and it alone.
//! 4. Bounded: 64 KiB, 32 challenges, 32 parameters each.

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
