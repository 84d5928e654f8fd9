//! How fast a node is. Run with `--show-output`.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, future::join_all, stream};
use tower_x402::{
    Amount, Invoice,
    lightning::{Description, InvoiceRequest, PayLimits, Payer, PaymentStatus, Receiver},
};

const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(30));

/// How many invoices are made and paid.
const COUNT: usize = 64;

async fn asks(node: &impl Receiver) -> Invoice {
    let what = Description::Hashed(b"a test".to_vec());
    let request = InvoiceRequest::new(Amount::from_sat(21), what, Duration::from_secs(300));
    node.create_invoice(request).await.unwrap()
}

/// Prints how fast a node is, in a line that `scripts/nodes test` repeats.
pub(crate) async fn measured(kind: &str, receiver: &impl Receiver, payer: &impl Payer) {
    let mut times = Vec::new();
    let mut made = Vec::new();
    for _ in 0..COUNT {
        let start = Instant::now();
        made.push(asks(receiver).await);
        times.push(start.elapsed());
    }
    times.sort();
    let start = Instant::now();
    join_all((0..COUNT).map(|_| asks(receiver))).await;
    let at_once = start.elapsed();
    let start = Instant::now();
    let paid = stream::iter(&made)
        .map(|invoice| payer.pay(invoice, LIMITS))
        .buffer_unordered(8);
    let paid: Vec<_> = paid.collect().await;
    let paid = paid
        .into_iter()
        .filter(|paid| matches!(paid, Ok(PaymentStatus::Paid { .. })));
    assert_eq!(paid.count(), COUNT);
    println!(
        "{kind}: an invoice in {:.1} ms, {COUNT} at once in {:.0} ms, {:.0} payments a second",
        times[COUNT / 2].as_secs_f64() * 1e3,
        at_once.as_secs_f64() * 1e3,
        COUNT as f64 / start.elapsed().as_secs_f64()
    );
}
