//! The faults that only the owner of a node can cause.

use std::sync::Arc;

use crate::lightning::{BoxFuture, Payer, Receiver};

/// A node that a test can break, for the suites of [`faults`](super::faults()) and
/// [`lies`](super::lies()). The [module](super) has an example.
///
/// The receiver and the payer may be two nodes. `begin` then causes the fault in both.
///
/// With a real node, `begin` and `end` stop and start a process. With a server of your own that
/// speaks the node's protocol, they set what it answers.
pub trait Faults: Send + Sync {
    /// Returns a new adapter that receives with the node. It shares no memory with earlier ones, as
    /// after a restart of your process.
    fn receiver(&self) -> BoxFuture<'_, Arc<dyn Receiver>>;

    /// Returns a new adapter that pays with the node. It shares no memory with earlier ones, as
    /// after a restart of your process.
    fn payer(&self) -> BoxFuture<'_, Arc<dyn Payer>>;

    /// Begins a fault. It may begin while another one lasts, and both then last. Panics if the test
    /// cannot cause this fault.
    fn begin(&self, fault: Fault) -> BoxFuture<'_, ()>;

    /// Ends all faults. It returns when the node works again, with everything that it knew before.
    /// After [`Fault::PendingPayments`], it lets the payments in flight succeed or fail.
    fn end(&self) -> BoxFuture<'_, ()>;
}

fn _is_dyn_compatible(_: &dyn Faults) {}

/// A fault of a node, which lasts until [`Faults::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The node was killed. It accepts no connection. A call that it had not carried out by then is
    /// never carried out. Payments that had begun are still known after the fault.
    Down,
    /// The node carries out payments, but the connection breaks before it answers.
    LostAnswers,
    /// New payments stay in flight. [`Faults::end`] makes them succeed or fail.
    PendingPayments,
    /// The node accepts connections and answers no call, like a stopped process. It may carry out
    /// the calls after the fault.
    Silence,

    /// A lie: the text of the invoice stands in place of each preimage.
    InvoiceAsPreimage,
    /// A lie: paid payments have no preimage.
    NoPreimage,
    /// A lie: each new invoice has another amount than requested.
    OtherAmount,
    /// A lie: beside each invoice and payment stands the payment hash of another one. If the node's
    /// protocol has no such field, `begin` does nothing. An adapter that takes the hash from the
    /// invoice itself may ignore this field.
    OtherHash,
    /// A lie: paid payments have the preimage of another payment.
    WrongPreimage,
}
