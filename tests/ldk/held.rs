//! A payment that its payee holds while the paying process restarts.

use std::{sync::Arc, time::Duration};

use ldk_node::{
    Event, Node,
    lightning::types::payment::{PaymentHash, PaymentPreimage},
    lightning_invoice::{Bolt11InvoiceDescription, Description},
};
use sha2::{Digest as _, Sha256};
use tower_x402::{
    Invoice,
    lightning::{LdkNode, PayLimits, Payer, PaymentStatus},
};

use crate::{LIMITS, until};

/// Nobody else handles the events of `payee`. Returns the paying node after its restart.
pub(crate) async fn a_held_payment_is_in_flight_after_a_restart_and_made_once(
    paying: Arc<Node>,
    payee: &Node,
    restart: impl FnOnce() -> Arc<Node>,
) -> Arc<Node> {
    let preimage = [7; 32];
    let hash = PaymentHash(Sha256::digest(preimage).into());
    let what = Bolt11InvoiceDescription::Direct(Description::new("held".to_owned()).unwrap());
    let held = payee.bolt11_payment();
    let invoice = held.receive_for_hash(21_000, &what, 3_600, hash).unwrap();
    let invoice = Invoice::parse(&invoice.to_string()).unwrap();
    let sent = paying.list_payments().len() + 1;
    let brief = PayLimits::new(LIMITS.max_fee, Duration::from_millis(100));

    let payer = LdkNode::builder(Arc::clone(&paying)).build().unwrap();
    in_flight(&payer.pay(&invoice, brief).await.unwrap());
    loop {
        let event = payee.next_event_async().await;
        payee.event_handled().unwrap();
        if matches!(event, Event::PaymentClaimable { payment_hash, .. } if payment_hash == hash) {
            break;
        }
    }
    paying.stop().unwrap();
    drop((payer, paying));

    let paying = restart();
    let payer = LdkNode::builder(Arc::clone(&paying)).build().unwrap();
    in_flight(&payer.lookup_payment(invoice.payment_hash()).await.unwrap());
    in_flight(&payer.pay(&invoice, brief).await.unwrap());
    held.claim_for_hash(hash, 21_000, PaymentPreimage(preimage))
        .unwrap();
    until("the held payment", async || {
        match payer.lookup_payment(invoice.payment_hash()).await.unwrap() {
            PaymentStatus::Paid { preimage: told, .. } => {
                assert_eq!(told.expose(), &preimage);
                true
            }
            status => {
                in_flight(&status);
                false
            }
        }
    })
    .await;
    let again = payer.pay(&invoice, LIMITS).await.unwrap();
    assert!(matches!(again, PaymentStatus::Paid { .. }), "{again:?}");
    assert_eq!(paying.list_payments().len(), sent);
    paying
}

fn in_flight(status: &PaymentStatus) {
    assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
}
