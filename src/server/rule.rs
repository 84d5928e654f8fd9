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
    pub(super) fn new(
        charge: Charge,
        terms: Terms,
        allowance: Option<Allowance>,
        pattern: Option<&str>,
    ) -> Self {
        Self {
            charge,
            terms,
            allowance,
            pattern: pattern.map(Box::from),
        }
    }

    /// The nest's prefix and the rule's pattern, in a table within a nest.
    pub(super) fn nested(&self, head: &Parts) -> Option<String> {
        self.pattern
            .as_deref()
            .and_then(|pattern| target::route(head, pattern))
    }

    /// What several uses or a duration are bound to: the nest's prefix and the rule's
    /// pattern; axum's matched path where there is no table; the path where there is neither.
    pub(super) fn route<'a>(&'a self, head: &'a Parts, nested: Option<&'a str>) -> &'a str {
        nested
            .or(self.pattern.as_deref())
            .or_else(|| target::matched_path(&head.extensions))
            .unwrap_or_else(|| target::original_uri(&head.extensions, &head.uri).path())
    }
}
