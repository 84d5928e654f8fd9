//! Paywalls of one process that accept each other's credentials.

use std::time::Duration;

use http::StatusCode;
use tower_x402::{MemoryStore, RouteTable};

use crate::{
    journal::Journal,
    services::{Street, TOLD, report, sat},
    shop::{ask, get},
};

#[tokio::test]
async fn two_services_that_nothing_keeps_apart_are_logged_once_with_the_fix() {
    let street = Street::new();
    let journal = Journal::begin();
    let told = |journal: &Journal| journal.lines().matches(TOLD).count();
    let cheap = street.service("one");
    let dear = street.service("one");
    let labelled = street.service("two");
    let elsewhere = street
        .builder()
        .service("one")
        .replay_store(MemoryStore::new().unwrap())
        .build()
        .unwrap();
    let (cheap, labelled) = (report(&cheap, sat(1)), report(&labelled, sat(3)));
    let elsewhere = report(&elsewhere, sat(4));
    assert_eq!(told(&journal), 0, "{}", journal.lines());
    let dear = report(&dear, sat(1_000_000));
    assert_eq!(told(&journal), 1, "{}", journal.lines());
    for app in [&cheap, &dear, &labelled, &elsewhere, &cheap] {
        assert_eq!(
            ask(app, get("/report")).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
    }
    assert_eq!(told(&journal), 1, "{}", journal.lines());
    let line = journal.lines();
    assert!(
        line.contains("WARN")
            && line.contains("https://api.example.com")
            && line.contains("master secret"),
        "{line}"
    );
}

#[tokio::test]
async fn a_service_that_sells_more_than_its_twin_is_logged_at_the_first_request() {
    let street = Street::new();
    let journal = Journal::begin();
    let (one, two) = (street.service("one"), street.service("one"));
    let (first, _) = (report(&one, sat(1)), report(&two, sat(1)));
    let _ = report(&two, sat(1_000_000));
    assert!(!journal.lines().contains(TOLD));
    assert_eq!(
        ask(&first, get("/report")).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert_eq!(journal.lines().matches(TOLD).count(), 1);
}

#[tokio::test]
async fn tables_are_compared_too() {
    let street = Street::new();
    let journal = Journal::begin();
    let table = |price| {
        RouteTable::new()
            .charge("GET /report", sat(price))
            .otherwise_refuse()
    };
    let (one, two) = (street.service("one"), street.service("one"));
    let _one = one.routes(table(1)).unwrap();
    assert!(!journal.lines().contains(TOLD));
    let _two = two.routes(table(1_000_000)).unwrap();
    assert_eq!(journal.lines().matches(TOLD).count(), 1);
}

#[tokio::test]
async fn durations_are_compared_across_stores_and_paywalls_that_are_gone_with_nobody() {
    let street = Street::new();
    let journal = Journal::begin();
    let told = |journal: &Journal| journal.lines().matches(TOLD).count();
    let day = |sats| sat(sats).for_duration(Duration::from_secs(86_400));
    let of_store = || {
        street
            .builder()
            .replay_store(MemoryStore::new().unwrap())
            .build()
            .unwrap()
    };
    drop(report(&of_store(), day(1)));
    let one = report(&of_store(), day(2));
    assert_eq!(told(&journal), 0);
    let two = report(&of_store(), day(3));
    assert_eq!(told(&journal), 1);
    drop((one, two));
}
