//! The URL of a request: a configured origin and the raw target. What a client sends as its host
//! never becomes part of it.

mod client_url;
mod origins;
mod parse;
mod uri;

#[cfg(test)]
mod tests;

pub use self::client_url::ClientUrl;
pub(crate) use self::{
    client_url::client_target,
    origins::Origins,
    parse::{Origin, OriginError},
    uri::{is_rewritten, matched_path, original_uri, prefix, raw_target},
};
