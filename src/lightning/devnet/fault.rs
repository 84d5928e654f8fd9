use crate::lightning::{NodeError, NodeErrorKind};

/// The devnet's name in errors.
pub(super) const NAME: &str = "the devnet";

/// The error of a devnet whose parts cannot reach each other.
pub(super) fn unreachable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NodeError {
    NodeError::new(NodeErrorKind::Unreachable, NAME, why)
}
