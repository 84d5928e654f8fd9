//! Answers that are kept and given again by another process, after a restart, or after the client
//! hung up.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
};
use http::StatusCode;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use tower_x402::{
    Amount, Charge, DialectName,
    clock::Timestamp,
    replay::{DurableOptions, DurableStore, Revocations},
    server::KeptAnswers,
};

use crate::{
    customer::{ALL, Call},
    in_use::{Gate, begun, gated, is_in_use, is_spent},
    kept::{Runs, keeps, numbered, same},
    kept_slow::SlowRecords,
    shop::{Shop, ask, reason},
};

#[tokio::test]
async fn a_kept_answer_outlives_a_restart_if_the_records_are_durable() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let options = DurableOptions::new().clock(shop.clock.clone());
            let store = Arc::new(DurableStore::open_with(folder.path(), options).unwrap());
            let paywall = shop.builder_of_every_dialect().replay_store(store.clone());
            let charge = Charge::new(Amount::from_sat(10));
            let charge = charge.keep_answers(KeptAnswers::new(store));
            numbered(&paywall.build().unwrap(), charge, &runs)
        };
        let call = Call::post("/a", b"abc");
        let app = open();
        shop.clock.advance(Duration::from_secs(300));
        let credential = call.buy(&shop, &app, dialect).await;
        let first = ask(&app, call.paid(&credential)).await;
        assert_eq!(first.status(), StatusCode::OK, "{dialect}");
        drop(app);
        let app = open();
        for _ in 0..2 {
            same(
                &first,
                &ask(&app, call.paid(&credential)).await,
                dialect.as_str(),
            );
        }
        let other = ask(&app, Call::post("/b", b"abc").paid(&credential)).await;
        assert_eq!(other.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
        assert_eq!(runs.count(), 1);
    }
}

#[tokio::test]
async fn another_process_says_409_while_the_answer_is_made_and_gives_it_again_after_that() {
    for dialect in ALL {
        let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
        let [one, other] =
            [(); 2].map(|()| gated(&shop.paywall_of_every_dialect(), keeps(&shop), &gate));
        let call = Call::get("/a");
        let credential = call.buy(&shop, &one, dialect).await;
        let Err(first) = begun(ask(&one, call.paid(&credential))).await else {
            panic!("the handler waits");
        };
        for app in [&one, &other] {
            is_in_use(&ask(app, call.paid(&credential)).await, dialect.as_str());
        }
        gate.add_permits(1);
        let first = first.await;
        for app in [&other, &one] {
            same(
                &first,
                &ask(app, call.paid(&credential)).await,
                dialect.as_str(),
            );
        }
    }
}

/// Lets a request go on although its client hangs up: the recipe of `Charge::keep_answers`.
async fn to_its_end(request: Request, next: Next) -> Result<Response, StatusCode> {
    let answer = tokio::spawn(next.run(request)).await;
    answer.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test]
async fn a_client_that_hung_up_gets_its_answer_if_the_request_went_on() {
    for dialect in ALL {
        let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
        let app = gated(&shop.paywall_of_every_dialect(), keeps(&shop), &gate);
        let app = app.layer(from_fn(to_its_end));
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        let first = begun(ask(&app, call.paid(&credential))).await;
        drop(first.expect_err("the handler waits"));
        is_in_use(&ask(&app, call.paid(&credential)).await, dialect.as_str());
        gate.add_permits(1);
        let mut answer = ask(&app, call.paid(&credential)).await;
        while answer.status() == StatusCode::CONFLICT {
            tokio::task::yield_now().await;
            answer = ask(&app, call.paid(&credential)).await;
        }
        assert_eq!(answer.status(), StatusCode::OK, "{dialect}: {answer:?}");
        assert_eq!(gate.available_permits(), 0, "the handler ran once");
    }
}

#[tokio::test]
async fn without_that_a_client_that_hangs_up_while_the_handler_works_gets_nothing_more() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let app = gated(&shop.paywall(), keeps(&shop), &gate);
    let call = Call::get("/a");
    let credential = call.buy(&shop, &app, DialectName::L402).await;
    drop(begun(ask(&app, call.paid(&credential))).await);
    assert_eq!(reason(&ask(&app, call.paid(&credential)).await), "spent");
}

#[tokio::test]
async fn a_client_that_hangs_up_at_the_answer_finds_it_kept() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
        let call = Call::get("/a");
        let credential = call.buy(&shop, &app, dialect).await;
        // The head is there, and nobody reads the body.
        let first = app.clone().oneshot(call.paid(&credential));
        drop(first.await.unwrap());
        let again = ask(&app, call.paid(&credential)).await;
        assert_eq!(
            (again.status(), &again.body()[..]),
            (StatusCode::OK, &b"answer 1"[..])
        );
        assert_eq!(runs.count(), 1, "{dialect}");
    }
}

#[tokio::test]
async fn an_answer_that_is_still_being_kept_is_in_use_and_a_drop_then_leaves_it_spent() {
    let shop = Shop::new();
    let store = Arc::new(SlowRecords::new(shop.store.clone()));
    let charge = Charge::new(Amount::from_sat(10)).keep_answers(KeptAnswers::new(store.clone()));
    let runs = Runs::default();
    let app = numbered(&shop.paywall(), charge, &runs);
    let call = Call::get("/a");
    let credential = call.buy(&shop, &app, DialectName::L402).await;
    store.hangs(true);
    let first = begun(ask(&app, call.paid(&credential))).await;
    is_in_use(&ask(&app, call.paid(&credential)).await, "while it is kept");
    drop(first.expect_err("the records hang"));
    store.hangs(false);
    assert_eq!(reason(&ask(&app, call.paid(&credential)).await), "spent");
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn a_revoked_payment_gets_no_kept_answer() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let revocations = Revocations::load(shop.store.clone()).await.unwrap();
        let paywall = shop
            .builder_of_every_dialect()
            .revocations(revocations.clone());
        let app = numbered(&paywall.build().unwrap(), keeps(&shop), &runs);
        let call = Call::get("/a");
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        let credential = bought.of(dialect);
        assert_eq!(
            ask(&app, call.paid(credential)).await.status(),
            StatusCode::OK
        );
        shop.clock.advance(Duration::from_secs(1));
        let until = Timestamp::from_unix_seconds(1_900_000_000);
        revocations
            .revoke(bought.payment_hash, until)
            .await
            .unwrap();
        for wait in [0, 400] {
            shop.clock.advance(Duration::from_secs(wait));
            let answer = ask(&app, call.paid(credential)).await;
            assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
        }
    }
}

#[tokio::test]
async fn of_many_equal_requests_at_once_one_runs_the_handler_and_no_other_answer_is_given() {
    for dialect in ALL {
        let (shop, runs) = (Shop::new(), Runs::default());
        let apps =
            [(); 2].map(|()| numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs));
        let call = Call::post("/a", b"abc");
        let credential = call.buy(&shop, &apps[0], dialect).await;
        let mut racers = tokio::task::JoinSet::new();
        for number in 0..60 {
            let (app, request) = (apps[number % 2].clone(), call.paid(&credential));
            racers.spawn(async move { ask(&app, request).await });
        }
        let mut answers = 0;
        for answer in racers.join_all().await {
            match answer.status() {
                StatusCode::OK => assert_eq!(answer.body(), "answer 1"),
                StatusCode::CONFLICT => is_in_use(&answer, dialect.as_str()),
                // The answer was given as often as it may be.
                _ => assert!(is_spent(&answer, dialect)),
            }
            answers += usize::from(answer.status() == StatusCode::OK);
        }
        assert!(answers >= 1, "{dialect}");
        assert_eq!(runs.count(), 1, "{dialect}");
    }
}

#[tokio::test]
async fn a_spent_credential_beside_another_one_spends_nothing() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall(), keeps(&shop), &runs);
    let call = Call::get("/a");
    let (one, two) = (
        call.buy(&shop, &app, DialectName::L402).await,
        call.buy(&shop, &app, DialectName::L402).await,
    );
    let both = call.with(&one).with(&two);
    let first = ask(&app, both.request()).await;
    same(&first, &ask(&app, both.request()).await, "both again");
    assert_eq!(runs.count(), 1);
    assert_eq!(
        ask(&app, call.paid(&two)).await.body(),
        "answer 2",
        "it is unspent"
    );
}
