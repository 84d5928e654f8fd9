use http::request::Parts;

use super::{Charge, limit::Allowance, target};
use crate::payment::Terms;

/// A charge, checked, and what follows from it.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) charge: Charge,
    pub(super) terms: Terms,
    pub(super) allowance: Option<Allowance>,
    /// The path of the rule in a table; `None` for a layer that charges for whatever comes.
    pattern: Option<Box<str>>,
}

impl Rule {
    pub(super) fn new(charge: Charge, terms: Terms, allowance: Option<Allowance>, pattern: Option<&str>) -> Self {
        Self { charge, terms, allowance, pattern: pattern.map(Box::from) }
    }

    /// What several uses or a duration are bound to (decision 4): the nest's prefix and the rule's pattern; axum's matched path
    /// where there is no table; the path where there is neither. `None` where that is the pattern as it stands.
    pub(super) fn route(&self, head: &Parts) -> Option<String> {
        match &self.pattern {
            Some(pattern) => target::route(head, pattern),
            None => {
                let path = || target::original_uri(&head.extensions, &head.uri).path();
                Some(target::matched_path(&head.extensions).unwrap_or_else(path).to_owned())
            }
        }
    }

    /// The path of the rule; empty for a layer that charges for whatever comes.
    pub(super) fn pattern(&self) -> &str {
        self.pattern.as_deref().unwrap_or_default()
    }
}
