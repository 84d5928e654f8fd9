//! The checks of payments that are interrupted: by the node's end, by ours, or between them.

use std::pin::pin;

use tokio::time::sleep;

use super::{
    Fault, Faults,
    asking::{
        ANSWER, LIMITS, PAUSE, answer, deadline, make, patient_status, pay, payment_status, proves,
        settles, what,
    },
    outages::may_have_left,
    payments::one_wallet_has_one_id,
};
use crate::{
    lightning::{Payer, PaymentStatus, Receiver},
    payment::{Amount, Invoice, Preimage},
};

pub(super) async fn a_node_killed_in_mid_payment_tells_the_outcome_later<F: Faults + ?Sized>(
    node: &F,
) {
    let (receiver, payer) = (&*node.receiver().await, &*node.payer().await);
    let watcher = &*node.payer().await;
    let invoice = make(receiver, Amount::from_sat(21), what(), 3_600).await;
    node.begin(Fault::PendingPayments).await;
    let killed = async {
        is_in_flight(watcher, &invoice).await;
        node.begin(Fault::Down).await;
    };
    let (attempt, ()) = tokio::join!(answer("pay", payer.pay(&invoice, LIMITS)), killed);
    is_in_doubt(may_have_left(&attempt));
    let looked_up = answer(
        "lookup_payment",
        watcher.lookup_payment(invoice.payment_hash()),
    );
    match looked_up.await {
        Ok(PaymentStatus::InFlight) | Err(_) => {}
        Ok(status) => {
            panic!("a payment whose node is down must be an error or in flight, and is {status:?}")
        }
    }
    node.end().await;
    ends(receiver, [payer, &*node.payer().await], &invoice).await;
}

pub(super) async fn a_restart_of_the_process_loses_no_payment<F: Faults + ?Sized>(node: &F) {
    let receiver = &*node.receiver().await;
    let invoice = make(receiver, Amount::from_sat(21), what(), 3_600).await;
    node.begin(Fault::PendingPayments).await;
    {
        let (payer, watcher) = (node.payer().await, node.payer().await);
        one_wallet_has_one_id(&*payer, &*watcher);
        let mut paying = pin!(answer("pay", payer.pay(&invoice, LIMITS)));
        let mut seen = pin!(is_in_flight(&*watcher, &invoice));
        tokio::select! {
            attempt = &mut paying => {
                is_in_doubt(may_have_left(&attempt));
                seen.await;
            }
            () = &mut seen => {}
        }
    }
    let restarted = &*node.payer().await;
    let status = payment_status(restarted, invoice.payment_hash()).await;
    assert!(
        matches!(status, PaymentStatus::InFlight),
        "after a restart of the process, a payment that it began must be in flight, and is {status:?}"
    );
    node.end().await;
    ends(receiver, [restarted, &*node.payer().await], &invoice).await;
}

pub(super) async fn a_payment_whose_answer_is_lost_is_found<F: Faults + ?Sized>(node: &F) {
    let (receiver, payer) = (&*node.receiver().await, &*node.payer().await);
    let invoice = make(receiver, Amount::from_sat(21), what(), 3_600).await;
    node.begin(Fault::LostAnswers).await;
    match answer("pay", payer.pay(&invoice, LIMITS)).await {
        Ok(PaymentStatus::Paid { preimage, .. }) => proves(&invoice, &preimage),
        attempt => is_in_doubt(may_have_left(&attempt)),
    }
    node.end().await;
    let restarted = &*node.payer().await;
    for payer in [payer, restarted] {
        let status = outcome(payer, &invoice).await;
        assert!(
            matches!(status, PaymentStatus::Paid { .. }),
            "a payment whose answer was lost must be paid, and is {status:?}"
        );
    }
    ends(receiver, [payer, restarted], &invoice).await;
}

fn is_in_doubt(in_doubt: bool) {
    assert!(
        in_doubt,
        "an error of pay after the payment began must say that money may have left"
    );
}

/// Waits until another adapter sees the payment in flight.
async fn is_in_flight<P: Payer + ?Sized>(watcher: &P, invoice: &Invoice) {
    let late = deadline(ANSWER);
    loop {
        let status = payment_status(watcher, invoice.payment_hash()).await;
        match status {
            PaymentStatus::InFlight => return,
            PaymentStatus::Unknown if !late() => sleep(PAUSE).await,
            status => panic!(
                "while payments stay in flight, lookup_payment must say so, and it says {status:?}"
            ),
        }
    }
}

/// Waits until the payment has succeeded or failed.
async fn outcome<P: Payer + ?Sized>(payer: &P, invoice: &Invoice) -> PaymentStatus {
    let late = deadline(ANSWER);
    loop {
        match patient_status(payer, invoice.payment_hash()).await {
            PaymentStatus::InFlight if !late() => sleep(PAUSE).await,
            status @ (PaymentStatus::Failed | PaymentStatus::Paid { .. }) => return status,
            status => panic!(
                "a payment that was under way must have succeeded or failed in the end, and is {status:?}"
            ),
        }
    }
}

/// Checks that both payers find the same outcome. If it failed, the second one pays.
async fn ends<R: Receiver + ?Sized, P: Payer + ?Sized>(
    receiver: &R,
    payers: [&P; 2],
    invoice: &Invoice,
) {
    let [first, second] = payers;
    let preimage: Preimage = match outcome(first, invoice).await {
        PaymentStatus::Paid { preimage, .. } => preimage,
        _ => pay(second, invoice).await,
    };
    proves(invoice, &preimage);
    settles(receiver, invoice).await;
    for payer in payers {
        let again = pay(payer, invoice).await;
        assert_eq!(
            again.expose(),
            preimage.expose(),
            "paying again after a restart must give the same preimage"
        );
        let status = outcome(payer, invoice).await;
        assert!(
            matches!(status, PaymentStatus::Paid { .. }),
            "a payment that was made must stay paid for each adapter, and is {status:?}"
        );
    }
}
