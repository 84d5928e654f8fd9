//! Payments that a person approves.

use std::sync::{Arc, Mutex};

use http::{Request, StatusCode};
use tower_x402::{
    Charge,
    client::{ApprovalRequest, Decision, NotTaken, PayErrorKind, Wallet, approve_fn},
    ledger::{BodyDigest, EntryState, Ledger},
};

use crate::{
    bank::{Bank, entries, sat},
    hostile::sells,
    shop::{self, ALL, URL},
    stall::{Body, ask, client, get},
};

async fn parking(bank: &Bank, ledger: &Ledger) -> Wallet {
    let approver = approve_fn(|_| async { Decision::Park });
    bank.builder(ledger)
        .approver(approver)
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn an_approver_sees_what_is_paid_and_its_no_costs_nothing() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let seen: Arc<Mutex<Vec<ApprovalRequest>>> = Arc::default();
    let shown = Arc::clone(&seen);
    let approver = approve_fn(move |request| {
        shown.lock().unwrap().push(request.clone());
        let is_small = request.amount <= sat(5);
        async move {
            if is_small {
                Decision::Approve
            } else {
                Decision::Refuse
            }
        }
    });
    let wallet = bank
        .builder(&ledger)
        .approver(approver)
        .build()
        .await
        .unwrap();
    let charge = Charge::new(sat(6)).description("weather");
    let (dear, _) = client(&wallet, shop::sells(&bank, ALL, charge));
    let error = ask(&dear, get(URL)).await.unwrap_err();
    assert_eq!((error.kind(), bank.asked()), (PayErrorKind::NotPaid, 0));
    assert_eq!(wallet.budget().unwrap().reserved.as_msat(), 0);
    let request = seen.lock().unwrap()[0].clone();
    assert_eq!(
        (request.url.as_str(), request.method.as_str()),
        (URL, "GET")
    );
    assert_eq!((request.amount, request.max_fee), (sat(6), sat(1)));
    assert_eq!(request.description.as_deref(), Some("weather"));
    assert_eq!(request.remaining, Some(sat(993)));

    let (cheap, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(5))));
    assert_eq!(
        ask(&cheap, get(URL)).await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(bank.paid(), 5_000);
}

#[tokio::test]
async fn money_is_reserved_while_a_person_ponders_and_free_when_the_caller_gives_up() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let approver = approve_fn(|_| std::future::pending());
    let wallet = bank
        .builder(&ledger)
        .approver(approver)
        .build()
        .await
        .unwrap();
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(5))));
    let mut asking = tokio_test::task::spawn(ask(&client, get(URL)));
    for _ in 0..20 {
        assert!(asking.poll().is_pending());
    }
    assert_eq!(wallet.budget().unwrap().reserved, sat(6));
    assert_eq!(entries(&ledger)[0].state(), EntryState::Reserved);
    drop(asking);
    assert_eq!(wallet.budget().unwrap().reserved.as_msat(), 0);
    assert_eq!(entries(&ledger).len(), 0, "it was never given to the payer");
}

#[tokio::test]
async fn a_parked_payment_is_made_once_a_person_approved_it_and_only_once() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = parking(&bank, &ledger).await;
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(5))));
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::Parked);
    let id = error.parked().unwrap();
    assert_eq!(ledger.approvals().pending().unwrap()[0].id, id);
    assert_eq!(wallet.budget().unwrap().reserved.as_msat(), 0);
    let again = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!((again.parked(), bank.asked()), (Some(id), 0));

    ledger.approvals().approve(id).unwrap();
    assert_eq!(
        ask(&client, get(URL)).await.unwrap().status(),
        StatusCode::OK
    );
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!((error.kind(), bank.payments()), (PayErrorKind::Parked, 1));
}

#[tokio::test]
async fn an_approval_is_for_no_other_request_and_for_no_higher_price() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = parking(&bank, &ledger).await;
    let shop = sells(&bank.node, sat(5));
    let (client, _) = client(&wallet, shop);
    let url = "https://shop.example/a";
    let id = ask(&client, get(url)).await.unwrap_err().parked().unwrap();
    ledger.approvals().approve(id).unwrap();
    let body = |text: &'static str| Request::post(url).body(Body::from(text)).unwrap();
    for other in [
        get("https://shop.example/b"),
        get("https://shop.example/a?b"),
        get("https://other.example/a"),
        body(""),
        body("x"),
    ] {
        let error = ask(&client, other).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::Parked);
        assert_ne!(error.parked(), Some(id));
    }
    let (dearer, _) = crate::stall::client(&wallet, sells(&bank.node, sat(6)));
    let error = ask(&dearer, get(url)).await.unwrap_err();
    assert_eq!((error.kind(), bank.asked()), (PayErrorKind::Parked, 0));

    // A fresh invoice of the same price, after the first has ended.
    bank.clock.advance(std::time::Duration::from_secs(600));
    ask(&client, get(url)).await.unwrap();
    assert_eq!(bank.paid(), 5_000);
}

#[tokio::test]
async fn a_parked_payment_that_a_person_refused_is_not_made() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = parking(&bank, &ledger).await;
    let (client, _) = client(&wallet, sells(&bank.node, sat(5)));
    let id = ask(&client, get(URL)).await.unwrap_err().parked().unwrap();
    ledger.approvals().refuse(id).unwrap();
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid);
    assert!(matches!(
        error.offers()[0].why(),
        NotTaken::NotAllowed("a person refused it")
    ));
    assert_eq!(bank.asked(), 0);
}

#[tokio::test]
async fn an_approval_that_comes_when_the_invoice_is_nearly_over_pays_nothing() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let clock = bank.clock.clone();
    let approver = approve_fn(move |_| {
        clock.advance(std::time::Duration::from_secs(271));
        async { Decision::Approve }
    });
    let wallet = bank
        .builder(&ledger)
        .approver(approver)
        .build()
        .await
        .unwrap();
    let (client, _) = client(&wallet, sells(&bank.node, sat(5)));
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert!(matches!(error.offers()[0].why(), NotTaken::TooLate));
    assert_eq!((bank.asked(), entries(&ledger).len()), (0, 0));
}

#[tokio::test]
async fn one_no_of_the_approver_ends_the_request_whatever_else_is_offered() {
    for answer in [Decision::Refuse, Decision::Park] {
        let bank = Bank::new();
        let ledger = bank.ledger();
        let asked = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&asked);
        let approver = approve_fn(move |_| {
            *counted.lock().unwrap() += 1;
            async move { answer }
        });
        let builder = bank.builder(&ledger).approver(approver);
        let wallet = builder.build().await.unwrap();
        let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(5))));
        if answer == Decision::Park {
            let id = ask(&client, get(URL)).await.unwrap_err().parked().unwrap();
            ledger.approvals().refuse(id).unwrap();
            *asked.lock().unwrap() = 0;
        }
        let error = ask(&client, get(URL)).await.unwrap_err();
        assert_eq!(*asked.lock().unwrap(), 1, "{answer:?}");
        assert_eq!((error.kind(), bank.asked()), (PayErrorKind::NotPaid, 0));
        assert!(error.offers().len() >= ALL.len(), "all are listed: {error}");
    }
}

#[tokio::test]
async fn an_approver_and_a_person_see_query_and_body() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let seen = Arc::new(Mutex::new(None));
    let shown = Arc::clone(&seen);
    let approver = approve_fn(move |request| {
        *shown.lock().unwrap() = request.body;
        async { Decision::Park }
    });
    let builder = bank.builder(&ledger).approver(approver);
    let wallet = builder.build().await.unwrap();
    let (client, _) = client(&wallet, sells(&bank.node, sat(5)));
    let order = Request::post("https://shop.example/order?to=ann");
    let order = order.body(Body::from("two")).unwrap();
    ask(&client, order).await.unwrap_err().parked().unwrap();
    let body = Some(BodyDigest::of(b"two"));
    assert_eq!(*seen.lock().unwrap(), body);
    let waiting = &ledger.approvals().pending().unwrap()[0];
    assert_eq!(waiting.query.as_deref(), Some("to=ann"));
    assert_eq!((waiting.path.as_str(), waiting.body), ("/order", body));
}
