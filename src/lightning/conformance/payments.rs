//! The checks of every payer.

use std::{future::poll_fn, time::Duration};

use tokio::time::timeout;

use super::asking::{
    LIMITS, NEWS, invoice_status, make, pay, payment_status, proves, settles, together, unheard_of,
    what,
};
use crate::{
    lightning::{InvoiceRequest, InvoiceStatus, Lie, LocalNode, Payer, PaymentStatus, Receiver},
    payment::Amount,
};

pub(super) async fn a_payment_is_proved_and_seen<R: Receiver + ?Sized, P: Payer + ?Sized>(
    receiver: &R,
    payer: &P,
) {
    let mut settlements = receiver.settlements();
    let (invoice, other) = (
        make(receiver, Amount::from_sat(21), what(), 300).await,
        make(receiver, Amount::from_sat(21), what(), 300).await,
    );
    let status = payment_status(payer, invoice.payment_hash()).await;
    assert!(
        matches!(status, PaymentStatus::Unknown),
        "a payment that was never tried must be unknown, and is {status:?}"
    );
    let status = payment_status(payer, unheard_of()).await;
    assert!(
        matches!(status, PaymentStatus::Unknown),
        "an unheard-of payment must be unknown, and is {status:?}"
    );

    let preimage = pay(payer, &invoice).await;
    let looked_up = payment_status(payer, invoice.payment_hash()).await;
    let PaymentStatus::Paid {
        preimage: again, ..
    } = looked_up
    else {
        panic!(
            "lookup_payment must report a payment that was made as paid, and not as {looked_up:?}"
        );
    };
    assert_eq!(
        again.expose(),
        preimage.expose(),
        "lookup_payment must return the preimage that the payment returned"
    );

    settles(receiver, &invoice).await;
    let status = invoice_status(receiver, other.payment_hash()).await;
    assert_eq!(
        status,
        InvoiceStatus::Open,
        "paying one invoice must not change others"
    );
    let shown = format!("{receiver:?} {payer:?} {receiver:#?} {payer:#?}").to_lowercase();
    assert!(
        !shown.contains(&preimage.expose_hex()),
        "Debug must not show a preimage"
    );

    let seen = timeout(NEWS, async {
        while let Some(hash) = poll_fn(|context| settlements.as_mut().poll_next(context)).await {
            if hash == invoice.payment_hash() {
                break;
            }
        }
    });
    assert!(
        seen.await.is_ok(),
        "a stream of settlements must contain each, or end at once if the node has no stream"
    );
}

pub(super) fn one_wallet_has_one_id<P: Payer + ?Sized>(payer: &P, again: &P) {
    assert_eq!(
        payer.profile().id,
        again.profile().id,
        "a wallet must have the same id after it is connected anew"
    );
}

pub(super) async fn an_invoice_of_another_network_is_not_paid<P: Payer + ?Sized>(payer: &P) {
    let stranger = LocalNode::new(); // on regtest
    if payer.profile().network == Receiver::profile(&stranger).network {
        stranger.lie(Lie::Network);
    }
    let request = InvoiceRequest::new(Amount::from_sat(21), what(), Duration::from_secs(300));
    let invoice = stranger.create_invoice(request).await;
    let invoice = invoice.unwrap_or_else(|error| panic!("a local node makes invoices: {error}"));
    let paid = payer.pay(&invoice, LIMITS).await;
    let looked_up = payment_status(payer, invoice.payment_hash()).await;
    for status in paid.into_iter().chain([looked_up]) {
        assert!(
            matches!(status, PaymentStatus::Failed | PaymentStatus::Unknown),
            "an invoice of another network must not be paid, and is {status:?}"
        );
    }
}

pub(super) async fn fractions_of_a_satoshi_are_paid<R: Receiver + ?Sized, P: Payer + ?Sized>(
    receiver: &R,
    payer: &P,
) {
    if !receiver.profile().whole_sats_only {
        let invoice = make(receiver, Amount::from_msat(21_001), what(), 300).await;
        pay(payer, &invoice).await;
        settles(receiver, &invoice).await;
    }
}

pub(super) async fn paying_again_pays_once<R: Receiver + ?Sized, P: Payer + ?Sized>(
    receiver: &R,
    payer: &P,
) {
    let invoice = make(receiver, Amount::from_sat(21), what(), 300).await;
    let first = pay(payer, &invoice).await;
    settles(receiver, &invoice).await;
    let second = pay(payer, &invoice).await;
    assert_eq!(
        first.expose(),
        second.expose(),
        "paying an invoice again must give the same preimage"
    );
}

pub(super) async fn paying_at_the_same_time_pays_once<R: Receiver + ?Sized, P: Payer + ?Sized>(
    receiver: &R,
    payer: &P,
) {
    let invoice = make(receiver, Amount::from_sat(21), what(), 300).await;
    let payments = together((0..5).map(|_| payer.pay(&invoice, LIMITS)).collect()).await;
    for payment in payments {
        match payment {
            Ok(PaymentStatus::Paid { preimage, .. }) => proves(&invoice, &preimage),
            Ok(PaymentStatus::InFlight) => {}
            Err(error) if error.may_have_paid() => {}
            Ok(status) => panic!(
                "an invoice that is being paid must be paid or in flight for every caller, and is {status:?}"
            ),
            Err(error) => panic!(
                "an error while an invoice is being paid must say that money may have left: {error}"
            ),
        }
    }
    settles(receiver, &invoice).await;
    pay(payer, &invoice).await;
}

pub(super) async fn many_payments_at_the_same_time_are_kept_apart<
    R: Receiver + ?Sized,
    P: Payer + ?Sized,
>(
    receiver: &R,
    payer: &P,
) {
    let one = || async {
        let invoice = make(receiver, Amount::from_sat(21), what(), 300).await;
        pay(payer, &invoice).await;
        settles(receiver, &invoice).await;
    };
    together((0..8).map(|_| one()).collect()).await;
}
