//! Requests that differ only in their headers, which the server binds.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Request, StatusCode, header::AUTHORIZATION};
use tower::{Layer as _, ServiceExt as _};
use tower_x402::{
    Charge, DialectName,
    client::{AutoPayLayer, PaidReceipt, PayErrorKind},
    ledger::{Entry, EntryState},
};

use crate::{
    bank::{Bank, entries, sat},
    doubts::{Broken, has_credential},
    shop::{self, ALL, URL},
    stall::{Body, get},
};

fn accepting(kind: &'static str) -> Request<Body> {
    let mut request = get(URL);
    let kind = http::HeaderValue::from_static(kind);
    request.headers_mut().insert("accept", kind);
    request
}

#[tokio::test]
async fn what_was_bought_with_other_headers_is_neither_lost_nor_in_the_way() {
    for dialect in ALL {
        let bank = Bank::new();
        let ledger = bank.ledger();
        let wallet = bank.wallet_of(&ledger, dialect).await;
        let server = shop::sells(&bank, ALL, Charge::new(sat(10)).bind_headers(["accept"]));
        let breaks = Arc::new(AtomicBool::new(true));
        let service = tower::service_fn(move |request: Request<Body>| {
            let breaks = has_credential(&request) && breaks.swap(false, Ordering::SeqCst);
            let answer = server(request);
            async move {
                // The first credential never arrives.
                match breaks {
                    true => Err(Broken),
                    false => Ok(answer.await),
                }
            }
        });
        let client = AutoPayLayer::new(wallet.clone()).layer(service.clone());
        let ask = async |kind| client.clone().oneshot(accepting(kind)).await;
        let lost = ask("text/plain").await.unwrap_err();
        assert_eq!(lost.kind(), PayErrorKind::LostAnswer);

        if dialect != DialectName::X402 {
            // The client cannot see what is bound: it tries once, and keeps what it has.
            let refused = ask("text/html").await.unwrap_err();
            assert_eq!(refused.kind(), PayErrorKind::RefusedAfterPayment);
        }
        assert_eq!(entries(&ledger)[0].state(), EntryState::Paid, "{dialect}");
        assert!(ledger.trouble().unwrap().is_empty(), "{dialect}");
        for (kind, is_earlier) in [("text/html", false), ("text/plain", true)] {
            let quote = wallet.quote(service.clone(), accepting(kind)).await;
            let is_payable = quote.unwrap().payable().is_some();
            assert_eq!(is_payable, !is_earlier, "{dialect}, {kind}");
            let answer = ask(kind).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{dialect}, {kind}");
            let receipt = answer.extensions().get::<PaidReceipt>().unwrap();
            assert_eq!(receipt.is_earlier(), is_earlier, "{dialect}, {kind}");
        }
        assert_eq!(bank.payments(), 2, "{dialect}");
    }
}

#[tokio::test]
async fn headers_that_differ_each_time_block_a_url_for_three_requests_at_most() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet_of(&ledger, DialectName::L402).await;
    let node = bank.node.clone();
    let paid = Arc::new(AtomicBool::new(false));
    let (client, _) = crate::stall::client(&wallet, move |request| {
        let (node, paid) = (node.clone(), Arc::clone(&paid));
        async move {
            if crate::hostile::is_paid(&request) && !paid.swap(true, Ordering::SeqCst) {
                return crate::stall::answer(503);
            }
            crate::hostile::l402(&crate::hostile::invoice(&node, sat(5)).await)
        }
    });
    let ask = async |nonce: &'static str| crate::stall::ask(&client, accepting(nonce)).await;
    assert_eq!(ask("a").await.unwrap().status(), 503);
    for nonce in ["b", "c", "d"] {
        let _ = ask(nonce).await;
    }
    assert_eq!(bank.payments(), 1, "the credential is tried");
    let _ = ask("e").await;
    assert_eq!(bank.payments(), 2, "and then another one is bought");
    assert_eq!(
        entries(&ledger)[0].state(),
        EntryState::Paid,
        "nothing is lost"
    );
}

#[tokio::test]
async fn a_server_that_fails_first_and_refuses_then_gets_three_payments_if_headers_differ() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet_of(&ledger, DialectName::L402).await;
    let node = bank.node.clone();
    let known = Arc::new(Mutex::new(HashSet::new()));
    let (client, _) = crate::stall::client(&wallet, move |request| {
        let is_new = request
            .headers()
            .get(AUTHORIZATION)
            .is_some_and(|credential| known.lock().unwrap().insert(credential.clone()));
        let node = node.clone();
        async move {
            match is_new {
                true => crate::stall::answer(503),
                false => crate::hostile::l402(&crate::hostile::invoice(&node, sat(5)).await),
            }
        }
    });
    for number in 0..40 {
        let mut request = get(URL);
        let nonce = http::HeaderValue::from(number);
        request.headers_mut().insert("idempotency-key", nonce);
        let _ = crate::stall::ask(&client, request).await;
    }
    assert_eq!(bank.payments(), 3);
    let trouble = ledger.trouble().unwrap();
    assert!(trouble.len() == 3 && trouble.iter().all(Entry::is_in_doubt));
    // What was paid is still there for its own request.
    assert!(
        trouble
            .iter()
            .all(|entry| entry.state() == EntryState::Paid)
    );
}

#[tokio::test]
async fn a_payment_that_a_person_cleared_does_not_stop_the_same_request() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let node = bank.node.clone();
    let works = Arc::new(AtomicBool::new(false));
    let served = Arc::clone(&works);
    let (client, _) = crate::stall::client(&wallet, move |request| {
        let (node, works) = (node.clone(), served.load(Ordering::SeqCst));
        async move {
            match crate::hostile::is_paid(&request) {
                true => crate::stall::answer(if works { 200 } else { 503 }),
                false => crate::hostile::l402(&crate::hostile::invoice(&node, sat(5)).await),
            }
        }
    });
    for _ in 0..2 {
        let answer = crate::stall::ask(&client, get(URL)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(bank.payments(), 1);
    ledger.cleared(entries(&ledger)[0].id()).await.unwrap();
    works.store(true, Ordering::SeqCst);
    let answer = crate::stall::ask(&client, get(URL)).await.unwrap();
    assert_eq!((answer.status(), bank.payments()), (StatusCode::OK, 2));
}
