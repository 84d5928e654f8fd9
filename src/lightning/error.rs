use std::{error::Error, fmt};

use crate::boxed::BoxError;

/// The error of a Lightning node.
pub struct NodeError {
    kind: NodeErrorKind,
    node: &'static str,
    /// Its host and port.
    at: Option<String>,
    has_answered: bool,
    may_have_paid: bool,
    source: BoxError,
}

/// The kinds of [`NodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeErrorKind {
    /// The node's answer cannot be parsed or cannot be true, for example a preimage of another
    /// payment.
    BadAnswer,
    /// The node refused the call.
    Refused,
    /// The node did not answer in time, cannot be reached, or cannot work now, for example because its
    /// wallet is locked.
    Unreachable,
}

impl NodeError {
    /// Creates an error of the node that is called `node`. It says that no money has left: see
    /// [`maybe_paid`](Self::maybe_paid).
    pub fn new(kind: NodeErrorKind, node: &'static str, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            node,
            at: None,
            has_answered: false,
            may_have_paid: false,
            source: source.into(),
        }
    }

    /// Adds the host and the port of the node.
    #[cfg(any(feature = "lnbits", feature = "lnd", feature = "phoenixd"))]
    pub(crate) fn at(mut self, at: &impl fmt::Display) -> Self {
        self.at = Some(at.to_string());
        self
    }

    /// Marks the error: the node answered, so it can be reached.
    #[cfg(any(feature = "lnbits", feature = "lnd", feature = "phoenixd"))]
    pub(crate) const fn answered(mut self) -> Self {
        self.has_answered = true;
        self
    }

    /// Marks the error: money may have left the wallet despite it.
    #[must_use]
    pub fn maybe_paid(mut self) -> Self {
        self.may_have_paid = true;
        self
    }

    /// Returns the kind of failure.
    #[must_use]
    pub const fn kind(&self) -> NodeErrorKind {
        self.kind
    }

    /// Returns whether money may have left. If so, call
    /// [`lookup_payment`](super::Payer::lookup_payment) before you pay anything again.
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
            NodeErrorKind::Unreachable if self.has_answered => "cannot work now",
            NodeErrorKind::Unreachable => "cannot be reached",
        };
        f.write_str(self.node)?;
        if let Some(at) = &self.at {
            write!(f, " at {at}")?;
        }
        write!(f, " {what}: {}", self.source)
    }
}

impl fmt::Debug for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeError({:?}: {:?})", self.kind, self.to_string())
    }
}

impl Error for NodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
