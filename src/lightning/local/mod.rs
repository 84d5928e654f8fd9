mod book;
mod gate;
mod lie;
mod node;

pub use self::{book::Payments, lie::Lie, node::LocalNode};
