//! The checks of an adapter whose node gives false answers.

use super::{
    Fault, Faults,
    asking::{
        LIMITS, answer, is_as_requested, make, patient_status, pay, proves, request, settles,
        shown, what,
    },
};
use crate::{
    lightning::{InvoiceStatus, NodeError, NodeErrorKind, PaymentStatus},
    payment::{Amount, Invoice},
};

pub(super) async fn a_payment_without_its_preimage_is_in_doubt<F: Faults + ?Sized>(
    node: &F,
    lie: Fault,
) {
    let (receiver, payer) = (&*node.receiver().await, &*node.payer().await);
    let invoice = make(receiver, Amount::from_sat(21), what(), 3_600).await;
    node.begin(lie).await;
    let paid = answer("pay", payer.pay(&invoice, LIMITS)).await;
    let looked_up = answer(
        "lookup_payment",
        payer.lookup_payment(invoice.payment_hash()),
    );
    let looked_up = looked_up.await;
    let mut said = String::new();
    for (call, result) in [("pay", paid), ("lookup_payment", looked_up)] {
        let error = match result {
            Err(error) => error,
            Ok(status) => panic!(
                "{call} must fail if the node says that it paid and does not prove it ({lie:?}), and says {status:?}"
            ),
        };
        is_bad_answer(call, lie, &error);
        assert!(
            error.may_have_paid(),
            "{call} must say that money may have left, because the node says so ({lie:?}): {error}"
        );
        said += &format!("{error} {error:?}");
    }
    node.end().await;
    let again = &*node.payer().await;
    let status = patient_status(payer, invoice.payment_hash()).await;
    let PaymentStatus::Paid { preimage, .. } = status else {
        panic!("a payment must be found when the node tells the truth again, and is {status:?}")
    };
    proves(&invoice, &preimage);
    settles(receiver, &invoice).await;
    for payer in [payer, again] {
        assert_eq!(pay(payer, &invoice).await.expose(), preimage.expose());
    }
    assert!(
        !said.contains(&preimage.expose_hex()) && !said.contains(invoice.as_str()),
        "an error must not repeat a preimage or what stood in its place ({lie:?})"
    );
}

pub(super) async fn an_invoice_of_another_amount_is_refused<F: Faults + ?Sized>(node: &F) {
    let receiver = &*node.receiver().await;
    node.begin(Fault::OtherAmount).await;
    match answer("create_invoice", receiver.create_invoice(request())).await {
        Err(error) => is_sure("create_invoice", Fault::OtherAmount, &error),
        Ok(invoice) => panic!(
            "create_invoice must check the amount: asked for {}, got {}",
            request().amount,
            shown(invoice.amount())
        ),
    }
    node.end().await;
    make(receiver, Amount::from_sat(21), what(), 300).await;
}

/// An adapter may ignore a hash that it does not need.
pub(super) async fn another_payment_hash_is_not_believed<F: Faults + ?Sized>(node: &F) {
    let (receiver, payer) = (&*node.receiver().await, &*node.payer().await);
    let make = || make(receiver, Amount::from_sat(21), what(), 3_600);
    let (open, paid, unpaid): (Invoice, Invoice, Invoice) =
        (make().await, make().await, make().await);
    let preimage = pay(payer, &paid).await;
    settles(receiver, &paid).await;
    let lie = Fault::OtherHash;

    node.begin(lie).await;
    match answer("create_invoice", receiver.create_invoice(request())).await {
        Err(error) => is_sure("create_invoice", lie, &error),
        Ok(invoice) => is_as_requested(receiver, &invoice, &request()),
    }
    for (invoice, truth) in [
        (&open, InvoiceStatus::Open),
        (&paid, InvoiceStatus::Settled),
    ] {
        match answer(
            "lookup_invoice",
            receiver.lookup_invoice(invoice.payment_hash()),
        )
        .await
        {
            Err(error) => is_sure("lookup_invoice", lie, &error),
            Ok(status) => assert_eq!(
                status, truth,
                "lookup_invoice must not take the status of another invoice for that of this one"
            ),
        }
    }
    for (call, invoice, payment) in [
        (
            "lookup_payment",
            &paid,
            payer.lookup_payment(paid.payment_hash()),
        ),
        ("pay", &paid, payer.pay(&paid, LIMITS)),
        ("pay", &unpaid, payer.pay(&unpaid, LIMITS)),
    ] {
        match answer(call, payment).await {
            Ok(PaymentStatus::Paid { preimage, .. }) => proves(invoice, &preimage),
            Ok(PaymentStatus::InFlight) => {}
            Err(error) => assert!(
                error.may_have_paid(),
                "{call} must say that money may have left: {error}"
            ),
            Ok(status) => {
                panic!("{call} must not take another payment for this one, and says {status:?}")
            }
        }
    }
    node.end().await;
    assert_eq!(pay(payer, &paid).await.expose(), preimage.expose());
    pay(payer, &unpaid).await;
    settles(receiver, &unpaid).await;
}

fn is_bad_answer(call: &str, lie: Fault, error: &NodeError) {
    assert_eq!(
        error.kind(),
        NodeErrorKind::BadAnswer,
        "{call} must say that the node gave a bad answer ({lie:?}): {error}"
    );
}

fn is_sure(call: &str, lie: Fault, error: &NodeError) {
    is_bad_answer(call, lie, error);
    assert!(
        !error.may_have_paid(),
        "{call} pays nothing, so its error must not say that money may have left ({lie:?}): {error}"
    );
}
