//! Credentials that open more than one request.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Response, StatusCode, header::WWW_AUTHENTICATE};
use tower_x402::{
    Charge, DialectName,
    client::{PaidReceipt, PayErrorKind},
    clock::Timestamp,
    l402::{Challenge, Macaroon, Scheme},
    ledger::Budget,
    lightning::BoxFuture,
};

use crate::{
    bank::{Bank, NOW, sat},
    hostile::{invoice, is_paid, l402, sells},
    shop,
    stall::{Body, answer, ask, client, credentials, get},
};

const HERE: &str = "https://api.example.com/a";

#[tokio::test]
async fn a_token_for_several_uses_is_attached_before_a_402_and_dropped_when_refused() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let uses = Charge::new(sat(10)).uses(NonZeroU32::new(3).unwrap());
    let (client, seen) = client(&wallet, shop::sells(&bank, [DialectName::L402], uses));
    for _ in 0..3 {
        let answer = ask(&client, get(HERE)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!((bank.payments(), credentials(&seen)), (1, 3));
    assert_eq!(seen.lock().unwrap().len(), 4, "one request without it");
    // Used up: the server refuses it, and another one is bought.
    let answer = ask(&client, get(HERE)).await.unwrap();
    assert!(answer.extensions().get::<PaidReceipt>().is_some());
    assert_eq!(bank.payments(), 2);
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_presented_again_also_if_no_other_is_bought() {
    let bank = Bank::new();
    let builder = bank.builder(&bank.ledger()).budget(Budget::total(sat(2)));
    let wallet = builder.build().await.unwrap();
    let revoked = Arc::new(AtomicBool::new(false));
    let (node, refuses) = (bank.node.clone(), Arc::clone(&revoked));
    let (client, seen) = client(&wallet, move |request| {
        let is_good = is_paid(&request) && !refuses.load(Ordering::SeqCst);
        let node = node.clone();
        async move {
            match is_good {
                true => answer(200),
                false => l402(&invoice(&node, sat(1)).await),
            }
        }
    });
    ask(&client, get(HERE)).await.unwrap();
    revoked.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = ask(&client, get(HERE)).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::NotPaid, "the budget is used up");
    }
    assert_eq!(credentials(&seen), 2, "once paid for, once refused");
}

#[tokio::test]
async fn what_two_requests_bought_at_the_same_time_is_used_up_by_later_ones() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let uses = Charge::new(sat(10)).uses(NonZeroU32::new(3).unwrap());
    let shop = shop::sells(&bank, [DialectName::L402], uses);
    let (client, _) = client(&wallet, shop.clone());
    let both = tokio::join!(
        ask(&client, get(HERE)),
        ask(&client, get("https://api.example.com/a?b"))
    );
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(bank.payments(), 2);
    for _ in 0..2 {
        ask(&client, get(HERE)).await.unwrap();
    }
    // The rest outlives a restart.
    let (client, _) = crate::stall::client(&bank.wallet(&ledger).await, shop);
    for _ in 0..2 {
        ask(&client, get(HERE)).await.unwrap();
    }
    assert_eq!(bank.payments(), 2);
    ask(&client, get(HERE)).await.unwrap();
    assert_eq!(bank.payments(), 3);
}

#[tokio::test]
async fn a_token_of_a_path_that_the_ledger_cut_is_not_presented_after_a_restart() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let long = format!("https://api.example.com/{}", "a".repeat(1_100));
    for url in [&long, &long[..24 + 1_023]] {
        let (client, seen) = client(&bank.wallet(&ledger).await, sells(&bank.node, sat(1)));
        ask(&client, get(url)).await.unwrap();
        let first = seen.lock().unwrap()[0].1.clone();
        assert!(!first.contains_key("authorization"));
    }
    assert_eq!(bank.payments(), 2);
}

#[tokio::test]
async fn a_token_for_several_uses_survives_a_restart() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let uses = Charge::new(sat(10)).uses(NonZeroU32::new(3).unwrap());
    let shop = shop::sells(&bank, [DialectName::L402], uses);
    for _ in 0..3 {
        let wallet = bank.wallet(&ledger).await;
        let (client, _) = client(&wallet, shop.clone());
        assert_eq!(
            ask(&client, get(HERE)).await.unwrap().status(),
            StatusCode::OK
        );
    }
    assert_eq!(bank.payments(), 1);
}

#[tokio::test]
async fn a_credential_for_one_request_is_not_presented_again() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let once = Charge::new(sat(10));
    let (client, seen) = client(&wallet, shop::sells(&bank, [DialectName::L402], once));
    for _ in 0..2 {
        ask(&client, get(HERE)).await.unwrap();
    }
    assert_eq!((bank.payments(), credentials(&seen)), (2, 2));
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_token_is_presented_for_the_path_and_origin_it_was_bought_for_and_for_no_other() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let (client, seen) = client(&wallet, sells(&bank.node, sat(1)));
    for url in [HERE, "https://api.example.com/a?b", HERE] {
        ask(&client, get(url)).await.unwrap();
    }
    assert_eq!(bank.payments(), 1);
    let before = seen.lock().unwrap().len();
    for url in [
        "https://api.example.com/b",
        "https://api.example.com:444/a",
        "https://www.example.com/a",
    ] {
        ask(&client, get(url)).await.unwrap();
    }
    assert_eq!(bank.payments(), 4);
    let seen = seen.lock().unwrap();
    let first = seen[before..].iter().step_by(2);
    assert!(
        first
            .into_iter()
            .all(|(_, headers)| !headers.contains_key("authorization"))
    );
}

#[tokio::test]
async fn a_token_that_a_server_refuses_is_replaced_within_the_same_request() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let (node, revoked) = (bank.node.clone(), Arc::new(AtomicBool::new(false)));
    let refuses = Arc::clone(&revoked);
    let (client, _) = client(&wallet, move |request| {
        let refused = is_paid(&request) && refuses.swap(false, Ordering::SeqCst);
        let node = node.clone();
        async move {
            match is_paid(&request) && !refused {
                true => answer(200),
                false => l402(&invoice(&node, sat(1)).await),
            }
        }
    });
    ask(&client, get(HERE)).await.unwrap();
    revoked.store(true, Ordering::SeqCst);
    assert_eq!(
        ask(&client, get(HERE)).await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(bank.payments(), 2);
}

/// A server whose token says until when it opens something.
fn sells_until(
    bank: &Bank,
    until: u64,
) -> impl Fn(http::Request<Body>) -> BoxFuture<'static, Response<Body>> + Clone + Send + Sync + 'static
{
    let node = bank.node.clone();
    move |request| {
        let node = node.clone();
        Box::pin(async move {
            if is_paid(&request) {
                return answer(200);
            }
            let caveat = format!("valid_until={until}");
            let token = Macaroon::mint([7; 32], b"token", [caveat]).unwrap();
            let invoice = invoice(&node, sat(1)).await;
            let line = Challenge::new(Scheme::L402, &token, &invoice).header_value();
            let mut asks = answer(402);
            asks.headers_mut().append(WWW_AUTHENTICATE, line);
            asks
        })
    }
}

#[tokio::test]
async fn a_token_that_ends_before_its_invoice_is_not_paid_for() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    for (seconds, paid) in [(299, 0), (300, 1)] {
        let (client, _) = client(&wallet, sells_until(&bank, NOW + seconds));
        let asked = ask(&client, get(&format!("{HERE}{seconds}"))).await;
        assert_eq!((asked.is_ok(), bank.payments()), (paid == 1, paid));
    }
}

#[tokio::test]
async fn a_token_without_an_end_is_kept_for_a_year_and_then_leaves_the_ledger() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, _) = client(&wallet, sells_until(&bank, u64::MAX));
    ask(&client, get(HERE)).await.unwrap();
    let held = ledger.reusable().unwrap();
    assert!(held[0].redeem_until() < Timestamp::from_unix_seconds(NOW + 367 * 86_400));
    bank.clock.advance(Duration::from_secs(367 * 86_400));
    // Another one is bought, and the first is swept.
    ask(&client, get("https://api.example.com/b"))
        .await
        .unwrap();
    let left = ledger.reusable().unwrap();
    assert_eq!(left.len(), 1);
    assert_ne!(left[0].id(), held[0].id());
}
