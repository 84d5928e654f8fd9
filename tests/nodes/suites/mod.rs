//! The public suites find each rule that a node breaks.

mod broken;
mod rule;

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt as _, future::join_all};
use tower_x402::lightning::{
    BoxFuture, Lie, LocalNode,
    conformance::{self, Faults},
};

use self::{broken::Node, rule::Broken};

type Suite = fn(Node) -> BoxFuture<'static, ()>;

const RECEIVER: Suite =
    |node| Box::pin(async move { conformance::receiver(&node.adapter()).await });
const PAYER: Suite = |node| {
    let adapter = node.adapter();
    Box::pin(async move { conformance::payer(&adapter, &adapter).await })
};
const FEE_LIMIT: Suite = |node| {
    let adapter = node.adapter();
    Box::pin(async move { conformance::fee_limit(&adapter, &adapter).await })
};
const FAULTS: Suite = |node| Box::pin(async move { conformance::faults(&node).await });
const DOWN: Suite = |node| Box::pin(async move { conformance::node_down(&node).await });
const SILENT: Suite = |node| Box::pin(async move { conformance::node_silent(&node).await });
const KILLED: Suite = |node| Box::pin(async move { conformance::node_killed(&node).await });
const RESTARTED: Suite =
    |node| Box::pin(async move { conformance::process_restarted(&node).await });
const LOST: Suite = |node| Box::pin(async move { conformance::answers_lost(&node).await });
const LIES: Suite = |node| Box::pin(async move { conformance::lies(&node).await });

#[tokio::test]
async fn a_node_that_breaks_no_rule_passes_every_suite() {
    RECEIVER(Node::new(None)).await;
    PAYER(Node::new(None)).await;
    FEE_LIMIT(Node::new(None)).await;
    LIES(Node::new(None)).await;
    let node: &dyn Faults = &Node::new(None);
    conformance::node_killed(node).await;
}

/// The time is paused, so that no test waits for a node that is silent.
#[tokio::test(start_paused = true)]
async fn a_node_that_fails_and_recovers_passes_the_suites_of_faults() {
    FAULTS(Node::new(None)).await;
}

#[tokio::test]
async fn each_rule_about_expired_and_unknown_invoices_is_checked() {
    let caught = [
        (Broken::ExpiredIsOpen, RECEIVER, "must be expired"),
        (Broken::ExpiredIsOpen, PAYER, "must be expired"),
        (
            Broken::ExpiredIsPaid,
            PAYER,
            "an expired invoice must not be paid, and is Paid",
        ),
        (
            Broken::InvoiceUnknownIsOpen,
            RECEIVER,
            "an invoice that the node never made must be unknown to it",
        ),
        (
            Broken::PaymentUnknownIsFailed,
            PAYER,
            "a payment that was never tried must be unknown, and is Failed",
        ),
    ];
    join_all(caught.map(|(broken, suite, sentence)| is_caught(broken, suite, sentence))).await;
}

#[tokio::test]
async fn two_wallets_with_one_id_are_caught() {
    let (node, other) = (Node::new(None), Node::new(None));
    let [payer, again] = [node.adapter(), node.adapter()];
    conformance::identities(&payer, &again, &other.adapter());
    let one = async { conformance::identities(&payer, &again, &again) };
    caught(one, "two wallets must have two ids").await;
}

#[tokio::test]
async fn each_rule_about_fees_is_checked() {
    for (broken, sentence) in [
        (
            Broken::FeeLimitIgnored,
            "must fail if the limit is 0 sat, and is Paid",
        ),
        (
            Broken::FeeLimitIncludesMore,
            "must fail if the limit is 0.006 sat, and is Paid",
        ),
        (Broken::FeeInDoubt, "must surely fail if the limit is 0 sat"),
        (Broken::FeeIsFree, "a receiver that costs a fee"),
    ] {
        is_caught(broken, FEE_LIMIT, sentence).await;
    }
}

/// The time is paused, so that no test waits for a node that never answers again.
#[tokio::test(start_paused = true)]
async fn each_rule_about_faults_is_checked() {
    for (broken, suite, sentence) in [
        (
            Broken::DownFails,
            DOWN,
            "must be an error or in flight, and is Failed",
        ),
        (
            Broken::DownForever,
            DOWN,
            "must work again after a fault of its node, without a new adapter",
        ),
        (
            Broken::DownForgetsInvoices,
            DOWN,
            "an open invoice must not be lost",
        ),
        (
            Broken::DownForgetsPayments,
            DOWN,
            "a payment must not be lost",
        ),
        (
            Broken::DownGuessesInvoices,
            DOWN,
            "lookup_invoice must fail while the node is down",
        ),
        (
            Broken::DownGuessesPayments,
            DOWN,
            "a payment that it made must be an error or paid, and is Unknown",
        ),
        (
            Broken::DownInDoubt,
            DOWN,
            "create_invoice pays nothing, so its error must not say",
        ),
        (
            Broken::DownIsRefused,
            DOWN,
            "create_invoice must say that the node cannot be reached",
        ),
        (
            Broken::DownPaysLater,
            DOWN,
            "must be true, and the payment is Paid",
        ),
        (
            Broken::SilentFails,
            SILENT,
            "must be an error or in flight, and is Failed",
        ),
        (
            Broken::SilentForever,
            SILENT,
            "pay must keep to its limit of 1 second",
        ),
        (
            Broken::SilentGuessesInvoices,
            SILENT,
            "lookup_invoice must fail if the node does not answer, and its result is Unknown",
        ),
        (
            Broken::SilentGuessesPayments,
            SILENT,
            "while a node fails, a payment",
        ),
        (
            Broken::SilentIsReady,
            SILENT,
            "ready must fail if the node does not answer",
        ),
        (
            Broken::SilentPaysLater,
            SILENT,
            "must be true, and the payment is Paid",
        ),
        (
            Broken::PendingIsSure,
            KILLED,
            "must say that money may have left",
        ),
        (
            Broken::KilledGuesses,
            KILLED,
            "whose node is down must be an error or in flight, and is Failed",
        ),
        (
            Broken::KilledForgets,
            KILLED,
            "must have succeeded or failed in the end, and is Unknown",
        ),
        (
            Broken::PendingIsSure,
            RESTARTED,
            "must say that money may have left",
        ),
        (
            Broken::RestartForgets,
            RESTARTED,
            "after a restart of the process, a payment that it began must be in flight, and is Unknown",
        ),
        (
            Broken::RestartIsAnother,
            RESTARTED,
            "the same id after it is connected anew",
        ),
        (
            Broken::LostFails,
            LOST,
            "must be an error or in flight, and is Failed",
        ),
        (
            Broken::LostIsForgotten,
            LOST,
            "must have succeeded or failed in the end, and is Unknown",
        ),
        (
            Broken::LostIsSure,
            LOST,
            "must say that money may have left",
        ),
    ] {
        is_caught(broken, suite, sentence).await;
    }
}

#[tokio::test]
async fn each_rule_about_lies_is_checked() {
    for (broken, sentence) in [
        (
            Broken::AmountIsBelieved,
            "create_invoice must check the amount: asked for 21 sat, got ",
        ),
        (
            Broken::ErrorRepeats,
            "must not repeat a preimage or what stood in its place",
        ),
        (
            Broken::HashIsBelieved,
            "must not take the status of another invoice",
        ),
        (
            Broken::HashIsUnknown,
            "must not take another payment for this one, and says Unknown",
        ),
        (
            Broken::LieIsRefused,
            "must say that the node gave a bad answer",
        ),
        (Broken::LieIsSure, "must say that money may have left"),
        (
            Broken::PreimageIsBelieved,
            "pay must fail if the node says that it paid and does not prove it (WrongPreimage)",
        ),
    ] {
        is_caught(broken, LIES, sentence).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_among_the_faults_and_lies_names_its_suite_and_its_fault() {
    for (broken, suite, named) in [
        (
            Broken::DownFails,
            FAULTS,
            "conformance::node_down (Fault::Down): a payment that fails",
        ),
        (
            Broken::LostIsSure,
            FAULTS,
            "conformance::answers_lost (Fault::LostAnswers): an error of pay",
        ),
        (
            Broken::PreimageIsBelieved,
            LIES,
            "conformance::lies (Fault::WrongPreimage): pay must fail",
        ),
    ] {
        is_caught(broken, suite, named).await;
    }
}

#[tokio::test]
async fn a_panic_about_an_invoice_names_what_was_asked_for() {
    let node = LocalNode::new();
    node.lie(Lie::Amount);
    let amounts = "requested amount: asked for 21 sat, got ";
    caught(conformance::receiver(&node), amounts).await;
    node.reachable(false);
    let described =
        "an invoice of 21 sat with the hash of a description of 23 bytes must be made: ";
    caught(conformance::receiver(&node), described).await;
}

async fn is_caught(broken: Broken, suite: Suite, sentence: &str) {
    caught(suite(Node::new(broken)), sentence).await;
}

/// Runs a suite, which must fail and say this.
pub(crate) async fn caught(suite: impl Future<Output = ()>, sentence: &str) {
    let panic = AssertUnwindSafe(suite).catch_unwind().await;
    let panic = panic.expect_err(&format!("no suite says {sentence:?}"));
    let said = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
    let said = said.unwrap_or_default();
    assert!(
        said.contains(sentence),
        "{said:?} does not say {sentence:?}"
    );
}
