//! The checks of a node that is down, and of one that does not answer.

use std::{fmt::Debug, time::Duration};

use tokio::time::timeout;

use super::{
    Fault, Faults,
    asking::{
        ANSWER, LIMITS, answer, invoice_status, make, patient_status, pay, proves, request,
        settles, unheard_of, what,
    },
};
use crate::{
    lightning::{
        InvoiceStatus, NodeError, NodeErrorKind, PayLimits, Payer, PaymentStatus, Receiver,
    },
    payment::{Amount, Invoice, Preimage},
};

/// How long the payments of these checks may take.
const BRIEF: PayLimits = PayLimits::new(LIMITS.max_fee, Duration::from_secs(1));

/// How long to wait for a call to a silent node. It is longer than the time limits of adapters, so
/// that the call ends, and shorter than the time limit of [`answer`].
const PATIENCE: Duration = Duration::from_secs(100);

pub(super) async fn a_node_that_is_down_loses_nothing<F: Faults + ?Sized>(node: &F) {
    let (receiver, payer) = (&*node.receiver().await, &*node.payer().await);
    let known = Known::new(receiver, payer).await;

    node.begin(Fault::Down).await;
    let made = answer("create_invoice", receiver.create_invoice(request())).await;
    is_unreachable("create_invoice", made.err());
    for hash in [
        known.open.payment_hash(),
        known.paid.payment_hash(),
        unheard_of(),
    ] {
        let looked_up = answer("lookup_invoice", receiver.lookup_invoice(hash)).await;
        is_unreachable("lookup_invoice", looked_up.err());
    }
    let ready = answer("ready", receiver.ready()).await;
    is_unreachable("ready", ready.err());
    let attempt = answer("pay", payer.pay(&known.open, BRIEF)).await;
    let in_doubt = may_have_left(&attempt);
    let (paid, open) = (known.paid.payment_hash(), known.open.payment_hash());
    known.paid_is_not_guessed(answer("lookup_payment", payer.lookup_payment(paid)).await);
    Known::open_is_not_guessed(answer("lookup_payment", payer.lookup_payment(open)).await);
    node.end().await;
    known.is_remembered(receiver, payer, in_doubt).await;
}

pub(super) async fn a_node_without_answers_holds_up_no_payer<F: Faults + ?Sized>(node: &F) {
    let (receiver, payer) = (&*node.receiver().await, &*node.payer().await);
    let known = Known::new(receiver, payer).await;

    node.begin(Fault::Silence).await;
    // The caller of a receiver sets the limit, and drops the call.
    if let Ok(made) = timeout(BRIEF.time, receiver.create_invoice(request())).await {
        assert!(
            made.is_err(),
            "the test must silence the node: it made an invoice"
        );
    }
    let attempt = timeout(BRIEF.time + ANSWER, payer.pay(&known.open, BRIEF)).await;
    let attempt = attempt.unwrap_or_else(|_| {
        panic!(
            "pay must keep to its limit of {} second and return at most {} seconds later",
            BRIEF.time.as_secs(),
            ANSWER.as_secs()
        )
    });
    let in_doubt = may_have_left(&attempt);
    // The caller of a lookup sets the limit too, and drops a call that takes longer.
    let (paid, open) = (known.paid.payment_hash(), known.open.payment_hash());
    let lookup = |hash| timeout(PATIENCE, payer.lookup_payment(hash));
    tokio::join!(
        async {
            lookup(paid)
                .await
                .map_or((), |status| known.paid_is_not_guessed(status))
        },
        async { lookup(open).await.map_or((), Known::open_is_not_guessed) },
        fails("lookup_invoice", receiver.lookup_invoice(paid)),
        fails("lookup_invoice", receiver.lookup_invoice(open)),
        fails("lookup_invoice", receiver.lookup_invoice(unheard_of())),
        fails("ready", receiver.ready()),
    );
    node.end().await;
    known.is_remembered(receiver, payer, in_doubt).await;
}

/// Checks that a call of a receiver has no result while the node does not answer.
async fn fails<T: Debug>(call: &str, future: impl Future<Output = Result<T, NodeError>>) {
    match timeout(PATIENCE, future).await {
        Ok(Ok(guess)) => {
            panic!("{call} must fail if the node does not answer, and its result is {guess:?}")
        }
        Ok(Err(error)) => assert!(
            !error.may_have_paid(),
            "{call} pays nothing, so its error must not say that money may have left: {error}"
        ),
        Err(_) => {}
    }
}

fn is_unreachable(call: &str, error: Option<NodeError>) {
    let error = error.unwrap_or_else(|| panic!("{call} must fail while the node is down"));
    assert_eq!(
        error.kind(),
        NodeErrorKind::Unreachable,
        "{call} must say that the node cannot be reached while it is down: {error}"
    );
    assert!(
        !error.may_have_paid(),
        "{call} pays nothing, so its error must not say that money may have left: {error}"
    );
}

/// Checks the outcome of `pay` while the node fails. Returns whether money may have left.
pub(super) fn may_have_left(attempt: &Result<PaymentStatus, NodeError>) -> bool {
    match attempt {
        Ok(PaymentStatus::InFlight) => true,
        Err(error) => error.may_have_paid(),
        Ok(status) => panic!(
            "a payment that fails with its node must be an error or in flight, and is {status:?}"
        ),
    }
}

/// What the node knew before its fault.
struct Known {
    paid: Invoice,
    preimage: Preimage,
    open: Invoice,
}

impl Known {
    async fn new<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) -> Self {
        let paid = make(receiver, Amount::from_sat(21), what(), 3_600).await;
        let preimage = pay(payer, &paid).await;
        settles(receiver, &paid).await;
        Self {
            paid,
            preimage,
            open: make(receiver, Amount::from_sat(21), what(), 3_600).await,
        }
    }

    /// Checks the status of the payment that was made, which was looked up while the node fails.
    fn paid_is_not_guessed(&self, looked_up: Result<PaymentStatus, NodeError>) {
        match looked_up {
            Ok(PaymentStatus::Paid { preimage, .. }) => proves(&self.paid, &preimage),
            Err(_) => {}
            Ok(status) => panic!(
                "while a node fails, a payment that it made must be an error or paid, and is {status:?}"
            ),
        }
    }

    /// Checks the status of the payment in doubt, which was looked up while the node fails.
    fn open_is_not_guessed(looked_up: Result<PaymentStatus, NodeError>) {
        match looked_up {
            Ok(PaymentStatus::InFlight) | Err(_) => {}
            Ok(status) => panic!(
                "while a node fails, a payment in doubt must be an error or in flight, and is {status:?}"
            ),
        }
    }

    /// Checks that the same adapters work again.
    async fn is_remembered<R: Receiver + ?Sized, P: Payer + ?Sized>(
        &self,
        receiver: &R,
        payer: &P,
        in_doubt: bool,
    ) {
        let status = patient_status(payer, self.open.payment_hash()).await;
        match status {
            PaymentStatus::Paid { preimage, .. } if in_doubt => proves(&self.open, &preimage),
            PaymentStatus::InFlight if in_doubt => {}
            PaymentStatus::Failed | PaymentStatus::Unknown => {}
            status => panic!(
                "an error of pay that does not say that money may have left must be true, and the payment is {status:?}"
            ),
        }
        settles(receiver, &self.paid).await;
        let status = payment_of(payer, &self.paid).await;
        assert_eq!(
            status.map(|preimage| preimage.expose_hex()),
            Some(self.preimage.expose_hex()),
            "a payment must not be lost while the node fails"
        );
        if !in_doubt {
            let status = invoice_status(receiver, self.open.payment_hash()).await;
            assert_eq!(
                status,
                InvoiceStatus::Open,
                "an open invoice must not be lost while the node fails"
            );
            pay(payer, &self.open).await;
            settles(receiver, &self.open).await;
        }
        make(receiver, Amount::from_sat(21), what(), 300).await;
    }
}

async fn payment_of<P: Payer + ?Sized>(payer: &P, invoice: &Invoice) -> Option<Preimage> {
    match patient_status(payer, invoice.payment_hash()).await {
        PaymentStatus::Paid { preimage, .. } => Some(preimage),
        _ => None,
    }
}
