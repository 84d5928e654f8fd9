//! A credential whose use another process is serving: two paywalls with one store.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use http::StatusCode;
use tokio::sync::Semaphore;
use tower_x402::{
    Amount, Charge, DialectName,
    replay::{DurableOptions, DurableStore, ReplayStore},
};

use crate::{
    customer::{ALL, Call},
    in_use::{Gate, begun, gated, is_in_use, is_spent},
    shop::{Lasting, Shop, ask, reason},
};

fn closed() -> Gate {
    Gate::new(Semaphore::new(0))
}

#[tokio::test]
async fn a_request_that_another_process_serves_is_409_and_spent_after_that() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, gate) = (Shop::new(), closed());
    let options = DurableOptions::new().clock(shop.clock.clone());
    let durable = Arc::new(DurableStore::open_with(folder.path(), options).unwrap());
    let memory: Arc<dyn ReplayStore> = shop.store.clone();
    for store in [memory, durable] {
        let paywall = || {
            let builder = shop.builder_of_every_dialect();
            builder.replay_store(store.clone()).build().unwrap()
        };
        let charge = Amount::from_sat(10);
        let (one, other) = (
            gated(&paywall(), charge, &gate),
            gated(&paywall(), charge, &gate),
        );
        for call in [Call::get("/a"), Call::post("/a", b"abc")] {
            for dialect in ALL {
                let credential = call.buy(&shop, &one, dialect).await;
                let made = shop.node.invoices_created();
                let Err(first) = begun(ask(&one, call.paid(&credential))).await else {
                    panic!("the handler waits");
                };
                for _ in 0..3 {
                    let answer = ask(&other, call.paid(&credential)).await;
                    is_in_use(&answer, &format!("{dialect} {call:?}"));
                }
                assert_eq!(shop.node.invoices_created(), made, "nobody is asked to pay");
                gate.add_permits(1);
                assert_eq!(first.await.status(), StatusCode::OK);
                for app in [&other, &one] {
                    assert!(is_spent(&ask(app, call.paid(&credential)).await, dialect));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_failure_in_one_process_is_served_again_by_the_other() {
    let (shop, gate) = (Shop::new(), closed());
    let (one, other) = (
        gated(&shop.paywall(), Amount::from_sat(10), &gate),
        gated(&shop.paywall(), Amount::from_sat(10), &gate),
    );
    let call = Call::get("/broken");
    let credential = call.buy(&shop, &one, DialectName::L402).await;
    for (app, next) in [(&one, &other), (&other, &one), (&one, &other)] {
        let Err(first) = begun(ask(app, call.paid(&credential))).await else {
            panic!("the handler waits");
        };
        is_in_use(&ask(next, call.paid(&credential)).await, "while it works");
        gate.add_permits(1);
        assert_eq!(first.await.status(), StatusCode::BAD_GATEWAY);
    }
    assert_eq!(reason(&ask(&other, call.paid(&credential)).await), "spent");
}

#[tokio::test]
async fn a_client_that_hung_up_at_one_process_is_told_spent_by_the_other() {
    for dialect in ALL {
        let (shop, gate) = (Shop::new(), closed());
        let [one, other] = [(); 2].map(|()| {
            let paywall = shop.paywall_of_every_dialect();
            gated(&paywall, Amount::from_sat(10), &gate)
        });
        let call = Call::get("/a");
        let credential = call.buy(&shop, &one, dialect).await;
        let first = begun(ask(&one, call.paid(&credential))).await;
        is_in_use(&ask(&other, call.paid(&credential)).await, dialect.as_str());
        drop(first);
        assert!(is_spent(
            &ask(&other, call.paid(&credential)).await,
            dialect
        ));
    }
}

#[tokio::test]
async fn several_uses_are_in_use_once_all_are_taken_and_as_long_as_one_is_served() {
    let (shop, gate) = (Shop::new(), closed());
    let charge = Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(3).unwrap());
    let [one, other] = [(); 2].map(|()| gated(&shop.paywall(), charge.clone(), &gate));
    let call = Call::get("/a");
    let credential = call.buy(&shop, &one, DialectName::L402).await;
    let mut served = Vec::new();
    for app in [&one, &other, &one] {
        let first = begun(ask(app, call.paid(&credential))).await;
        served.push(first.expect_err("the handler waits"));
    }
    for _ in 0..3 {
        for app in [&one, &other] {
            is_in_use(&ask(app, call.paid(&credential)).await, "one is served");
        }
        gate.add_permits(1);
        assert_eq!(served.remove(0).await.status(), StatusCode::OK);
    }
    for app in [&one, &other] {
        assert_eq!(reason(&ask(app, call.paid(&credential)).await), "spent");
    }
}

#[tokio::test]
async fn a_process_that_died_while_it_served_holds_nobody_for_more_than_five_minutes() {
    let (shop, gate) = (Shop::new(), closed());
    let [one, other] = [(); 2].map(|()| gated(&shop.paywall(), Amount::from_sat(10), &gate));
    let call = Call::get("/a");
    let credential = call.buy(&shop, &one, DialectName::L402).await;
    let first = begun(ask(&one, call.paid(&credential))).await;
    // As if it were killed: nothing is dropped.
    std::mem::forget(first.err());
    shop.clock.advance(Duration::from_secs(300));
    is_in_use(
        &ask(&other, call.paid(&credential)).await,
        "the last second",
    );
    shop.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(&ask(&other, call.paid(&credential)).await), "spent");
}

#[tokio::test]
async fn a_store_that_does_not_know_what_is_served_answers_spent_as_ever() {
    let (shop, gate) = (Shop::new(), closed());
    let [one, other] = [(); 2].map(|()| {
        let paywall = shop.builder().replay_store(Lasting(shop.store.clone()));
        gated(&paywall.build().unwrap(), Amount::from_sat(10), &gate)
    });
    let call = Call::get("/a");
    let credential = call.buy(&shop, &one, DialectName::L402).await;
    let first = begun(ask(&one, call.paid(&credential))).await;
    is_in_use(&ask(&one, call.paid(&credential)).await, "in its process");
    assert_eq!(reason(&ask(&other, call.paid(&credential)).await), "spent");
    gate.add_permits(1);
    assert_eq!(first.err().unwrap().await.status(), StatusCode::OK);
    assert_eq!(reason(&ask(&other, call.paid(&credential)).await), "spent");
}
