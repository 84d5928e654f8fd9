//! Which rule prices a request.
//!
//! 1. Rules are written like the routes of the router that the layer wraps, and looked up with
//!    the library that axum matches with, in the path that the inner service will see: one matcher
//!    for each method.
//! 2. Each path is looked up as it is and in [normal form](normal). Where a price hangs on which
//!    of the two is right, the request is not served.
//! 3. A path that any rule prices is closed to every method that no rule names.

mod captured;
mod error;
mod normal;
mod rules;
mod tree;

#[cfg(test)]
mod against_axum;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    captured::{Captured, captures},
    normal::is_broken,
    rules::{Lookup, Otherwise, Rules},
};
