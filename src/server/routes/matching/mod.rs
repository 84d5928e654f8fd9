//! Matches requests with the rules of a table.
//!
//! 1. Rules are written like the routes of the router that the layer wraps, and looked up with
//!    the library that axum matches with, in the path that the inner service will see: one matcher
//!    for each method.
//! 2. Each path is looked up as it is and in [normal form](normal). If the two select different
//!    rules, the request is refused, unless these and all [readings] in between cost the same.
//! 3. If any rule prices a path, methods without a rule are refused there.

mod captured;
mod error;
mod methods;
mod normal;
mod path_rule;
mod readings;
mod rules;
mod tree;

#[cfg(test)]
mod against_axum;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    captured::{Captured, captures, is_pattern},
    normal::is_broken,
    rules::{Lookup, Otherwise, Rules},
};
