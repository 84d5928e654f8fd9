use crate::{
    boxed::BoxError,
    lightning::{NodeError, NodeErrorKind},
};

/// The node's name in errors.
pub(super) const NAME: &str = "Core Lightning";

pub(super) fn bad(why: &'static str) -> NodeError {
    NodeError::new(NodeErrorKind::BadAnswer, NAME, why)
}

pub(super) fn refused(why: impl Into<BoxError>) -> NodeError {
    NodeError::new(NodeErrorKind::Refused, NAME, why)
}
