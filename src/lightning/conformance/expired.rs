//! The checks of invoices that expired.

use std::time::Duration;

use tokio::time::sleep;

use super::asking::{LIMITS, PAUSE, answer, invoice_status, make, payment_status, what};
use crate::{
    clock::{Clock as _, SystemClock},
    lightning::{InvoiceStatus, Payer, PaymentStatus, Receiver},
    payment::{Amount, Invoice},
};

/// Makes an invoice that expires while the other checks run.
pub(super) async fn soon<R: Receiver + ?Sized>(receiver: &R) -> Invoice {
    make(receiver, Amount::from_sat(21), what(), 1).await
}

pub(super) async fn an_expired_invoice_is_reported<R: Receiver + ?Sized>(
    receiver: &R,
    invoice: &Invoice,
) {
    // Some nodes count whole seconds.
    let end = invoice.expires_at().saturating_add(Duration::from_secs(1));
    while SystemClock::new().now() < end {
        sleep(PAUSE).await;
    }
    is_expired(receiver, invoice).await;
}

pub(super) async fn an_expired_invoice_is_not_paid<R: Receiver + ?Sized, P: Payer + ?Sized>(
    receiver: &R,
    payer: &P,
    invoice: &Invoice,
) {
    an_expired_invoice_is_reported(receiver, invoice).await;
    match answer("pay", payer.pay(invoice, LIMITS)).await {
        Ok(PaymentStatus::Failed) => {}
        Ok(status) => panic!("an expired invoice must not be paid, and is {status:?}"),
        Err(error) => assert!(
            !error.may_have_paid(),
            "an expired invoice must surely not be paid: {error}"
        ),
    }
    let status = payment_status(payer, invoice.payment_hash()).await;
    assert!(
        matches!(status, PaymentStatus::Failed | PaymentStatus::Unknown),
        "lookup_payment must not report an expired invoice as {status:?}"
    );
    is_expired(receiver, invoice).await;
}

async fn is_expired<R: Receiver + ?Sized>(receiver: &R, invoice: &Invoice) {
    let status = invoice_status(receiver, invoice.payment_hash()).await;
    assert_eq!(
        status,
        InvoiceStatus::Expired,
        "an invoice that nobody paid in time must be expired"
    );
}
