//! The checks of a payer's fee limit.

use super::asking::{LIMITS, answer, make, pay_within, payment_status, settles};
use crate::{
    lightning::{Description, PayLimits, Payer, PaymentStatus, Receiver},
    payment::{Amount, Invoice},
};

pub(super) async fn a_fee_above_the_limit_is_not_paid<R: Receiver + ?Sized, P: Payer + ?Sized>(
    receiver: &R,
    payer: &P,
) {
    assert!(
        payer.profile().keeps_fee_limit,
        "a payer must keep to a fee limit, and its profile must say so, before this suite can check it"
    );
    let invoice = costly(receiver).await;
    let (_, fee) = pay_within(payer, &invoice, LIMITS).await;
    assert!(
        !fee.is_zero(),
        "the test must pay a receiver that costs a fee: one that is no direct peer of the payer"
    );

    let too_low = Amount::from_msat(fee.as_msat().saturating_sub(1));
    for max_fee in [Amount::ZERO, too_low] {
        let invoice = costly(receiver).await;
        let limits = PayLimits::new(max_fee, LIMITS.time);
        match answer("pay", payer.pay(&invoice, limits)).await {
            Ok(PaymentStatus::Failed) => {}
            Ok(status) => panic!(
                "a payment that costs {fee} must fail if the limit is {max_fee}, and is {status:?}"
            ),
            Err(error) => assert!(
                !error.may_have_paid(),
                "a payment that costs {fee} must surely fail if the limit is {max_fee}: {error}"
            ),
        }
        let status = payment_status(payer, invoice.payment_hash()).await;
        assert!(
            matches!(status, PaymentStatus::Failed | PaymentStatus::Unknown),
            "a payment above the fee limit must have failed, and is {status:?}"
        );
    }

    let invoice = costly(receiver).await;
    pay_within(payer, &invoice, PayLimits::new(fee, LIMITS.time)).await;
    settles(receiver, &invoice).await;
}

/// Makes an invoice with a text, because a node that is only the payee here may know no hashes.
async fn costly<R: Receiver + ?Sized>(receiver: &R) -> Invoice {
    let what = Description::Text("a payment that costs a fee".to_owned());
    make(receiver, Amount::from_sat(21), what, 3_600).await
}
