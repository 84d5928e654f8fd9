mod gate;
mod lie;
mod node;
mod state;

pub use self::{lie::Lie, node::LocalNode, state::Payments};
