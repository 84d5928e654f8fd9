//! Turning requests into 402s or served requests.

mod address;
mod allowance;
mod limit;
mod normal;
mod routes;
mod target;

pub use self::address::ClientAddr;
