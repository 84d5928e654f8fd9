//! Whose URL a request is for: the configured origin and the raw target, never a requester's word.

mod origins;
mod parse;
mod uri;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    origins::Origins,
    parse::{Origin, OriginError},
    uri::{is_rewritten, matched_path, original_uri, raw_target, route},
};
