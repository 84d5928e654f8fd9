//! What every [`Receiver`] and every [`Payer`] must do, as checks to run against your own.
//!
//! Each check panics with a sentence that says what was expected. Run them in a test, against a real node or a wallet with
//! some test money; they need a tokio runtime with time enabled, and time that runs (not paused). They make about 70
//! invoices, and the payer spends less than 300 satoshis in twelve payments, and their fees.
//!
//! ```
//! use tower_x402::lightning::{LocalNode, conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let node = LocalNode::new();
//! conformance::receiver(&node).await;
//! conformance::payer(&node, &node).await;
//! # }
//! ```
//!
//! They cannot check everything. Make sure yourself that a payment hash is fresh after a restart too, that an error which leaves
//! a payment open says so ([`NodeError::may_have_paid`]), and that nothing logs a preimage.

use std::{
    collections::HashSet,
    future::poll_fn,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};

use super::{Description, InvoiceRequest, InvoiceStatus, NodeError, PayLimits, Payer, PaymentStatus, Receiver};
use crate::{
    clock::{Clock as _, SystemClock},
    payment::{Amount, Invoice, InvoiceDescription, PaymentHash, Preimage, SKEW},
};

/// How long any one answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// How long after a payment its receiver may still not know of it.
const NEWS: Duration = Duration::from_secs(20);

/// What a payment may take, and may cost beside its amount.
const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), ANSWER);

/// What every [`Receiver`] must do.
///
/// # Panics
///
/// Where it does not.
pub async fn receiver<R: Receiver + ?Sized>(node: &R) {
    invoices_say_what_was_asked(node).await;
    fractions_of_a_satoshi_are_exact_or_refused(node).await;
    no_invoice_is_handed_out_twice(node).await;
    lookups_tell_open_from_unknown(node).await;
}

/// What every [`Payer`] must do. It pays invoices of `receiver`, which must be another node or one that can pay itself.
///
/// # Panics
///
/// Where it does not.
pub async fn payer<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    assert_eq!(payer.profile().network, receiver.profile().network, "payer and receiver must be on one network");
    a_payment_is_proved_and_seen(receiver, payer).await;
    fractions_of_a_satoshi_are_paid(receiver, payer).await;
    paying_again_pays_once(receiver, payer).await;
    paying_at_the_same_time_pays_once(receiver, payer).await;
    many_payments_at_the_same_time_are_kept_apart(receiver, payer).await;
}

async fn invoices_say_what_was_asked<R: Receiver + ?Sized>(node: &R) {
    let hashed = |text: &str| Description::Hashed(text.as_bytes().to_vec());
    let text = |text: &str| Description::Text(text.to_owned());
    for (sat, description, seconds) in [
        (1, hashed(r#"{"method":"GET","url":"https://api.example.com/weather/oslo"}"#), 300),
        (21, hashed(""), 60),
        (5, hashed(&"x".repeat(4_096)), 300),
        (2, text(""), 300),
        (1_234, text("a weather report"), 3_600),
        (3, text("Ein Wetterbericht f\u{fc}r \u{c5}lesund, \u{5929}\u{6c14}"), 301),
        (100_000, text(&"x".repeat(639)), 86_400),
    ] {
        make(node, Amount::from_sat(sat), description, seconds).await;
    }
}

async fn fractions_of_a_satoshi_are_exact_or_refused<R: Receiver + ?Sized>(node: &R) {
    let amount = Amount::from_msat(21_001);
    if node.profile().whole_sats_only {
        let asked = node.create_invoice(InvoiceRequest::new(amount, what(), Duration::from_secs(300)));
        let made = answer("create_invoice", asked).await;
        assert!(made.is_err(), "a receiver of whole satoshis must refuse {amount}, and not round it");
    } else {
        make(node, amount, what(), 300).await;
    }
}

async fn no_invoice_is_handed_out_twice<R: Receiver + ?Sized>(node: &R) {
    let first = make(node, Amount::from_sat(21), what(), 300).await;
    let second = make(node, Amount::from_sat(21), what(), 300).await;
    let many = together((0..50).map(|_| make(node, Amount::from_sat(21), what(), 300)).collect()).await;
    let (mut hashes, mut texts) = (HashSet::new(), HashSet::new());
    for invoice in [first, second].iter().chain(&many) {
        assert!(
            hashes.insert(invoice.payment_hash()) && texts.insert(invoice.as_str().to_owned()),
            "each invoice must have a payment hash that was never used before, also when many are asked for at the same time"
        );
    }
}

async fn lookups_tell_open_from_unknown<R: Receiver + ?Sized>(node: &R) {
    let invoice = make(node, Amount::from_sat(21), what(), 300).await;
    let status = invoice_status(node, invoice.payment_hash()).await;
    assert_eq!(status, InvoiceStatus::Open, "an invoice that was just made must be open");
    let status = invoice_status(node, unheard_of()).await;
    assert_eq!(status, InvoiceStatus::Unknown, "an invoice that the node never made must be unknown to it");
}

async fn a_payment_is_proved_and_seen<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    let mut settlements = receiver.settlements();
    let (invoice, other) =
        (make(receiver, Amount::from_sat(21), what(), 300).await, make(receiver, Amount::from_sat(21), what(), 300).await);
    let status = payment_status(payer, invoice.payment_hash()).await;
    assert!(matches!(status, PaymentStatus::Unknown), "a payment that was never tried must be unknown, and is {status:?}");
    let status = payment_status(payer, unheard_of()).await;
    assert!(matches!(status, PaymentStatus::Unknown), "an unheard-of payment must be unknown, and is {status:?}");

    let preimage = pay(payer, &invoice).await;
    let looked_up = payment_status(payer, invoice.payment_hash()).await;
    let PaymentStatus::Paid { preimage: again, .. } = looked_up else {
        panic!("lookup_payment must tell of a payment that was made, and says {looked_up:?}");
    };
    assert_eq!(again.expose(), preimage.expose(), "lookup_payment must tell the preimage that the payment gave");

    settles(receiver, &invoice).await;
    let status = invoice_status(receiver, other.payment_hash()).await;
    assert_eq!(status, InvoiceStatus::Open, "paying one invoice must leave others as they are");
    let shown = format!("{receiver:?} {payer:?} {receiver:#?} {payer:#?}").to_lowercase();
    assert!(!shown.contains(&preimage.expose_hex()), "Debug must not show a preimage");

    let seen = timeout(NEWS, async {
        while let Some(hash) = poll_fn(|context| settlements.as_mut().poll_next(context)).await {
            if hash == invoice.payment_hash() {
                break;
            }
        }
    });
    assert!(seen.await.is_ok(), "a stream of settlements must tell of each, or end at once where the node has none");
}

async fn fractions_of_a_satoshi_are_paid<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    if !receiver.profile().whole_sats_only {
        let invoice = make(receiver, Amount::from_msat(21_001), what(), 300).await;
        pay(payer, &invoice).await;
        settles(receiver, &invoice).await;
    }
}

async fn paying_again_pays_once<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    let invoice = make(receiver, Amount::from_sat(21), what(), 300).await;
    let first = pay(payer, &invoice).await;
    settles(receiver, &invoice).await;
    let second = pay(payer, &invoice).await;
    assert_eq!(first.expose(), second.expose(), "paying an invoice again must give the same preimage");
}

async fn paying_at_the_same_time_pays_once<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    let invoice = make(receiver, Amount::from_sat(21), what(), 300).await;
    let payments = together((0..5).map(|_| payer.pay(&invoice, LIMITS)).collect()).await;
    for payment in payments {
        match payment {
            Ok(PaymentStatus::Paid { preimage, .. }) => proves(&invoice, &preimage),
            Ok(PaymentStatus::InFlight) => {}
            Err(error) if error.may_have_paid() => {}
            Ok(status) => panic!("an invoice that is being paid must be paid or in flight for every caller, and is {status:?}"),
            Err(error) => panic!("an error while an invoice is being paid must say that money may have left: {error}"),
        }
    }
    settles(receiver, &invoice).await;
    pay(payer, &invoice).await;
}

async fn many_payments_at_the_same_time_are_kept_apart<R: Receiver + ?Sized, P: Payer + ?Sized>(receiver: &R, payer: &P) {
    let one = || async {
        let invoice = make(receiver, Amount::from_sat(21), what(), 300).await;
        pay(payer, &invoice).await;
        settles(receiver, &invoice).await;
    };
    together((0..8).map(|_| one()).collect()).await;
}

/// Has an invoice made, and checks all that it says.
async fn make<R: Receiver + ?Sized>(node: &R, amount: Amount, description: Description, seconds: u64) -> Invoice {
    let profile = node.profile();
    let expected = match &description {
        Description::Hashed(bytes) => InvoiceDescription::Hash(Sha256::digest(bytes).into()),
        Description::Text(text) => InvoiceDescription::Text(text.clone()),
    };
    let expiry = Duration::from_secs(seconds);
    let made = answer("create_invoice", node.create_invoice(InvoiceRequest::new(amount, description, expiry))).await;
    let invoice = made.unwrap_or_else(|error| panic!("an invoice of {amount} must be made: {error}"));
    assert_eq!(invoice.amount(), Some(amount), "an invoice must ask for exactly the amount that was asked for");
    assert_eq!(
        *invoice.description(),
        expected,
        "an invoice must have exactly the description that was asked for, an empty text too; a node that changes texts or ignores \
         description hashes sells over L402 and MPP only: .dialects([DialectName::L402, DialectName::Mpp])"
    );
    assert_eq!(invoice.expiry(), expiry, "an invoice must expire when it was asked to");
    assert_eq!(invoice.network(), profile.network, "an invoice must be of the network that the profile names");
    if let Some(key) = profile.public_key {
        assert_eq!(*invoice.payee(), key, "an invoice must be signed by the key that the profile names");
    }
    let (now, made) = (SystemClock::new().now(), invoice.created_at());
    assert!(
        now.saturating_since(made).max(made.saturating_since(now)) <= SKEW,
        "an invoice must be made now, and not {} seconds before or after",
        now.saturating_since(made).max(made.saturating_since(now)).as_secs()
    );
    invoice
}

/// Has an invoice paid, however long it is in flight, and checks the proof.
async fn pay<P: Payer + ?Sized>(payer: &P, invoice: &Invoice) -> Preimage {
    let mut status =
        answer("pay", payer.pay(invoice, LIMITS)).await.unwrap_or_else(|error| panic!("an invoice must be paid: {error}"));
    let started = Instant::now();
    while matches!(status, PaymentStatus::InFlight) && started.elapsed() < ANSWER {
        sleep(Duration::from_millis(20)).await;
        status = payment_status(payer, invoice.payment_hash()).await;
    }
    let PaymentStatus::Paid { preimage, fee } = status else { panic!("an open invoice must be paid, and is {status:?}") };
    proves(invoice, &preimage);
    assert!(
        !payer.profile().keeps_fee_limit || fee <= LIMITS.max_fee,
        "a payer that keeps to a fee limit must not spend {fee} where {} is the most",
        LIMITS.max_fee
    );
    preimage
}

fn proves(invoice: &Invoice, preimage: &Preimage) {
    assert!(invoice.payment_hash().is_of(preimage), "a payment must give the preimage of the invoice's payment hash");
}

/// Waits until the receiver knows that an invoice is settled.
async fn settles<R: Receiver + ?Sized>(node: &R, invoice: &Invoice) {
    let started = Instant::now();
    loop {
        let status = invoice_status(node, invoice.payment_hash()).await;
        if status == InvoiceStatus::Settled {
            return;
        }
        assert!(started.elapsed() < NEWS, "an invoice that was paid must be settled, and is {status:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn invoice_status<R: Receiver + ?Sized>(node: &R, payment_hash: PaymentHash) -> InvoiceStatus {
    let looked_up = answer("lookup_invoice", node.lookup_invoice(payment_hash)).await;
    looked_up.unwrap_or_else(|error| panic!("lookup_invoice must answer, also that it is unknown: {error}"))
}

async fn payment_status<P: Payer + ?Sized>(payer: &P, payment_hash: PaymentHash) -> PaymentStatus {
    let looked_up = answer("lookup_payment", payer.lookup_payment(payment_hash)).await;
    looked_up.unwrap_or_else(|error| panic!("lookup_payment must answer, also that it is unknown: {error}"))
}

async fn answer<T>(call: &str, future: impl Future<Output = Result<T, NodeError>>) -> Result<T, NodeError> {
    let late = |_| panic!("{call} must answer within {} seconds", (2 * ANSWER).as_secs());
    timeout(2 * ANSWER, future).await.unwrap_or_else(late)
}

fn what() -> Description {
    Description::Hashed(b"what every node must do".to_vec())
}

/// A payment hash that no node knows: the clock makes it another in each run.
fn unheard_of() -> PaymentHash {
    PaymentHash::from_bytes(Sha256::digest(format!("unheard of, {:?}", std::time::SystemTime::now())).into())
}

/// Runs all of them at the same time.
async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs).filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(done) => *output = Some(done),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
