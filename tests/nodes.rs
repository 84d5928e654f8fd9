//! Runs the conformance suites against every node of this crate, and tests what is specific to
//! each.

#[path = "nodes/adapter.rs"]
mod adapter;
#[path = "flow/buyer.rs"]
mod buyer;
#[cfg(unix)]
#[path = "nodes/cln/mod.rs"]
mod cln;
#[path = "nodes/devnet.rs"]
mod devnet;
#[path = "nodes/electrum.rs"]
mod electrum;
#[path = "nodes/fake/mod.rs"]
mod fake;
#[path = "server/journal.rs"]
mod journal;
#[path = "nodes/lnbits.rs"]
mod lnbits;
#[path = "nodes/lnd.rs"]
mod lnd;
#[path = "nodes/lnd_connect.rs"]
mod lnd_connect;
#[path = "nodes/lnd_pay.rs"]
mod lnd_pay;
#[path = "nodes/lnd_shop.rs"]
mod lnd_shop;
#[path = "nodes/lnd_states.rs"]
mod lnd_states;
#[path = "nodes/local.rs"]
mod local;
#[path = "nodes/measured.rs"]
mod measured;
#[path = "nodes/nwc/mod.rs"]
mod nwc;
#[path = "nodes/phoenixd.rs"]
mod phoenixd;
#[path = "flow/purchase.rs"]
mod purchase;
#[path = "nodes/real.rs"]
mod real;
#[path = "nodes/real_aperture.rs"]
mod real_aperture;
#[path = "nodes/real_down.rs"]
mod real_down;
#[path = "nodes/real_faults.rs"]
mod real_faults;
#[path = "nodes/real_killed.rs"]
mod real_killed;
#[path = "nodes/real_locked.rs"]
mod real_locked;
#[path = "nodes/real_sells.rs"]
mod real_sells;
#[path = "nodes/rest.rs"]
mod rest;
#[path = "nodes/selling.rs"]
mod selling;
#[allow(dead_code, reason = "the tests in `tests/flow` use all of it")]
#[path = "flow/site.rs"]
mod site;
#[path = "nodes/starting.rs"]
mod starting;
#[path = "nodes/suites/mod.rs"]
mod suites;

use std::time::Duration;

use tower_x402::{
    Amount, Invoice, PaymentHash, Preimage,
    lightning::{
        Description, InvoiceRequest, NodeError, PayLimits, Payer, PaymentStatus, Receiver,
    },
};

const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(1), Duration::from_secs(30));

async fn invoice(node: &impl Receiver, sat: u32, seconds: u64) -> Invoice {
    let what = Description::Hashed(b"a test".to_vec());
    node.create_invoice(InvoiceRequest::new(
        Amount::from_sat(sat),
        what,
        Duration::from_secs(seconds),
    ))
    .await
    .expect("an invoice")
}

/// Asks for an invoice of 21 satoshis.
async fn asks(node: &impl Receiver) -> Result<Invoice, NodeError> {
    let what = Description::Hashed(b"a test".to_vec());
    let expiry = Duration::from_secs(300);
    node.create_invoice(InvoiceRequest::new(Amount::from_sat(21), what, expiry))
        .await
}

fn unheard_of() -> PaymentHash {
    PaymentHash::from_bytes([3; 32])
}

#[track_caller]
fn preimage(invoice: &Invoice, status: PaymentStatus) -> Preimage {
    let PaymentStatus::Paid { preimage, .. } = status else {
        panic!("not paid but {status:?}")
    };
    assert!(invoice.payment_hash().is_of(&preimage));
    preimage
}

async fn pays(node: &impl Payer, invoice: &Invoice) -> Preimage {
    preimage(invoice, node.pay(invoice, LIMITS).await.expect("a payment"))
}
