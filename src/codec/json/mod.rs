//! JSON as it was sent: a tree that borrows from its text. A member that stands twice is refused,
//! because two readers of such a text may see two different documents.

mod reader;
mod value;

#[cfg(test)]
mod tests;

pub use self::{
    reader::{JsonError, parse},
    value::{Json, Object, push_text},
};
