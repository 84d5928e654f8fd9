//! Answers that are lost, of a server that keeps none: nobody knows whether it served the request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{Request, StatusCode};
use tower::{Layer as _, ServiceExt as _};
use tower_x402::{
    Charge, DialectName,
    client::{AutoPayLayer, PayErrorKind},
    ledger::EntryState,
};

use crate::{
    bank::{Bank, entries, sat},
    shop,
    stall::{Body, get},
};

#[derive(Debug, PartialEq)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection broke")
    }
}

impl std::error::Error for Broken {}

pub(crate) fn has_credential<B>(request: &Request<B>) -> bool {
    let names = ["authorization", "payment-signature"];
    names
        .iter()
        .any(|name| request.headers().contains_key(*name))
}

#[tokio::test]
async fn a_host_is_not_blamed_for_lost_answers_before_the_third_in_a_row() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet_of(&ledger, DialectName::L402).await;
    let server = shop::sells(&bank, [DialectName::L402], Charge::new(sat(10)));
    let breaks = Arc::new(AtomicBool::new(true));
    let broken = Arc::clone(&breaks);
    let service = tower::service_fn(move |request: Request<Body>| {
        let breaks = has_credential(&request) && broken.load(Ordering::SeqCst);
        let answer = server(request);
        async move {
            let answer = answer.await; // served, and then lost
            if breaks { Err(Broken) } else { Ok(answer) }
        }
    });
    let client = AutoPayLayer::new(wallet).layer(service);
    let ask = async |page: u8| {
        let url = format!("https://api.example.com/{page}");
        client.clone().oneshot(get(&url)).await
    };
    let lose = async |page: u8| {
        breaks.store(true, Ordering::SeqCst);
        let lost = ask(page).await.unwrap_err();
        assert_eq!(lost.kind(), PayErrorKind::LostAnswer, "{page}: {lost}");
        breaks.store(false, Ordering::SeqCst);
        let refused = ask(page).await.unwrap_err();
        assert_eq!(refused.kind(), PayErrorKind::RefusedAfterPayment);
        let entry = entries(&ledger).pop().unwrap();
        assert_eq!(entry.state(), EntryState::Redeemed);
        assert!(entry.is_in_doubt());
    };
    lose(1).await;
    lose(2).await;
    assert_eq!(ask(3).await.unwrap().status(), StatusCode::OK);
    // It served one, so they do not count any more.
    for page in 4..7 {
        lose(page).await;
    }
    let refused = ask(7).await.unwrap_err();
    assert_eq!(refused.kind(), PayErrorKind::NotPaid);
    let trouble = ledger.trouble().unwrap();
    assert_eq!((trouble.len(), bank.payments()), (3, 6));
    for entry in trouble {
        ledger.cleared(entry.id()).await.unwrap();
    }
    assert_eq!(ask(7).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_credential_that_is_refused_at_its_first_presentation_is_trouble_at_once() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let node = bank.node.clone();
    let (client, _) = crate::stall::client(&wallet, move |_| {
        let node = node.clone();
        async move { crate::hostile::l402(&crate::hostile::invoice(&node, sat(5)).await) }
    });
    let refused = crate::stall::ask(&client, get(shop::URL))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), PayErrorKind::RefusedAfterPayment);
    assert_eq!(entries(&ledger)[0].state(), EntryState::Refused);
    assert_eq!(ledger.trouble().unwrap().len(), 1);
}
