//! Bursts of honest clients: how many invoices a client that pays gets, and when others come back.

use std::time::Duration;

use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Request, Response, StatusCode};
use tower_x402::server::ClientAddr;

use crate::{
    limits::{from, invoices, retry_after, service},
    shop::{Shop, ask, paid},
};

/// So many calls of one client at once.
async fn burst(app: &Router, calls: usize, address: &str) -> Vec<Response<Bytes>> {
    join_all((0..calls).map(|_| ask(app, from(address)))).await
}

fn redeeming(credential: &HeaderValue, address: &str) -> Request<Body> {
    let mut request = paid("/weather", credential);
    request
        .extensions_mut()
        .insert(ClientAddr::new(address.parse().unwrap()));
    request
}

/// Pays the invoices of these 402s and redeems them. Returns how many were served.
async fn pay_all(shop: &Shop, app: &Router, answers: &[Response<Bytes>], address: &str) -> usize {
    let mut served = 0;
    for answer in answers {
        if answer.status() == StatusCode::PAYMENT_REQUIRED {
            let redeemed = ask(app, redeeming(&shop.pay(answer), address)).await;
            served += usize::from(redeemed.status() == StatusCode::OK);
        }
    }
    served
}

fn refused(answers: &[Response<Bytes>]) -> Vec<u64> {
    let is_refused = |answer: &&Response<Bytes>| answer.status() == StatusCode::TOO_MANY_REQUESTS;
    answers.iter().filter(is_refused).map(retry_after).collect()
}

#[tokio::test]
async fn a_hundred_parallel_calls_of_a_client_that_pays_are_all_served() {
    for address in ["198.51.100.1", "2001:db8::1"] {
        let shop = Shop::new();
        let app = service(&shop.paywall());
        let first = burst(&app, 1, address).await;
        assert_eq!(pay_all(&shop, &app, &first, address).await, 1);
        let answers = burst(&app, 100, address).await;
        assert!(refused(&answers).is_empty());
        shop.clock.advance(Duration::from_secs(2));
        assert_eq!(pay_all(&shop, &app, &answers, address).await, 100);
    }
}

#[tokio::test]
async fn the_first_burst_of_a_new_client_is_told_to_come_back_in_seconds_and_then_all_is_served() {
    for calls in [65, 100, 128] {
        let shop = Shop::new();
        let app = service(&shop.paywall());
        let answers = burst(&app, calls, "198.51.100.1").await;
        assert_eq!(refused(&answers), vec![5; calls - 64]);
        shop.clock.advance(Duration::from_secs(3));
        let served = pay_all(&shop, &app, &answers, "198.51.100.1").await;
        assert_eq!(served, 64);
        shop.clock.advance(Duration::from_secs(2));
        let answers = burst(&app, calls - 64, "198.51.100.1").await;
        let served = pay_all(&shop, &app, &answers, "198.51.100.1").await;
        assert_eq!(served, calls - 64);
    }
}

#[tokio::test]
async fn a_client_that_pays_is_told_the_time_that_it_lately_took() {
    for (took, told) in [(0, 1), (1, 1), (7, 7), (40, 40), (200, 60)] {
        let shop = Shop::new();
        let app = service(&shop.builder().max_unpaid_per_client(2).build().unwrap());
        let answers = burst(&app, 2, "198.51.100.1").await;
        shop.clock.advance(Duration::from_secs(took));
        pay_all(&shop, &app, &answers, "198.51.100.1").await;
        let answers = burst(&app, 12, "198.51.100.1").await;
        assert_eq!(refused(&answers), [told; 4], "took {took} s");
    }
}

#[tokio::test]
async fn what_it_took_lately_counts_more_than_what_it_took_before() {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(1).build().unwrap());
    for (took, told) in [(30, 30), (2, 16), (2, 9), (2, 6), (2, 4), (2, 3), (2, 3)] {
        let answers = burst(&app, 4, "198.51.100.1").await;
        shop.clock.advance(Duration::from_secs(took));
        pay_all(&shop, &app, &answers[..1], "198.51.100.1").await;
        let answers = burst(&app, 5, "198.51.100.1").await;
        assert_eq!(refused(&answers).last(), Some(&told), "took {took} s");
        shop.clock.advance(Duration::from_secs(301));
    }
}

#[tokio::test]
async fn a_client_that_stops_paying_waits_longer_each_time_and_never_beyond_its_invoices() {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(1).build().unwrap());
    let first = burst(&app, 1, "198.51.100.1").await;
    shop.clock.advance(Duration::from_secs(4));
    pay_all(&shop, &app, &first, "198.51.100.1").await;
    burst(&app, 4, "198.51.100.1").await;
    let mut told = Vec::new();
    while let [wait] = refused(&burst(&app, 1, "198.51.100.1").await)[..] {
        told.push(wait);
        shop.clock.advance(Duration::from_secs(wait));
    }
    assert_eq!(told, [4, 1, 5, 10, 20, 40, 60, 60, 60, 40, 1]);
}

#[tokio::test]
async fn a_client_that_never_paid_is_told_when_its_first_invoice_expires() {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(2).build().unwrap());
    for (later, told) in [(0, 5), (9, 5), (1, 290), (100, 190), (190, 1)] {
        shop.clock.advance(Duration::from_secs(later));
        let answers = burst(&app, 3, "198.51.100.1").await;
        assert_eq!(refused(&answers).last(), Some(&told));
    }
    // Who pays at another address is not this client.
    let others = burst(&app, 1, "198.51.100.2").await;
    pay_all(&shop, &app, &others, "198.51.100.2").await;
    shop.clock.advance(Duration::from_secs(1));
    assert_eq!(invoices(&app, 3, || from("198.51.100.1")).await, 2);
    shop.clock.advance(Duration::from_secs(50));
    assert_eq!(refused(&burst(&app, 1, "198.51.100.1").await), [250]);
}

#[tokio::test]
async fn clients_that_paid_one_cheap_invoice_cannot_push_others_out() {
    let shop = Shop::new();
    let builder = shop.builder().max_unpaid_per_client(10);
    let app = service(&builder.max_unpaid(200).build().unwrap());
    let attackers: Vec<_> = (1..=5).map(|n| format!("192.0.2.{n}")).collect();
    for address in attackers.iter().map(String::as_str).chain(["198.51.100.1"]) {
        let answers = burst(&app, 1, address).await;
        assert_eq!(pay_all(&shop, &app, &answers, address).await, 1);
    }
    let mut taken = Vec::new();
    for address in &attackers {
        taken.push(invoices(&app, 60, || from(address)).await);
    }
    // Bursts stop at half of all. After that each client has what every client has.
    assert_eq!(taken, [40, 40, 20, 10, 10]);
    assert_eq!(invoices(&app, 60, || from(&attackers[0])).await, 0);
    // The other half is for everybody as before, and its last tenth for clients that paid.
    let mut strangers = 0;
    for n in 1..=20 {
        strangers += invoices(&app, 12, || from(&format!("203.0.113.{n}"))).await;
    }
    assert_eq!(strangers, 60);
    assert_eq!(invoices(&app, 60, || from(&attackers[1])).await, 0);
    assert_eq!(invoices(&app, 60, || from("198.51.100.1")).await, 10);
}

#[tokio::test]
async fn a_burst_leaves_half_of_the_share_of_its_household_and_site() {
    let shop = Shop::new();
    let builder = shop.builder().max_unpaid_per_client(10);
    let app = service(&builder.max_unpaid(10_000).build().unwrap());
    for n in 0..6 {
        let address = format!("2001:db8:1:{n:x}::1");
        let answers = burst(&app, 1, &address).await;
        pay_all(&shop, &app, &answers, &address).await;
    }
    let mut taken = Vec::new();
    for n in 0..6 {
        let address = format!("2001:db8:1:{n:x}::1");
        taken.push(invoices(&app, 50, || from(&address)).await);
    }
    // A household's share is that of four clients.
    assert_eq!(taken, [20, 10, 10, 0, 0, 0]);
}

#[tokio::test]
async fn a_client_that_paid_more_than_a_day_ago_has_no_more_than_others() {
    let shop = Shop::new();
    let app = service(&shop.builder().max_unpaid_per_client(3).build().unwrap());
    let first = burst(&app, 1, "198.51.100.1").await;
    pay_all(&shop, &app, &first, "198.51.100.1").await;
    shop.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(invoices(&app, 20, || from("198.51.100.1")).await, 12);
    shop.clock.advance(Duration::from_secs(301));
    assert_eq!(invoices(&app, 20, || from("198.51.100.1")).await, 3);
}

#[tokio::test]
async fn a_client_that_pays_and_fills_all_there_is_is_told_the_time_that_it_lately_took() {
    for address in ["198.51.100.1", "2001:db8::1"] {
        let shop = Shop::new();
        let app = service(&shop.builder().max_unpaid(10).build().unwrap());
        let first = burst(&app, 1, address).await;
        shop.clock.advance(Duration::from_secs(3));
        assert_eq!(pay_all(&shop, &app, &first, address).await, 1);
        let answers = burst(&app, 11, address).await;
        assert_eq!(refused(&answers).last(), Some(&3), "{address}");
        // Nobody else knows when it pays.
        let other = burst(&app, 1, "198.51.100.2").await;
        assert!(refused(&other).iter().all(|wait| *wait == 300));
        shop.clock.advance(Duration::from_secs(3));
        pay_all(&shop, &app, &answers[..1], address).await;
        assert_eq!(invoices(&app, 2, || from(address)).await, 1);
    }
}

#[tokio::test]
async fn after_a_burst_is_over_a_client_is_told_the_time_of_all_payments_that_it_needs() {
    let shop = Shop::new();
    let builder = shop.builder().max_unpaid_per_client(4).max_unpaid(40);
    let app = service(&builder.build().unwrap());
    let address = "198.51.100.1";
    let first = burst(&app, 1, address).await;
    shop.clock.advance(Duration::from_secs(3));
    assert_eq!(pay_all(&shop, &app, &first, address).await, 1);
    assert_eq!(invoices(&app, 16, || from(address)).await, 16);
    // Others take the rest of the half in which bursts are allowed.
    assert_eq!(invoices(&app, 4, || from("198.51.100.2")).await, 4);
    let told = refused(&burst(&app, 1, address).await);
    assert_eq!(told, [3 * 13], "it holds twelve more than it may");
}
