//! HTTP/1 over TLS for the nodes that have a REST interface. It bounds every answer and every call,
//! and never sends a payment twice.

mod certificate;
mod client;
mod error;
mod lines;
mod origin;
mod parts;
mod resolver;

pub(crate) use self::{
    certificate::Pinned,
    client::{Ask, GRACE, LIMIT, Reply, Rest, parse, show},
    error::{CallError, Explained, RestError},
    lines::Lines,
    origin::{Origin, Transport},
};
