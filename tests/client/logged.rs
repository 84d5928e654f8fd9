//! What a payment says in the log.

use tower_x402::{Charge, ledger::Budget};

use crate::{
    bank::{Bank, entries, sat},
    journal::Journal,
    shop::{self, ALL, URL},
    stall::{ask, client, get},
};

#[tokio::test]
async fn a_payment_is_a_span_with_its_outcome_and_without_a_secret() {
    let journal = Journal::begin();
    let bank = Bank::new();
    let ledger = bank.ledger();
    let builder = bank.builder(&ledger).budget(Budget::total(sat(12)));
    let wallet = builder.build().await.unwrap();
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    ask(&client, get(URL)).await.unwrap();
    let hash = entries(&ledger)[0].payment_hash();
    let text = journal.lines();
    for part in [
        format!(" host=\"api.example.com\" msat=10000 dialect=\"x402\" payment_hash={hash}\n"),
        " outcome=\"paid\"".to_owned(),
        format!(
            " message=paid host=\"api.example.com\" msat=10000 fee_msat=0 dialect=\"x402\" payment_hash={hash}"
        ),
        "nearly used up: the budget wallet allows 12 sat in total".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} is not in {text}");
    }
    let preimage = bank.node.preimage_of(hash).unwrap().expose_hex();
    let client_lines = text.lines().filter(|line| line.contains("payment_hash="));
    assert!(!text.contains(&preimage));
    assert!(
        client_lines
            .into_iter()
            .all(|line| !line.contains("city=oslo")),
        "{text}"
    );
}
