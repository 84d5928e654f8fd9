//! A ledger that is used with another payer than before.

use std::time::Duration;

use tower_x402::{
    Charge,
    client::PayErrorKind,
    ledger::{EntryState, Ledger},
    lightning::Payments,
};

use crate::{
    bank::{Bank, entries, sat},
    shop::{self, ALL, URL},
    stall::{ask, client, get},
};

/// A payment of the bank that is in flight, and whose invoice is long over.
async fn in_flight() -> (Bank, Ledger) {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    bank.node.payments(Payments::StayInFlight);
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::InFlight);
    bank.clock.advance(Duration::from_secs(7_200));
    (bank, ledger)
}

#[tokio::test]
async fn a_payment_of_another_payer_is_never_taken_for_failed() {
    let (bank, ledger) = in_flight().await;
    let other = bank.another();
    let wallet = other.wallet(&ledger).await;
    let recovered = wallet.recover().await.unwrap();
    assert_eq!((recovered.unresolved, recovered.failed), (1, 0));
    assert_eq!(wallet.budget().unwrap().reserved, sat(11));

    // Nor does the same request lead to a second payment.
    let (buys, _) = client(&wallet, shop::sells(&other, ALL, Charge::new(sat(10))));
    let error = ask(&buys, get(URL)).await.unwrap_err();
    assert_eq!((error.kind(), other.asked()), (PayErrorKind::InFlight, 0));

    // Its own payer knows it.
    let wallet = bank.wallet(&ledger).await;
    bank.node
        .settle(entries(&ledger)[0].payment_hash())
        .unwrap();
    assert_eq!(wallet.recover().await.unwrap().paid, 1);
}

#[tokio::test]
async fn a_payment_that_failed_at_another_payer_is_not_taken_for_failed() {
    let (bank, ledger) = in_flight().await;
    // The same node, under another name: its word counts for nothing.
    let hash = entries(&ledger)[0].payment_hash();
    assert!(bank.node.fail_payment(hash));
    let mut other = bank.clone();
    other.network = tower_x402::Network::Signet;
    let wallet = other.wallet(&ledger).await;
    assert_eq!(wallet.recover().await.unwrap().unresolved, 1);
    let wallet = bank.wallet(&ledger).await;
    assert_eq!(wallet.recover().await.unwrap().failed, 1);
}

#[tokio::test]
async fn what_a_replaced_payer_was_asked_for_counts_as_spent_once_a_person_clears_it() {
    let (bank, ledger) = in_flight().await;
    let other = bank.another();
    let wallet = other.wallet(&ledger).await;
    ledger.cleared(entries(&ledger)[0].id()).await.unwrap();
    let recovered = wallet.recover().await.unwrap();
    assert_eq!((recovered.unproved, recovered.unresolved), (1, 0));
    assert_eq!(entries(&ledger)[0].state(), EntryState::Unproved);
    assert_eq!(wallet.budget().unwrap().spent, sat(11));

    let (buys, _) = client(&wallet, shop::sells(&other, ALL, Charge::new(sat(10))));
    assert_eq!(ask(&buys, get(URL)).await.unwrap().status(), 200);
    assert_eq!(wallet.budget().unwrap().spent, sat(21));
}

#[tokio::test]
async fn what_a_person_cleared_is_not_given_up_while_a_wallet_has_its_payer() {
    let (bank, ledger) = in_flight().await;
    let own = bank.wallet(&ledger).await;
    let other = bank.another();
    ledger.cleared(entries(&ledger)[0].id()).await.unwrap();
    let recovered = other.wallet(&ledger).await.recover().await.unwrap();
    assert_eq!((recovered.unproved, recovered.unresolved), (0, 1));
    let hash = entries(&ledger)[0].payment_hash();
    bank.node.settle(hash).unwrap();
    assert_eq!(own.recover().await.unwrap().paid, 1);
}

#[tokio::test]
async fn a_payer_that_comes_back_proves_what_was_given_up() {
    let (bank, ledger) = in_flight().await;
    let other = bank.another();
    ledger.cleared(entries(&ledger)[0].id()).await.unwrap();
    let recovered = other.wallet(&ledger).await.recover().await.unwrap();
    assert_eq!(recovered.unproved, 1);
    bank.node
        .settle(entries(&ledger)[0].payment_hash())
        .unwrap();
    let own = bank.wallet(&ledger).await;
    assert_eq!(own.recover().await.unwrap().paid, 1);
    assert_eq!(entries(&ledger)[0].state(), EntryState::Paid);
}
