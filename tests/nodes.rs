//! Runs the conformance suites against every node of this crate, and tests what is specific to
//! each.

#[cfg(unix)]
#[path = "nodes/cln/mod.rs"]
mod cln;
#[path = "nodes/devnet.rs"]
mod devnet;
#[path = "nodes/local.rs"]
mod local;
#[path = "nodes/nwc/mod.rs"]
mod nwc;

use std::time::Duration;

use tower_x402::{
    Amount, Invoice, Preimage,
    lightning::{Description, InvoiceRequest, PayLimits, Payer, PaymentStatus, Receiver},
};

const LIMITS: PayLimits = PayLimits::new(Amount::ZERO, Duration::from_secs(30));

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
