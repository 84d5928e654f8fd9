use std::{error::Error, fmt};

use crate::boxed::BoxError;

/// A node could not do what it was asked.
#[derive(Debug)]
pub struct NodeError {
    kind: NodeErrorKind,
    node: &'static str,
    may_have_paid: bool,
    source: BoxError,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeErrorKind {
    /// The node answered something that cannot be true, or cannot be read.
    BadAnswer,
    /// The node refused what it was asked.
    Refused,
    /// The node did not answer in time, or cannot be reached.
    Unreachable,
}

impl NodeError {
    /// An error of the node that is called `node`; no money can have left.
    pub fn new(kind: NodeErrorKind, node: &'static str, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            node,
            may_have_paid: false,
            source: source.into(),
        }
    }

    /// The same error, of a payment whose money may have left.
    #[must_use]
    pub fn maybe_paid(mut self) -> Self {
        self.may_have_paid = true;
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub const fn kind(&self) -> NodeErrorKind {
        self.kind
    }

    /// Whether money may have left: then ask [`lookup_payment`](super::Payer::lookup_payment), and
    /// do not pay again.
    #[must_use]
    pub const fn may_have_paid(&self) -> bool {
        self.may_have_paid
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            NodeErrorKind::BadAnswer => "gave an answer that cannot be used",
            NodeErrorKind::Refused => "refused",
            NodeErrorKind::Unreachable => "cannot be reached",
        };
        write!(f, "{} {what}: {}", self.node, self.source)
    }
}

impl Error for NodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
