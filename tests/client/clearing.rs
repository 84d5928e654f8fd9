//! Trouble that a person clears from another process.

use tempfile::TempDir;
use tower_x402::{
    client::{NotTaken, PayErrorKind, Wallet},
    ledger::{BeginRefusal, EntryId, EntryState, Ledger, LedgerErrorKind, LedgerOptions},
    lightning::Payments,
};

use crate::{
    bank::{Bank, sat},
    hostile::{invoice, l402, sells},
    shop::URL,
    stall::{Client, ask, client, get},
};

fn open() -> (Bank, TempDir, Ledger) {
    let bank = Bank::new();
    let folder = tempfile::tempdir().unwrap();
    let options = LedgerOptions::new().clock(bank.clock.clone());
    let ledger = Ledger::open_with(folder.path(), options).unwrap();
    (bank, folder, ledger)
}

/// A client of a server that takes money and serves nothing.
fn thief(bank: &Bank, wallet: &Wallet) -> Client {
    let node = bank.node.clone();
    let (client, _) = client(wallet, move |_| {
        let node = node.clone();
        async move { l402(&invoice(&node, sat(1)).await) }
    });
    client
}

#[tokio::test]
async fn a_person_clears_trouble_while_the_ledger_is_open_and_its_host_is_paid_again() {
    let (bank, folder, ledger) = open();
    let wallet = bank.wallet(&ledger).await;
    let thief = thief(&bank, &wallet);
    let error = ask(&thief, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::RefusedAfterPayment);
    let (honest, _) = client(&wallet, sells(&bank.node, sat(1)));
    let error = ask(&honest, get(URL)).await.unwrap_err();
    let NotTaken::Ledger(BeginRefusal::HostInTrouble { entries, .. }) = error.offers()[0].why()
    else {
        panic!("{error}");
    };
    let [id] = entries[..] else {
        panic!("one is in trouble")
    };
    // Another entry's name changes nothing.
    Ledger::ask_to_clear(folder.path(), EntryId::from_bytes([1; 16])).unwrap();
    ask(&honest, get(URL)).await.unwrap_err();
    // Asked twice, it is cleared once.
    for _ in 0..2 {
        Ledger::ask_to_clear(folder.path(), id).unwrap();
    }
    ask(&honest, get(URL)).await.unwrap();
    assert!(ledger.entry(id).unwrap().unwrap().is_cleared());
    let left = std::fs::read_dir(folder.path().join("cleared")).unwrap();
    assert_eq!(left.count(), 1, "what was done is not asked for any more");

    let nowhere = Ledger::ask_to_clear(folder.path().join("none"), id);
    assert_eq!(nowhere.unwrap_err().kind(), LedgerErrorKind::Unknown);
}

#[tokio::test]
async fn a_request_to_clear_ends_with_the_trouble_that_it_was_for() {
    let (bank, folder, ledger) = open();
    let wallet = bank.wallet(&ledger).await;
    bank.node.payments(Payments::StayInFlight);
    let thief = thief(&bank, &wallet);
    let error = ask(&thief, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::InFlight);
    let entry = ledger.entry(error.entry().unwrap()).unwrap().unwrap();
    Ledger::ask_to_clear(folder.path(), entry.id()).unwrap();
    bank.node.settle(entry.payment_hash()).unwrap();
    bank.node.payments(Payments::Succeed);
    // What arrived after all is presented, and refused: nobody asked to clear that.
    let error = ask(&thief, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::RefusedAfterPayment);
    let error = ask(&thief, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid);
    let entry = ledger.entry(entry.id()).unwrap().unwrap();
    assert!(entry.state() == EntryState::Refused && !entry.is_cleared());
}

#[tokio::test]
async fn a_payment_of_a_replaced_payer_is_cleared_from_another_process_too() {
    let (bank, folder, ledger) = open();
    bank.node.payments(Payments::StayInFlight);
    let (old, _) = client(&bank.wallet(&ledger).await, sells(&bank.node, sat(1)));
    let error = ask(&old, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::InFlight);
    drop(old);

    let other = bank.another();
    let (new, _) = client(&other.wallet(&ledger).await, sells(&other.node, sat(1)));
    let error = ask(&new, get(URL)).await.unwrap_err();
    assert_eq!((error.kind(), other.asked()), (PayErrorKind::InFlight, 0));
    Ledger::ask_to_clear(folder.path(), error.entry().unwrap()).unwrap();
    assert_eq!(ask(&new, get(URL)).await.unwrap().status(), 200);
}
