//! Futures that are dropped at each await, and wallets that are built anew over the same ledger.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::StatusCode;
use tower::ServiceExt as _;
use tower_x402::{
    Charge, DialectName,
    client::{PaidReceipt, PayErrorKind},
    ledger::{EntryState, Ledger},
};

use crate::{
    bank::{Bank, entries, sat},
    shop::{self, ALL, URL},
    stall::{ask, client, get},
};

/// What the ledger says was spent.
fn spent(ledger: &Ledger) -> u64 {
    let counts = |state| {
        matches!(
            state,
            EntryState::Paid | EntryState::Redeemed | EntryState::Refused | EntryState::Unproved
        )
    };
    let spent = entries(ledger)
        .into_iter()
        .filter(|entry| counts(entry.state()));
    spent
        .map(|entry| entry.amount().as_msat() + entry.fee().unwrap().as_msat())
        .sum()
}

/// Drops a request after so many polls, and makes it again with a new wallet. Returns whether the
/// first request was there before it was dropped.
async fn killed_after(polls: usize, dialect: DialectName) -> bool {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let shop = shop::keeps_answers(&bank);
    let wallet = bank.wallet_of(&ledger, dialect).await;
    let (first, _) = client(&wallet, shop.clone());
    let mut asking = Box::pin(first.oneshot(get(URL)));
    let mut is_done = false;
    for _ in 0..polls {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = asking.as_mut().poll(&mut cx) {
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
            is_done = true;
            break;
        }
    }
    drop(asking);
    drop(wallet);
    let paid_before = bank.payments();
    assert!(paid_before <= 1);

    let wallet = bank.wallet_of(&ledger, dialect).await;
    let (again, _) = client(&wallet, shop);
    wallet.recover().await.unwrap();
    if is_done {
        return true;
    }
    let mut answer = ask(&again, get(URL)).await;
    if paid_before == 0 && matches!(&answer, Err(error) if error.kind() == PayErrorKind::InFlight) {
        // Killed between the ledger and the payer: nobody knows, until the invoice is over.
        assert_eq!(wallet.budget().unwrap().reserved, sat(11));
        let over = entries(&ledger)[0].invoice_expires_at();
        bank.clock.set(over.saturating_add(Duration::from_secs(60)));
        answer = ask(&again, get(URL)).await;
    }
    let answer = answer.unwrap_or_else(|error| panic!("after {polls} polls: {error}"));
    assert_eq!(answer.status(), StatusCode::OK, "after {polls} polls");
    let receipt = answer.extensions().get::<PaidReceipt>().unwrap();
    assert_eq!(
        receipt.is_earlier(),
        paid_before == 1,
        "after {polls} polls"
    );
    assert_eq!(bank.payments(), 1, "after {polls} polls, {dialect}");
    assert_eq!(spent(&ledger), bank.paid());
    let budget = wallet.budget().unwrap();
    assert_eq!((budget.spent, budget.reserved.as_msat()), (sat(10), 0));
    false
}

#[tokio::test]
async fn a_request_killed_at_any_await_is_neither_paid_twice_nor_forgotten() {
    for dialect in ALL {
        let mut polls = 0;
        while !killed_after(polls, dialect).await {
            polls += 1;
        }
        assert!(polls >= 8, "{dialect}: it was killed at {polls} places");
    }
}

#[tokio::test]
async fn the_sum_of_the_ledger_is_what_the_payer_says_it_paid() {
    let mut bank = Bank::new();
    bank.fee = tower_x402::Amount::from_msat(123);
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    for _ in 0..5 {
        ask(&client, get(URL)).await.unwrap();
    }
    assert_eq!((spent(&ledger), bank.paid()), (50_615, 50_615));
}
