//! Payers that report what is not so.

use tower_x402::{
    Charge,
    client::{Money, NotTaken, PayErrorKind},
    ledger::{BeginRefusal, EntryState},
};

use crate::{
    bank::{Bank, Report, entries, sat},
    shop::{self, ALL, URL},
    stall::{ask, client, credentials, get},
};

#[tokio::test]
async fn a_payment_without_its_preimage_counts_as_spent_and_presents_nothing() {
    for (report, why) in [
        (Report::FalsePreimage, "not the invoice's"),
        (Report::NoPreimage, "cannot be used"),
    ] {
        for dialect in ALL {
            let bank = Bank::new();
            let ledger = bank.ledger();
            let wallet = bank.wallet_of(&ledger, dialect).await;
            let (client, seen) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
            bank.lies(report);
            let error = ask(&client, get(URL)).await.unwrap_err();
            assert_eq!(error.kind(), PayErrorKind::Unproved, "{error}");
            assert!(matches!(error.money(), Money::Left(_)));
            let entry = &entries(&ledger)[0];
            assert_eq!(entry.state(), EntryState::Unproved);
            assert!(entry.note().unwrap().contains(why), "{:?}", entry.note());
            assert_eq!(
                wallet.budget().unwrap().spent,
                sat(11),
                "with the fee limit"
            );
            assert_eq!((credentials(&seen), bank.payments()), (0, 1));
        }
    }
}

#[tokio::test]
async fn a_payer_with_two_payments_that_it_cannot_prove_pays_nothing_until_it_proves_them() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    let buys = |number: u32| ask(&client, get(&format!("{URL}{number}")));
    bank.lies(Report::FalsePreimage);
    for number in 0..2 {
        let error = buys(number).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::Unproved);
    }
    assert_eq!(wallet.recover().await.unwrap().unproved, 2);
    assert_eq!(ledger.trouble().unwrap().len(), 2);
    let error = buys(2).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid, "{error}");
    let why = error.offers()[0].why();
    let NotTaken::Ledger(BeginRefusal::PayerInTrouble { entries }) = why else {
        panic!("{error}");
    };
    assert_eq!((entries.len(), bank.asked()), (2, 2));

    // It finds its proofs again.
    bank.lies(None);
    assert_eq!(buys(2).await.unwrap().status(), 200);
    assert_eq!(wallet.budget().unwrap().spent, sat(30));
    for number in 0..2 {
        assert_eq!(buys(number).await.unwrap().status(), 200);
    }
    assert_eq!(bank.payments(), 3, "what was proved is redeemed");
}

#[tokio::test]
async fn a_person_who_clears_an_unproved_payment_lets_its_payer_pay_again() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    let buys = |number: u32| ask(&client, get(&format!("{URL}{number}")));
    bank.lies(Report::NoPreimage);
    for number in 0..2 {
        buys(number).await.unwrap_err();
    }
    buys(2).await.unwrap_err();
    assert_eq!(bank.asked(), 2);
    ledger.cleared(entries(&ledger)[0].id()).await.unwrap();
    let error = buys(2).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::Unproved, "it was asked to pay");
    assert_eq!(bank.asked(), 3);
}

#[tokio::test]
async fn a_payer_that_forgets_a_payment_keeps_its_money_reserved_until_the_invoice_is_over() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, seen) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    bank.lies(Report::Unknown);
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::InFlight, "{error}");
    let recovered = wallet.recover().await.unwrap();
    assert_eq!((recovered.unresolved, recovered.failed), (1, 0));
    assert_eq!(wallet.budget().unwrap().reserved, sat(11));

    // It may still know it later: after a crash `Unknown` comes before `InFlight`.
    bank.lies(None);
    let recovered = wallet.recover().await.unwrap();
    assert_eq!((recovered.paid, recovered.unresolved), (1, 0));
    assert_eq!(ask(&client, get(URL)).await.unwrap().status(), 200);
    assert_eq!((bank.payments(), credentials(&seen)), (1, 1));
}

#[tokio::test]
async fn a_payment_that_no_payer_knows_is_freed_by_a_lookup_after_its_invoice_is_over() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    bank.lies(Report::Unknown);
    ask(&client, get(URL)).await.unwrap_err();
    let entry = &entries(&ledger)[0];
    bank.clock.set(entry.invoice_expires_at());
    assert_eq!(
        wallet.recover().await.unwrap().unresolved,
        1,
        "a lookup at the end is too early"
    );
    bank.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(wallet.recover().await.unwrap().failed, 1);
    let budget = wallet.budget().unwrap();
    assert_eq!((budget.spent.as_msat(), budget.reserved.as_msat()), (0, 0));
}
