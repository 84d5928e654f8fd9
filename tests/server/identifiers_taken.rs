//! Who takes an identifier of x402's `payment-identifier`: a payment whose use is granted, and nobody
//! else.

use std::{
    convert::Infallible,
    future::Ready,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tower::{Layer as _, Service};
use tower_x402::{
    Amount, Charge, DialectName,
    body::RequestBody,
    replay::{DurableOptions, DurableStore},
    server::KeptAnswers,
};

use crate::{
    customer::{Call, asks_for_money},
    identifiers::{ID, named},
    in_use::{Gate, begun, gated, is_in_use, is_spent},
    journal::Journal,
    kept::{Runs, keeps, numbered, same},
    kept_slow::{Put, PutRecords},
    shop::{Shop, ask},
};

/// A service that is never ready.
#[derive(Clone)]
struct Busy;

impl Service<Request<RequestBody<Body>>> for Busy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<RequestBody<Body>>) -> Self::Future {
        unreachable!("it is never ready")
    }
}

/// Asks for the call once for each of eight identifiers with new payments: nobody has taken one.
async fn are_all_free(shop: &Shop, app: &Router, call: &Call, except: Option<usize>) {
    for n in 0..8 {
        let theirs = call.buy(shop, app, DialectName::X402).await;
        let answer = ask(app, call.paid(&named(&theirs, theirs_id(n)))).await;
        let expected = match except == Some(n) {
            true => StatusCode::CONFLICT,
            false => StatusCode::OK,
        };
        assert_eq!(answer.status(), expected, "{n}");
    }
}

fn theirs_id(n: usize) -> String {
    format!("their_own_identifier_{n}")
}

#[tokio::test]
async fn a_client_that_hangs_up_before_its_use_is_granted_takes_no_identifier() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let paywall = shop.paywall_of_every_dialect();
    let layer = paywall.charge(keeps(&shop)).unwrap();
    let busy = Router::new().fallback_service(layer.layer(Busy));
    let app = numbered(&paywall, keeps(&shop), &runs);
    let call = Call::get("/a");
    let mine = call.buy(&shop, &app, DialectName::X402).await;
    for n in 0..8 {
        let asked = begun(ask(&busy, call.paid(&named(&mine, theirs_id(n))))).await;
        drop(asked.expect_err("the inner service is not ready"));
    }
    are_all_free(&shop, &app, &call, None).await;
    assert_eq!(ask(&app, call.paid(&mine)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_payment_in_use_elsewhere_takes_no_further_identifier() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let apps = [(); 2].map(|()| gated(&shop.paywall_of_every_dialect(), keeps(&shop), &gate));
    let call = Call::get("/a");
    let mine = call.buy(&shop, &apps[0], DialectName::X402).await;
    let first = begun(ask(&apps[0], call.paid(&mine))).await;
    for n in 0..8 {
        let answer = ask(&apps[1], call.paid(&named(&mine, theirs_id(n)))).await;
        is_in_use(&answer, "elsewhere");
    }
    gate.add_permits(99);
    assert_eq!(first.err().unwrap().await.status(), StatusCode::OK);
    are_all_free(&shop, &apps[1], &call, None).await;
}

#[tokio::test]
async fn of_parallel_requests_with_one_payment_one_takes_its_identifier() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(99)));
    let folder = tempfile::tempdir().unwrap();
    let options = DurableOptions::new().clock(shop.clock.clone());
    let store = Arc::new(DurableStore::open_with(folder.path(), options).unwrap());
    let builder = shop.builder_of_every_dialect().replay_store(store.clone());
    let charge = Charge::new(Amount::from_sat(10)).keep_answers(KeptAnswers::new(store));
    let app = gated(&builder.build().unwrap(), charge, &gate);
    let call = Call::get("/a");
    let mine = call.buy(&shop, &app, DialectName::X402).await;
    let asked = (0..8).map(|n| ask(&app, call.paid(&named(&mine, theirs_id(n)))));
    let answers = futures_util::future::join_all(asked).await;
    let served: Vec<_> = (0..8)
        .filter(|n| answers[*n].status().is_success())
        .collect();
    assert_eq!(served.len(), 1, "{answers:?}");
    are_all_free(&shop, &app, &call, Some(served[0])).await;
}

/// A charge that keeps its answers in these records.
fn kept_in(records: &Arc<PutRecords>) -> Charge {
    Charge::new(Amount::from_sat(10)).keep_answers(KeptAnswers::new(records.clone()))
}

#[tokio::test]
async fn an_identifier_that_is_taken_meanwhile_gives_the_use_back() {
    for (put, status) in [
        (Put::Exists, StatusCode::CONFLICT),
        (Put::Fails, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let (shop, runs) = (Shop::new(), Runs::default());
        let records = Arc::new(PutRecords::new(shop.store.clone()));
        let app = numbered(&shop.paywall_of_every_dialect(), kept_in(&records), &runs);
        let call = Call::get("/a");
        let mine = call.buy(&shop, &app, DialectName::X402).await;
        for n in 0..4 {
            records.set(put);
            let answer = ask(&app, call.paid(&named(&mine, theirs_id(n)))).await;
            assert_eq!(answer.status(), status);
            assert!(!asks_for_money(&answer));
        }
        records.set(Put::Works);
        assert_eq!(runs.count(), 0);
        let answer = ask(&app, call.paid(&named(&mine, ID))).await;
        assert_eq!(answer.body(), "answer 1");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_while_its_identifier_is_noted_takes_no_other() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let records = Arc::new(PutRecords::new(shop.store.clone()));
    let app = numbered(&shop.paywall_of_every_dialect(), kept_in(&records), &runs);
    let call = Call::get("/a");
    let mine = call.buy(&shop, &app, DialectName::X402).await;
    records.set(Put::WorksAndHangs);
    let asked = begun(ask(&app, call.paid(&named(&mine, theirs_id(0))))).await;
    drop(asked.expect_err("the records hang"));
    for n in 1..8 {
        let answer = ask(&app, call.paid(&named(&mine, theirs_id(n)))).await;
        assert!(is_spent(&answer, DialectName::X402));
    }
    records.set(Put::Works);
    are_all_free(&shop, &app, &call, Some(0)).await;
}

#[tokio::test]
async fn without_room_a_request_is_served_and_its_identifier_is_not_noted() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let records = Arc::new(PutRecords::new(shop.store.clone()));
    let app = numbered(&shop.paywall_of_every_dialect(), kept_in(&records), &runs);
    let call = Call::get("/a");
    let mut bought = Vec::new();
    for _ in 0..3 {
        bought.push(call.buy(&shop, &app, DialectName::X402).await);
    }
    records.set(Put::Full);
    let journal = Journal::begin();
    for credential in &bought {
        let answer = ask(&app, call.paid(&named(credential, ID))).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let lines = journal.lines();
    let logged = lines.matches("its payment identifier was not noted");
    assert_eq!(logged.count(), 1, "{lines}");
}

#[tokio::test]
async fn identifiers_take_no_room_of_answers_and_spent_payments_take_none_at_all() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let charge = || {
        let kept = KeptAnswers::new(shop.store.clone()).bytes_per_answer(4_096);
        Charge::new(Amount::from_sat(10)).keep_answers(kept.bytes_in_all(64 << 10))
    };
    let before = numbered(&shop.paywall_of_every_dialect(), charge(), &runs);
    let call = Call::get("/a");
    let mine = call.buy(&shop, &before, DialectName::X402).await;
    assert_eq!(
        ask(&before, call.paid(&mine)).await.status(),
        StatusCode::OK
    );
    let app = numbered(&shop.paywall_of_every_dialect(), charge(), &runs);
    for n in 0..200 {
        let answer = ask(&app, call.paid(&named(&mine, theirs_id(n)))).await;
        assert!(is_spent(&answer, DialectName::X402), "{n}: {answer:?}");
    }
    for n in 0..20 {
        let theirs = named(
            &call.buy(&shop, &app, DialectName::X402).await,
            theirs_id(n),
        );
        let first = ask(&app, call.paid(&theirs)).await;
        assert_eq!(first.status(), StatusCode::OK);
        same(&first, &ask(&app, call.paid(&theirs)).await, "it is kept");
    }
}
