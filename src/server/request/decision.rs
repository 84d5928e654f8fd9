//! What to do next with a request. Each step of the gate ends in one of these.

use bytes::Bytes;
use http::Response;

use super::{admission::Admitted, pending::Pending};
use crate::{
    body::Share, clock::Timestamp, dialect::Claim, lightning::BoxFuture, payment::Proof,
    replay::UseLimits, server::state::turns::InLine,
};

/// What to do next with a request. It is small, because the future of every request holds one.
pub(in crate::server) enum Decision<B> {
    Answer(Box<Response<Bytes>>),
    /// An answer of the inner service that was kept, and its memory: it is sent as it was.
    Again(Box<(Response<Bytes>, Share)>),
    /// Free, or paid by a credential whose uses are not counted: call the inner service once it is
    /// ready.
    Pass(Box<Admitted<B>>),
    /// Verified: make the inner service ready, then consume a use.
    Verified(Box<Pending<B>>, usize, Box<Candidate>),
    /// Consumed: call the inner service, which is ready, at once.
    Serve(Box<Admitted<B>>),
    /// The store says spent: release the inner service while the node is asked for an invoice.
    Spent(Box<Pending<B>>, (usize, Option<Box<dyn Claim>>)),
    Wait(BoxFuture<'static, Self>),
}

/// A proof, and the credential to try next if the payment is spent.
pub(in crate::server) struct Candidate {
    pub(in crate::server) proof: Proof,
    /// The limits for the store, and until when it must remember the payment.
    pub(in crate::server) ask: (UseLimits, Timestamp),
    pub(in crate::server) next: Option<Box<dyn Claim>>,
    /// The turn to make the inner service ready and ask the store.
    pub(in crate::server) turn: InLine,
}

pub(in crate::server) fn answer<B>(response: Response<Bytes>) -> Decision<B> {
    Decision::Answer(Box::new(response))
}

pub(in crate::server) fn wait<B>(
    decision: impl Future<Output = Decision<B>> + Send + 'static,
) -> Decision<B> {
    Decision::Wait(Box::pin(decision))
}
