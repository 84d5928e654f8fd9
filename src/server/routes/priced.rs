use std::sync::Arc;

use super::{matching::Rules, rule::Rule};
use crate::server::config::Paywall;

/// A paywall and the rules of one layer.
#[derive(Debug)]
pub(in crate::server) struct PricedRoutes {
    pub(in crate::server) paywall: Paywall,
    pub(in crate::server) pricing: Pricing,
}

#[derive(Debug)]
pub(in crate::server) enum Pricing {
    /// One rule for every request of a layer without a table.
    Every(Arc<Rule>),
    Table(Rules<Arc<Rule>>),
}
