use super::{ConsumptionKey, UseId};

/// A store that knows which uses are being served right now, so that every process that shares it
/// can tell a client to wait instead of asking it to pay again. See
/// [`ReplayStore::serving`](super::ReplayStore::serving).
///
/// # Contract
///
/// - A use that was granted to a request with
///   [`serving_until`](super::UseRequest::serving_until) is being served from the grant on. That
///   ends with [`served`](Self::served), with [`release`](super::ReplayStore::release) (also if the
///   use stays spent, because it failed too often), and at the latest when the deadline has passed: a
///   process that died holds nothing for ever.
/// - If no use is left, and at least one is being served, the answer to a request with
///   `serving_until` is [`Consumption::InUse`](super::Consumption::InUse). Every other request gets
///   [`Consumption::Spent`](super::Consumption::Spent), as from a store that does not know.
/// - This changes words and nothing else. No use is granted because of it, and what is being served
///   need not survive a restart.
pub trait Serving {
    /// Notes that a use is no longer being served: the inner service has answered, or the client
    /// hung up. The use stays taken.
    ///
    /// Returns at once, never blocks, and may be called from `Drop`. It is idempotent, and does
    /// nothing to a use that is not known. A store on a server may carry it out later, and may lose
    /// it: then the deadline ends it.
    fn served(&self, key: ConsumptionKey, use_id: UseId);
}
