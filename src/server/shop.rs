use std::sync::Arc;

use super::{Paywall, routes::Rules, rule::Rule};

/// A paywall and the rules that it prices with.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) paywall: Paywall,
    pub(super) pricing: Pricing,
}

#[derive(Debug)]
pub(super) enum Pricing {
    /// One rule for every request that comes: `charge(..)` on a route.
    Every(Arc<Rule>),
    Table(Rules<Arc<Rule>>),
}
