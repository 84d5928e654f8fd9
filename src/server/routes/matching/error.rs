use std::{error::Error, fmt};

/// A mistake in a route table. The text names the rule, what was expected and, if there is one, the
/// fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleError(String);

impl RuleError {
    pub(super) fn of(rule: &str, expected: &str) -> Self {
        Self(format!("rule `{rule}`: {expected}"))
    }

    pub(super) fn empty() -> Self {
        Self(
            "the table has no rule: add one with `.charge(\"GET /weather/{city}\", ..)`".to_owned(),
        )
    }

    pub(super) fn no_default() -> Self {
        Self(
            "the table does not say how to answer other paths: end it with `.otherwise_free()` or `.otherwise_refuse()`"
                .to_owned(),
        )
    }

    pub(super) fn together(rule: &str, earlier: &str) -> Self {
        let fix = if rule == earlier {
            "keep one"
        } else {
            "they price the same paths in some spelling: keep one"
        };
        Self(format!("rules `{earlier}` and `{rule}`: {fix}"))
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for RuleError {}
