//! Turning requests into 402s or served requests.

mod address;
mod limit;
mod routes;
mod target;

pub use self::address::ClientAddr;
