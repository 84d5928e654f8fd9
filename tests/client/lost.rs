//! Answers that are lost after a payment: the same credential is presented again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
};

use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};
use tower_x402::{
    Charge,
    client::{AutoPayLayer, Money, PaidReceipt, PayErrorKind},
    ledger::EntryState,
    lightning::Payments,
};

use crate::{
    bank::{Bank, entries, sat},
    hostile::{invoice, is_paid, l402},
    shop::{self, ALL, URL},
    stall::{Body, answer, ask, client, credentials, get},
};

#[derive(Debug, PartialEq)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection broke")
    }
}

impl std::error::Error for Broken {}

#[tokio::test]
async fn a_connection_that_breaks_after_the_payment_costs_no_second_payment() {
    for dialect in ALL {
        let bank = Bank::new();
        let ledger = bank.ledger();
        let wallet = bank.wallet_of(&ledger, dialect).await;
        let server = shop::keeps_answers(&bank);
        let breaks = Arc::new(AtomicBool::new(true));
        let broken = Arc::clone(&breaks);
        let service = tower::service_fn(move |request: Request<Body>| {
            let names = ["authorization", "payment-signature"];
            let has = names
                .iter()
                .any(|name| request.headers().contains_key(*name));
            let breaks = has && broken.swap(false, Ordering::SeqCst);
            let answer = server(request);
            async move {
                let answer = answer.await; // served, and then lost
                if breaks { Err(Broken) } else { Ok(answer) }
            }
        });
        let client = AutoPayLayer::new(wallet).layer(service);
        let error = client.clone().oneshot(get(URL)).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::LostAnswer);
        assert!(matches!(error.money(), Money::Left(_)));
        assert_eq!(error.into_inner(), Some(Broken));
        assert_eq!(entries(&ledger)[0].state(), EntryState::Paid);

        let answer = client.oneshot(get(URL)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(
            answer
                .extensions()
                .get::<PaidReceipt>()
                .unwrap()
                .is_earlier()
        );
        answer.into_body().collect().await.unwrap();
        assert_eq!(bank.payments(), 1, "{dialect}");
        assert_eq!(entries(&ledger)[0].state(), EntryState::Redeemed);
    }
}

#[tokio::test]
async fn an_answer_that_says_try_again_keeps_the_credential_for_the_next_time() {
    for status in [408, 409, 425, 429, 500, 503] {
        let bank = Bank::new();
        let ledger = bank.ledger();
        let wallet = bank.wallet(&ledger).await;
        let (node, next) = (bank.node.clone(), Arc::new(AtomicU16::new(status)));
        let says = Arc::clone(&next);
        let (client, seen) = client(&wallet, move |request| {
            let (node, says) = (node.clone(), Arc::clone(&says));
            async move {
                match is_paid(&request) {
                    true => answer(says.load(Ordering::SeqCst)),
                    false => l402(&invoice(&node, sat(5)).await),
                }
            }
        });
        let first = ask(&client, get(URL)).await.unwrap();
        assert_eq!(first.status().as_u16(), status);
        assert!(first.extensions().get::<PaidReceipt>().is_some());
        assert_eq!(entries(&ledger)[0].state(), EntryState::Paid);
        assert_eq!(entries(&ledger)[0].answered(), Some(status));
        next.store(200, Ordering::SeqCst);
        let second = ask(&client, get(URL)).await.unwrap();
        assert_eq!(second.status(), StatusCode::OK);
        assert_eq!((bank.payments(), credentials(&seen)), (1, 2));
    }
}

#[tokio::test]
async fn what_was_paid_replaces_no_header_of_the_caller_and_is_not_paid_again_meanwhile() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let node = bank.node.clone();
    let (client, seen) = client(&wallet, move |request| {
        let node = node.clone();
        async move {
            match is_paid(&request) {
                true => answer(503),
                false => l402(&invoice(&node, sat(5)).await),
            }
        }
    });
    ask(&client, get(URL)).await.unwrap();
    let mut own = get(URL);
    let mine = http::HeaderValue::from_static("Bearer mine");
    own.headers_mut().insert("authorization", mine.clone());
    let error = ask(&client, own).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid);
    assert_eq!(
        seen.lock().unwrap().last().unwrap().1["authorization"],
        mine
    );
    assert_eq!(
        (entries(&ledger)[0].state(), bank.payments()),
        (EntryState::Paid, 1)
    );
}

#[tokio::test]
async fn a_credential_that_is_spent_after_a_failure_of_the_server_is_no_trouble_of_the_host() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (node, served) = (bank.node.clone(), Arc::new(AtomicUsize::new(0)));
    let (client, _) = client(&wallet, move |request| {
        let (node, served) = (node.clone(), Arc::clone(&served));
        async move {
            match is_paid(&request) {
                true if served.fetch_add(1, Ordering::SeqCst) == 0 => answer(500),
                _ => l402(&invoice(&node, sat(5)).await),
            }
        }
    });
    assert_eq!(ask(&client, get(URL)).await.unwrap().status(), 500);
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::RefusedAfterPayment);
    assert_eq!(bank.payments(), 1, "the call that was refused pays nothing");
    assert_eq!(entries(&ledger)[0].state(), EntryState::Redeemed);
}

#[tokio::test]
async fn a_payment_in_flight_is_an_outcome_of_its_own_and_is_looked_up_by_the_next_request() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, seen) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    bank.node.payments(Payments::StayInFlight);
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::InFlight);
    assert!(matches!(error.money(), Money::MayHaveLeft(_)));
    let entry = &entries(&ledger)[0];
    assert_eq!(entry.state(), EntryState::InFlight);
    assert_eq!(
        wallet.budget().unwrap().reserved,
        sat(11),
        "with the fee limit"
    );

    // It is still in flight: nothing is sent, and nothing else is paid for the same request.
    let before = seen.lock().unwrap().len();
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::InFlight);
    assert_eq!((seen.lock().unwrap().len(), bank.asked()), (before, 1));

    bank.node.payments(Payments::Succeed);
    bank.node.settle(entry.payment_hash()).unwrap();
    let answer = ask(&client, get(URL)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(bank.asked(), 1);
    assert_eq!(wallet.budget().unwrap().spent, sat(10));
}

#[tokio::test]
async fn an_answer_of_the_payer_that_is_lost_is_asked_for_again_at_once() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    bank.node.payments(Payments::LoseAnswer);
    let answer = ask(&client, get(URL)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!((bank.payments(), bank.asked()), (1, 1));
}

#[tokio::test]
async fn a_payment_that_failed_frees_its_money_and_the_next_request_pays_anew() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    bank.node.payments(Payments::Fail);
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::PaymentFailed);
    assert!(matches!(error.money(), Money::NotSent));
    let budget = wallet.budget().unwrap();
    assert_eq!((budget.spent.as_msat(), budget.reserved.as_msat()), (0, 0));
    bank.node.payments(Payments::Succeed);
    assert_eq!(
        ask(&client, get(URL)).await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(wallet.budget().unwrap().spent, sat(10));
}
