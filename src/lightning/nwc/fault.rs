use crate::{
    boxed::BoxError,
    lightning::{NodeError, NodeErrorKind},
};

/// The wallet's name in errors.
pub(super) const NAME: &str = "Nostr Wallet Connect";

/// The reason why a request has no result.
#[derive(Debug)]
pub(super) enum Fault {
    /// The request was not sent.
    Unsent(BoxError),
    /// The wallet may have seen the request, and there is no answer.
    Lost(BoxError),
    /// The wallet answered with an error.
    Refused { code: String, message: String },
    /// The answer cannot be used.
    Unreadable(BoxError),
}

impl From<Fault> for NodeError {
    fn from(fault: Fault) -> Self {
        let (kind, source) = match fault {
            Fault::Unsent(source) | Fault::Lost(source) => (NodeErrorKind::Unreachable, source),
            Fault::Refused { code, message } => {
                (NodeErrorKind::Refused, format!("{message} ({code})").into())
            }
            Fault::Unreadable(source) => (NodeErrorKind::BadAnswer, source),
        };
        Self::new(kind, NAME, source)
    }
}

pub(super) fn bad(why: &'static str) -> NodeError {
    NodeError::new(NodeErrorKind::BadAnswer, NAME, why)
}

pub(super) fn refused(why: &'static str) -> NodeError {
    NodeError::new(NodeErrorKind::Refused, NAME, why)
}
