//! What a server remembers between requests, always bounded: turns, paces, spent payments, memory
//! for bodies, and which warnings were logged.

pub(super) mod body_memory;
pub(super) mod confirmations;
pub(super) mod notices;
mod overlooked;
pub(super) mod pace;
pub(super) mod readiness;
pub(super) mod spent;
pub(super) mod store_health;
pub(super) mod turns;
