//! How long an unpaid invoice holds its slot, and what frees it.

use std::time::Duration;

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{Amount, Charge, Paywall, Secrets, lightning::Lie, price_fn, server::ClientAddr};

use crate::{
    limits::{from, invoices, retry_after, service},
    shop::{ORIGIN, Shop, ask, get, paid},
    slow::Slow,
};

#[tokio::test]
async fn a_slot_is_held_although_the_request_was_dropped() {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(1).build().unwrap());
    shop.node.pause();
    let mut reset = tokio_test::task::spawn(ask(&app, from("198.51.100.1")));
    assert!(reset.poll().is_pending());
    drop(reset);
    shop.node.resume();
    assert_eq!(invoices(&app, 3, || from("198.51.100.1")).await, 0);
    shop.clock.advance(Duration::from_secs(301));
    assert_eq!(invoices(&app, 3, || from("198.51.100.1")).await, 1);
}

#[tokio::test]
async fn a_slot_comes_back_when_its_invoice_is_redeemed_and_once_only() {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(2).build().unwrap());
    let credential = shop.pay(&ask(&app, from("198.51.100.1")).await);
    assert_eq!(invoices(&app, 3, || from("198.51.100.1")).await, 1);
    // It is redeemed from elsewhere; the slot is whose invoice it was.
    let redeem = || {
        let mut request = paid("/weather", &credential);
        request
            .extensions_mut()
            .insert(ClientAddr::new("203.0.113.1".parse().unwrap()));
        request
    };
    assert_eq!(ask(&app, redeem()).await.status(), StatusCode::OK);
    assert_eq!(
        ask(&app, redeem()).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    // It has paid, so it may hold eight, and one is still held.
    assert_eq!(invoices(&app, 12, || from("198.51.100.1")).await, 7);
}

#[tokio::test]
async fn a_slot_comes_back_when_timed_access_is_first_used() {
    let shop = Shop::new();
    let charge = Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(60));
    let paywall = shop.builder().max_unpaid_per_client(1).build().unwrap();
    let app = Router::new().route(
        "/weather",
        on_get(async || "sunny").route_layer(paywall.charge(charge).unwrap()),
    );
    let token = shop.pay(&ask(&app, from("198.51.100.1")).await);
    assert_eq!(invoices(&app, 2, || from("198.51.100.1")).await, 0);
    for _ in 0..2 {
        assert_eq!(
            ask(&app, paid("/weather", &token)).await.status(),
            StatusCode::OK
        );
    }
    // It has paid, so it may hold four.
    assert_eq!(invoices(&app, 9, || from("198.51.100.1")).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_or_hangs_holds_a_slot_for_a_moment_and_one_that_lies_for_an_invoices_life()
 {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(2).build().unwrap());
    shop.node.reachable(false);
    for _ in 0..2 {
        assert_eq!(
            ask(&app, from("198.51.100.1")).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    assert_eq!(
        ask(&app, from("198.51.100.1")).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    shop.clock.advance(Duration::from_secs(11));
    shop.node.reachable(true);
    shop.node.pause();
    for _ in 0..2 {
        assert_eq!(
            ask(&app, from("198.51.100.1")).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    assert_eq!(retry_after(&ask(&app, from("198.51.100.1")).await), 10);
    shop.node.resume();
    shop.clock.advance(Duration::from_secs(11));
    shop.node.lie(Lie::Amount);
    for _ in 0..2 {
        assert_eq!(
            ask(&app, from("198.51.100.1")).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    shop.node.lie(None);
    shop.clock.advance(Duration::from_secs(11));
    assert_eq!(retry_after(&ask(&app, from("198.51.100.1")).await), 289);
    assert_eq!(invoices(&app, 1, || from("198.51.100.2")).await, 1);
}

#[tokio::test(start_paused = true)]
async fn customers_of_a_node_that_hung_are_served_when_it_recovers_although_they_gave_up() {
    for patience in [3, 10, 60] {
        let shop = Shop::new();
        let app = service(&shop.paywall());
        assert_eq!(invoices(&app, 1, || from("198.51.100.9")).await, 1);
        shop.node.pause();
        for _ in 0..64 {
            // Some give up at once, the others after so many seconds.
            let mut reset = tokio_test::task::spawn(ask(&app, from("198.51.100.1")));
            assert!(reset.poll().is_pending());
        }
        let gave_up = tokio::time::timeout(
            Duration::from_secs(patience),
            ask(&app, from("198.51.100.2")),
        );
        assert_ne!(
            gave_up.await.map(|answer| answer.status()),
            Ok(StatusCode::PAYMENT_REQUIRED)
        );
        assert_eq!(
            retry_after(&ask(&app, from("198.51.100.1")).await),
            10,
            "gave up after {patience} s"
        );
        shop.node.resume();
        shop.clock.advance(Duration::from_secs(11));
        assert_eq!(
            invoices(&app, 64, || from("198.51.100.1")).await,
            64,
            "gave up after {patience} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn resets_while_the_node_answers_get_no_slot_back_before_the_invoices_end() {
    let shop = Shop::new();
    let node = Slow::new(shop.node.clone()).hesitates();
    let paywall = Paywall::builder(node)
        .origin(ORIGIN)
        .master_secret(Secrets::test_secret(7))
        .replay_store(shop.store.clone());
    let app = service(&paywall.clock(shop.clock.clone()).build().unwrap());
    for reset in 0..200_u64 {
        let mut request = tokio_test::task::spawn(ask(&app, from("198.51.100.1")));
        assert_eq!(request.poll().is_pending(), reset < 64);
        drop(request);
        shop.clock.advance(Duration::from_secs(1));
        assert_eq!(
            invoices(&app, 1, || from(&format!("203.0.113.{reset}"))).await,
            1
        );
    }
    assert_eq!(retry_after(&ask(&app, from("198.51.100.1")).await), 100);
}

#[tokio::test(start_paused = true)]
async fn a_slot_goes_back_at_once_if_the_price_function_takes_too_long_or_its_request_is_dropped() {
    let shop = Shop::new();
    let slow = price_fn(|_| std::future::pending());
    let paywall = shop.builder().max_unpaid_per_client(1).build().unwrap();
    let app = service(&paywall).route(
        "/slow",
        on_get(async || "served").route_layer(paywall.charge(Charge::new(slow)).unwrap()),
    );
    let slow = || {
        let mut request = get("/slow");
        request
            .extensions_mut()
            .insert(ClientAddr::new("198.51.100.1".parse().unwrap()));
        request
    };
    for _ in 0..3 {
        let mut dropped = tokio_test::task::spawn(ask(&app, slow()));
        assert!(dropped.poll().is_pending());
        assert_eq!(retry_after(&ask(&app, slow()).await), 1);
        drop(dropped);
        assert_eq!(
            ask(&app, slow()).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    assert_eq!(invoices(&app, 1, || from("198.51.100.1")).await, 1);
}
