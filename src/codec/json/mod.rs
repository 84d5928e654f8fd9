//! A JSON tree that borrows from its text. A document that repeats a member is refused, because two
//! parsers could read it as two different documents.

mod reader;
mod value;

#[cfg(test)]
mod tests;

pub use self::{
    reader::{JsonError, parse},
    value::{Json, Object, push_text},
};
