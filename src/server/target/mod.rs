//! Whose URL a request is for: the configured origin and the raw target, never a requester's word.

mod origin;
mod origins;
mod uri;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    origin::{Origin, OriginError},
    origins::Origins,
    uri::{asked_for, is_rewritten, matched_path, original_uri, route},
};
