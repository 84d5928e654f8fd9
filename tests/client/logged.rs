//! What a payment says in the log.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use tower_x402::{Charge, ledger::Budget};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::{
    bank::{Bank, entries, sat},
    shop::{self, ALL, URL},
    stall::{ask, client, get},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_payment_is_a_span_with_its_outcome_and_without_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let (bank, hash) = tracing::subscriber::with_default(subscriber, || {
        tokio_test::block_on(async {
            let bank = Bank::new();
            let ledger = bank.ledger();
            let builder = bank.builder(&ledger).budget(Budget::total(sat(12)));
            let wallet = builder.build().await.unwrap();
            let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
            ask(&client, get(URL)).await.unwrap();
            let hash = entries(&ledger)[0].payment_hash();
            (bank, hash)
        })
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let span = text.lines().find(|line| line.contains("payment{")).unwrap();
    for part in [
        "host=\"api.example.com\"",
        "msat=10000",
        "outcome=\"paid\"",
        &format!("payment_hash={hash}"),
    ] {
        assert!(span.contains(part), "{span}");
    }
    assert!(
        text.contains("WARN tower_x402: nearly used up: the budget wallet allows 12 sat"),
        "{text}"
    );
    let preimage = bank.node.preimage_of(hash).unwrap().expose_hex();
    assert!(
        !text.contains(&preimage) && !text.contains("city=oslo"),
        "{text}"
    );
}
