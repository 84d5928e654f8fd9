//! Calls a node and checks its answers.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    clock::{Clock as _, SystemClock},
    lightning::{
        Description, InvoiceRequest, InvoiceStatus, NodeError, PayLimits, Payer, PaymentStatus,
        Receiver,
    },
    payment::{Amount, Invoice, InvoiceDescription, PaymentHash, Preimage, SKEW},
};

/// How long a payment may take.
pub(super) const ANSWER: Duration = Duration::from_secs(60);

/// How long after a payment its receiver must know of it.
pub(super) const NEWS: Duration = Duration::from_secs(20);

/// How long after a fault of its node an adapter may need to work again.
const RECOVERY: Duration = Duration::from_secs(120);

/// How long to wait until a node is asked again.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// The limits of each payment.
pub(super) const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), ANSWER);

/// Requests an invoice and checks all its fields.
pub(super) async fn make<R: Receiver + ?Sized>(
    node: &R,
    amount: Amount,
    description: Description,
    seconds: u64,
) -> Invoice {
    let request = InvoiceRequest::new(amount, description, Duration::from_secs(seconds));
    let made = answer("create_invoice", node.create_invoice(request.clone())).await;
    let invoice = made.unwrap_or_else(|error| {
        panic!(
            "an invoice of {amount} with {} must be made: {error}",
            described(&request.description)
        )
    });
    is_as_requested(node, &invoice, &request);
    invoice
}

fn described(description: &Description) -> String {
    match description {
        Description::Hashed(bytes) if bytes.is_empty() => {
            "the hash of an empty description".to_owned()
        }
        Description::Hashed(bytes) => {
            format!("the hash of a description of {} bytes", bytes.len())
        }
        Description::Text(text) if text.is_empty() => "an empty text".to_owned(),
        Description::Text(text) => format!("a text of {} bytes", text.len()),
    }
}

/// Returns the amount of an invoice in words.
pub(super) fn shown(amount: Option<Amount>) -> String {
    amount.map_or_else(|| "no amount".to_owned(), |amount| amount.to_string())
}

pub(super) fn is_as_requested<R: Receiver + ?Sized>(
    node: &R,
    invoice: &Invoice,
    request: &InvoiceRequest,
) {
    let profile = node.profile();
    let expected = match &request.description {
        Description::Hashed(bytes) => InvoiceDescription::Hash(Sha256::digest(bytes).into()),
        Description::Text(text) => InvoiceDescription::Text(text.clone()),
    };
    assert!(
        invoice.amount() == Some(request.amount),
        "an invoice must be for exactly the requested amount: asked for {}, got {}",
        request.amount,
        shown(invoice.amount())
    );
    assert_eq!(
        *invoice.description(),
        expected,
        "an invoice must have exactly the requested description, even if it is empty; a node that changes texts or ignores \
         description hashes can sell over L402 and MPP only: .dialects([DialectName::L402, DialectName::Mpp])"
    );
    assert_eq!(
        invoice.expiry(),
        request.expiry,
        "an invoice must have exactly the requested expiry"
    );
    assert_eq!(
        invoice.network(),
        profile.network,
        "an invoice must be for the network that the profile names"
    );
    if let Some(key) = profile.public_key {
        assert_eq!(
            *invoice.payee(),
            key,
            "an invoice must be signed by the key that the profile names"
        );
    }
    let (now, made) = (SystemClock::new().now(), invoice.created_at());
    assert!(
        now.saturating_since(made).max(made.saturating_since(now)) <= SKEW,
        "an invoice must be dated now, and not {} seconds earlier or later",
        now.saturating_since(made)
            .max(made.saturating_since(now))
            .as_secs()
    );
}

/// Pays an invoice, waits while the payment is in flight, and checks the preimage.
pub(super) async fn pay<P: Payer + ?Sized>(payer: &P, invoice: &Invoice) -> Preimage {
    pay_within(payer, invoice, LIMITS).await.0
}

/// Pays an invoice as [`pay`] does, and returns the fee too.
pub(super) async fn pay_within<P: Payer + ?Sized>(
    payer: &P,
    invoice: &Invoice,
    limits: PayLimits,
) -> (Preimage, Amount) {
    let mut status = answer("pay", payer.pay(invoice, limits))
        .await
        .unwrap_or_else(|error| panic!("an invoice must be paid: {error}"));
    let started = Instant::now();
    while matches!(status, PaymentStatus::InFlight) && started.elapsed() < ANSWER {
        sleep(PAUSE).await;
        status = payment_status(payer, invoice.payment_hash()).await;
    }
    let PaymentStatus::Paid { preimage, fee } = status else {
        panic!("an open invoice must be paid, and is {status:?}")
    };
    proves(invoice, &preimage);
    assert!(
        !payer.profile().keeps_fee_limit || fee <= limits.max_fee,
        "a payer that keeps to a fee limit must not spend {fee} if the limit is {}",
        limits.max_fee
    );
    (preimage, fee)
}

pub(super) fn proves(invoice: &Invoice, preimage: &Preimage) {
    assert!(
        invoice.payment_hash().is_of(preimage),
        "a payment must return the preimage of the invoice's payment hash"
    );
}

/// Waits until the receiver knows that an invoice is settled.
pub(super) async fn settles<R: Receiver + ?Sized>(node: &R, invoice: &Invoice) {
    let started = Instant::now();
    loop {
        let status = invoice_status(node, invoice.payment_hash()).await;
        if status == InvoiceStatus::Settled {
            return;
        }
        assert!(
            started.elapsed() < NEWS,
            "an invoice that was paid must be settled, and is {status:?}"
        );
        sleep(PAUSE).await;
    }
}

pub(super) async fn invoice_status<R: Receiver + ?Sized>(
    node: &R,
    payment_hash: PaymentHash,
) -> InvoiceStatus {
    let looked_up = answer("lookup_invoice", node.lookup_invoice(payment_hash)).await;
    looked_up.unwrap_or_else(|error| {
        panic!("lookup_invoice must answer, also if the invoice is unknown: {error}")
    })
}

pub(super) async fn payment_status<P: Payer + ?Sized>(
    payer: &P,
    payment_hash: PaymentHash,
) -> PaymentStatus {
    let looked_up = answer("lookup_payment", payer.lookup_payment(payment_hash)).await;
    looked_up.unwrap_or_else(|error| {
        panic!("lookup_payment must answer, also if the payment is unknown: {error}")
    })
}

/// Returns the status of a payment, from a node that may not answer at once after a fault.
pub(super) async fn patient_status<P: Payer + ?Sized>(
    payer: &P,
    payment_hash: PaymentHash,
) -> PaymentStatus {
    let late = deadline(RECOVERY);
    loop {
        match answer("lookup_payment", payer.lookup_payment(payment_hash)).await {
            Ok(status) => return status,
            Err(error) => assert!(
                !late(),
                "an adapter must work again after a fault of its node, without a new adapter: {error}"
            ),
        }
        sleep(PAUSE).await;
    }
}

/// Returns a function that returns true when this time has passed.
pub(super) fn deadline(time: Duration) -> impl Fn() -> bool {
    let started = Instant::now();
    move || started.elapsed() >= time
}

pub(super) async fn answer<T>(
    call: &str,
    future: impl Future<Output = Result<T, NodeError>>,
) -> Result<T, NodeError> {
    let late = |_| {
        panic!(
            "{call} must answer within {} seconds",
            (2 * ANSWER).as_secs()
        )
    };
    timeout(2 * ANSWER, future).await.unwrap_or_else(late)
}

pub(super) fn request() -> InvoiceRequest {
    InvoiceRequest::new(Amount::from_sat(21), what(), Duration::from_secs(300))
}

pub(super) fn what() -> Description {
    Description::Hashed(b"what every node must do".to_vec())
}

/// Returns a payment hash that no node knows. It depends on the clock, so each run has another.
pub(super) fn unheard_of() -> PaymentHash {
    PaymentHash::from_bytes(
        Sha256::digest(format!("unheard of, {:?}", std::time::SystemTime::now())).into(),
    )
}

/// Runs all futures concurrently and returns their outputs in order.
pub(super) async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, output) in futures
            .iter_mut()
            .zip(&mut outputs)
            .filter(|(_, output)| output.is_none())
        {
            match future.as_mut().poll(context) {
                Poll::Ready(done) => *output = Some(done),
                Poll::Pending => pending = true,
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_names_the_description_that_was_asked_for() {
        for (description, named) in [
            (
                Description::Hashed(Vec::new()),
                "the hash of an empty description",
            ),
            (
                Description::Hashed(b"abc".to_vec()),
                "the hash of a description of 3 bytes",
            ),
            (Description::Text(String::new()), "an empty text"),
            (Description::Text("abc".to_owned()), "a text of 3 bytes"),
        ] {
            assert_eq!(described(&description), named);
        }
        assert_eq!(shown(None), "no amount");
    }
}
