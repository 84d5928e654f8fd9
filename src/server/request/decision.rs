//! What is to be done with a request: each step of the gate ends in one.

use bytes::Bytes;
use http::Response;

use super::{admission::Admitted, pending::Pending};
use crate::{
    clock::Timestamp, dialect::Claim, lightning::BoxFuture, payment::Proof, replay::UseLimits,
    server::state::turns::InLine,
};

/// What is to be done with a request. Small, because the future of every request has room for it.
pub(in crate::server) enum Decision<B> {
    Answer(Box<Response<Bytes>>),
    /// Free, or paid for and only time ends the access: to the inner service, once it is ready.
    Pass(Box<Admitted<B>>),
    /// Verified: make the inner service ready, then consume.
    Verified(Box<Pending<B>>, usize, Box<Candidate>),
    /// Consumed: to the inner service, which is ready, at once.
    Serve(Box<Admitted<B>>),
    /// Spent after all: hold nothing of the inner service while the node is asked.
    Spent(Box<Pending<B>>, (usize, Option<Box<dyn Claim>>)),
    Wait(BoxFuture<'static, Self>),
}

/// A proof, and the credential to try where it is spent.
pub(in crate::server) struct Candidate {
    pub(in crate::server) proof: Proof,
    /// What the store is asked.
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
