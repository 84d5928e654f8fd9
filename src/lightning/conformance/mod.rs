//! Test suites that check the contracts of [`Receiver`] and [`Payer`] against your own node.
//!
//! Each check panics with a sentence that says what was expected. Run them in a test, against a
//! real node or a wallet with some test money, on a tokio runtime with time enabled.
//!
//! | suite | what it checks | what it needs |
//! |---|---|---|
//! | [`receiver`] | invoices and their status, also of expired and unknown ones | a node |
//! | [`payer`] | payments and their status, each paid once; expired invoices and those of another network are not paid | a node, and one that pays |
//! | [`identities`] | one wallet has one id, and another wallet another | two wallets |
//! | [`fee_limit`] | a fee above the limit is not paid | a payee that costs a fee |
//! | [`faults()`] | a node that is down, silent or killed in mid-payment, a restart of your process, a lost answer | [`Faults`] |
//! | [`lies()`] | false invoices, payment hashes and preimages | [`Faults`], with a server of your own that speaks the node's protocol |
//!
//! [`receiver`] and [`payer`] take some seconds, because they wait until an invoice expires. They
//! make about 70 invoices. The payer makes twelve payments of less than 300 satoshis in total, plus
//! their fees.
//!
//! ```
//! use std::sync::Arc;
//! use tower_x402::lightning::{
//!     BoxFuture, LocalNode, Payer, Payments, Receiver,
//!     conformance::{self, Fault, Faults},
//! };
//!
//! /// The faults that a test can cause. With a real node, these stop and start its process.
//! struct Breakable(LocalNode);
//!
//! impl Faults for Breakable {
//!     fn receiver(&self) -> BoxFuture<'_, Arc<dyn Receiver>> {
//!         Box::pin(async { Arc::new(self.0.clone()) as _ })
//!     }
//!
//!     fn payer(&self) -> BoxFuture<'_, Arc<dyn Payer>> {
//!         Box::pin(async { Arc::new(self.0.clone()) as _ })
//!     }
//!
//!     fn begin(&self, fault: Fault) -> BoxFuture<'_, ()> {
//!         Box::pin(async move {
//!             match fault {
//!                 Fault::Down => self.0.reachable(false),
//!                 Fault::LostAnswers => self.0.payments(Payments::LoseAnswer),
//!                 Fault::Silence => self.0.pause(),
//!                 _ => panic!("this test cannot cause {fault:?}"),
//!             }
//!         })
//!     }
//!
//!     fn end(&self) -> BoxFuture<'_, ()> {
//!         Box::pin(async {
//!             self.0.reachable(true);
//!             self.0.resume();
//!             self.0.payments(Payments::Succeed);
//!         })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let node = LocalNode::new();
//! conformance::receiver(&node).await;
//! conformance::payer(&node, &node).await;
//!
//! let node = Breakable(node);
//! conformance::node_down(&node).await;
//! conformance::answers_lost(&node).await;
//! # }
//! ```
//!
//! They cannot check everything. Make sure yourself that
//!
//! - a payment hash is new after a restart of the node too,
//! - no money leaves twice for one invoice: compare the balance of the wallet,
//! - nothing logs a preimage.

mod asking;
mod expired;
mod faults;
mod fees;
mod interrupted;
mod invoices;
mod lies;
mod named;
mod outages;
mod payments;

pub use self::faults::{Fault, Faults};
use self::named::named;
use super::{Payer, Receiver};

/// Checks that a [`Receiver`] keeps its contract. One of the invoices expires after a second.
///
/// # Panics
///
/// If it does not.
pub async fn receiver<R: Receiver + ?Sized>(node: &R) {
    let soon = expired::soon(node).await;
    invoices::invoices_have_what_was_requested(node).await;
    invoices::an_empty_or_long_text_is_exact_or_refused(node).await;
    invoices::fractions_of_a_satoshi_are_exact_or_refused(node).await;
    invoices::no_invoice_is_handed_out_twice(node).await;
    invoices::lookups_distinguish_open_from_unknown(node).await;
    expired::an_expired_invoice_is_reported(node, &soon).await;
}

/// Checks that a [`Payer`] keeps its contract. It pays invoices of `receiver`, which must be
/// another node, or a node that can pay itself. It does not pay invoices that have expired, or are
/// for another network.
///
/// # Panics
///
/// If it does not.
pub async fn payer<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    assert_eq!(
        payer.profile().network,
        receiver.profile().network,
        "payer and receiver must be on one network"
    );
    let soon = expired::soon(receiver).await;
    payments::a_payment_is_proved_and_seen(receiver, payer).await;
    payments::an_invoice_of_another_network_is_not_paid(payer).await;
    payments::fractions_of_a_satoshi_are_paid(receiver, payer).await;
    payments::paying_again_pays_once(receiver, payer).await;
    payments::paying_at_the_same_time_pays_once(receiver, payer).await;
    payments::many_payments_at_the_same_time_are_kept_apart(receiver, payer).await;
    expired::an_expired_invoice_is_not_paid(receiver, payer, &soon).await;
}

/// Checks that [`PayerProfile::id`](super::PayerProfile::id) names a wallet. `again` must be the
/// wallet of `payer`, connected anew, and `other` another wallet of the same kind.
///
/// # Panics
///
/// If it does not.
pub fn identities<P: Payer + ?Sized>(payer: &P, again: &P, other: &P) {
    payments::one_wallet_has_one_id(payer, again);
    assert_ne!(
        payer.profile().id,
        other.profile().id,
        "two wallets must have two ids"
    );
}

/// Checks that a [`Payer`] keeps to [`PayLimits::max_fee`](super::PayLimits::max_fee). Paying
/// `receiver` must cost a fee of at most 10 satoshis, so it must not be a direct peer of the payer.
///
/// # Panics
///
/// If the payer does not keep to the limit, if its profile says that it has none
/// ([`PayerProfile::keeps_fee_limit`](super::PayerProfile::keeps_fee_limit)), or if there is no fee.
pub async fn fee_limit<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    fees::a_fee_above_the_limit_is_not_paid(receiver, payer).await;
}

/// Checks an adapter whose node fails, with [`node_down`], [`node_silent`], [`node_killed`],
/// [`process_restarted`] and [`answers_lost`]. If your test cannot cause one of these faults, call
/// the other suites.
///
/// # Panics
///
/// If the adapter does not keep its contract.
pub async fn faults<F: Faults + ?Sized>(node: &F) {
    node_down(node).await;
    node_silent(node).await;
    node_killed(node).await;
    process_restarted(node).await;
    answers_lost(node).await;
}

/// Checks an adapter whose node is down for a while ([`Fault::Down`]). Every call fails. An error of
/// `pay` says that money may have left, unless the payment certainly did not begin. Nothing is lost,
/// and the same adapter works again when the node does.
///
/// # Panics
///
/// If the adapter does not keep its contract.
pub async fn node_down<F: Faults + ?Sized>(node: &F) {
    named(
        "node_down (Fault::Down)",
        outages::a_node_that_is_down_loses_nothing(node),
    )
    .await;
}

/// Checks an adapter whose node does not answer ([`Fault::Silence`]). `pay` returns within a minute
/// after its time limit, and says if money may have left. The other calls fail, or are dropped after
/// 100 seconds. Nothing is lost, and the same adapter works again when the node does.
///
/// # Panics
///
/// If the adapter does not keep its contract.
pub async fn node_silent<F: Faults + ?Sized>(node: &F) {
    named(
        "node_silent (Fault::Silence)",
        outages::a_node_without_answers_holds_up_no_payer(node),
    )
    .await;
}

/// Checks an adapter whose node is killed in mid-payment ([`Fault::PendingPayments`], then
/// [`Fault::Down`]). The payment is in doubt until the node is back. Then every adapter finds the
/// same outcome.
///
/// # Panics
///
/// If the adapter does not keep its contract.
pub async fn node_killed<F: Faults + ?Sized>(node: &F) {
    named(
        "node_killed (Fault::PendingPayments, then Fault::Down)",
        interrupted::a_node_killed_in_mid_payment_tells_the_outcome_later(node),
    )
    .await;
}

/// Checks an adapter whose process is restarted between `pay` and its answer
/// ([`Fault::PendingPayments`]). The next process finds the payment and does not pay again.
///
/// This suite drops the first adapter, but a task that it spawned goes on, because the runtime is the
/// same. If your adapter spawns payments, also test it in two runtimes: end the first one
/// (`Runtime::shutdown_background`) while the payment is under way, and look it up in the second.
///
/// # Panics
///
/// If the adapter does not keep its contract.
pub async fn process_restarted<F: Faults + ?Sized>(node: &F) {
    named(
        "process_restarted (Fault::PendingPayments)",
        interrupted::a_restart_of_the_process_loses_no_payment(node),
    )
    .await;
}

/// Checks an adapter whose node pays, but whose answer is lost ([`Fault::LostAnswers`]). The payment
/// is in doubt or found. Every adapter finds it in the end, and does not pay again.
///
/// # Panics
///
/// If the adapter does not keep its contract.
pub async fn answers_lost<F: Faults + ?Sized>(node: &F) {
    named(
        "answers_lost (Fault::LostAnswers)",
        interrupted::a_payment_whose_answer_is_lost_is_found(node),
    )
    .await;
}

/// Checks an adapter whose node lies: [`Fault::InvoiceAsPreimage`], [`Fault::NoPreimage`],
/// [`Fault::OtherAmount`], [`Fault::OtherHash`] and [`Fault::WrongPreimage`]. It needs a server of
/// your own that speaks the node's protocol, because a real node does not lie.
/// [`LocalNode::lie`](super::LocalNode::lie) is for tests of a paywall, and cannot cause them.
///
/// The adapter never returns a preimage that does not prove the
/// payment, or an invoice that was not requested. Its errors say if money may have left.
///
/// # Panics
///
/// If the adapter does not keep its contract.
pub async fn lies<F: Faults + ?Sized>(node: &F) {
    for lie in [
        Fault::NoPreimage,
        Fault::WrongPreimage,
        Fault::InvoiceAsPreimage,
    ] {
        let checks = lies::a_payment_without_its_preimage_is_in_doubt(node, lie);
        named(&format!("lies (Fault::{lie:?})"), checks).await;
    }
    named(
        "lies (Fault::OtherAmount)",
        lies::an_invoice_of_another_amount_is_refused(node),
    )
    .await;
    named(
        "lies (Fault::OtherHash)",
        lies::another_payment_hash_is_not_believed(node),
    )
    .await;
}
