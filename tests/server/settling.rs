//! Settlement streams, free allowances and revocations.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use axum::{Router, body::Body, routing::get as on_get};
use futures_util::{FutureExt as _, StreamExt};
use http::{Request, StatusCode};
use tower_x402::{
    Amount, Charge, DialectName, Paid, Paywall, clock::Clock as _, replay::Revocations,
    server::ClientAddr,
};

use crate::{
    customer::{ALL, Call, invoice, payment_hash},
    shop::{Shop, ask, get, problem, reason},
};

fn route(paywall: &Paywall, charge: impl Into<Charge>) -> Router {
    let layer = paywall.charge(charge).unwrap();
    let handler = async |receipt: Option<Paid>| if receipt.is_some() { "paid" } else { "free" };
    Router::new().route("/a", on_get(handler).route_layer(layer))
}

fn uses(uses: u32) -> Charge {
    Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(uses).unwrap())
}

#[tokio::test]
async fn each_payment_is_told_once() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let (mut settlements, mut second) = (paywall.settlements(16), paywall.settlements(16));
    let call = Call::get("/a");
    for dialect in ALL {
        let app = route(&paywall, Amount::from_sat(10));
        let credential = call.buy(&shop, &app, dialect).await;
        assert!(
            settlements.next().now_or_never().is_none(),
            "nothing is told before it was redeemed"
        );
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK
        );
        ask(&app, call.paid(&credential)).await;
        let told = settlements.next().now_or_never().flatten().unwrap();
        assert_eq!(
            (told.dialect(), told.amount()),
            (dialect, Some(Amount::from_sat(10)))
        );
        assert_eq!(told.resource(), "GET https://api.example.com/a");
        assert!(settlements.next().now_or_never().is_none());
    }
    for charge in [
        uses(3),
        Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(60)),
    ] {
        let app = route(&paywall, charge);
        let credential = call.buy(&shop, &app, DialectName::L402).await;
        for _ in 0..3 {
            assert_eq!(
                ask(&app, call.paid(&credential)).await.status(),
                StatusCode::OK
            );
        }
        assert!(settlements.next().now_or_never().flatten().is_some());
        assert!(settlements.next().now_or_never().is_none());
    }
    assert_eq!(settlements.dropped(), 0);
    let heard =
        std::iter::from_fn(|| StreamExt::next(&mut second).now_or_never().flatten()).count();
    assert_eq!(heard, 5);
}

#[tokio::test]
async fn a_listener_that_does_not_listen_delays_nobody_and_what_it_missed_is_counted() {
    let shop = Shop::new();
    let paywall = shop.paywall();
    let mut settlements = paywall.settlements(2);
    let gone = paywall.settlements(1);
    drop(gone);
    let app = route(&paywall, Amount::from_sat(10));
    let call = Call::get("/a");
    for _ in 0..5 {
        let credential = call.buy(&shop, &app, DialectName::L402).await;
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK
        );
    }
    assert_eq!(settlements.dropped(), 3);
    assert!(settlements.next().now_or_never().flatten().is_some());
    assert!(settlements.next().now_or_never().flatten().is_some());
    drop((app, paywall));
    assert!(
        settlements.next().now_or_never().unwrap().is_none(),
        "it ends with the paywall"
    );
}

fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    request
        .extensions_mut()
        .insert(ClientAddr::new(address.parse::<IpAddr>().unwrap()));
    request
}

#[tokio::test]
async fn so_many_requests_a_day_are_free_for_each_client_that_is_known() {
    let shop = Shop::new();
    let app = route(
        &shop.paywall_of_every_dialect(),
        Charge::new(Amount::from_sat(10)).free_per_day(NonZeroU32::new(2).unwrap()),
    );
    for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        for _ in 0..2 {
            assert_eq!(ask(&app, from(client, get("/a"))).await.body(), "free");
        }
        assert_eq!(
            ask(&app, from(client, get("/a"))).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
    }
    assert_eq!(
        ask(&app, from("2001:db8::ffff", get("/a"))).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert_eq!(
        ask(&app, get("/a")).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    let mut pretends = from("192.0.2.1", get("/a"));
    pretends
        .headers_mut()
        .insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
    assert_eq!(
        ask(&app, pretends).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    shop.clock.advance(Duration::from_secs(86_400));
    assert_eq!(ask(&app, from("192.0.2.1", get("/a"))).await.body(), "free");
}

#[tokio::test]
async fn a_credential_is_used_before_the_allowance_is_touched() {
    let shop = Shop::new();
    let app = route(
        &shop.paywall(),
        Charge::new(Amount::from_sat(10)).free_per_day(NonZeroU32::MIN),
    );
    let credential = Call::get("/a").buy(&shop, &app, DialectName::L402).await;
    assert_eq!(
        ask(&app, from("192.0.2.1", Call::get("/a").paid(&credential)))
            .await
            .body(),
        "paid"
    );
    assert_eq!(ask(&app, from("192.0.2.1", get("/a"))).await.body(), "free");
}

#[tokio::test]
async fn racing_requests_of_one_client_get_its_allowance_and_no_more() {
    let shop = Shop::new();
    let app = route(
        &shop.paywall(),
        Charge::new(Amount::from_sat(10)).free_per_day(NonZeroU32::new(7).unwrap()),
    );
    let racing = (0..50).map(|_| {
        let app = app.clone();
        tokio::spawn(async move { ask(&app, from("192.0.2.1", get("/a"))).await.status() })
    });
    let statuses = futures_util::future::join_all(racing).await;
    assert_eq!(
        statuses
            .into_iter()
            .filter(|status| *status.as_ref().unwrap() == StatusCode::OK)
            .count(),
        7
    );
}

#[tokio::test]
async fn a_revoked_payment_opens_nothing_in_any_dialect() {
    let call = Call::get("/a");
    let charges = [
        Charge::new(Amount::from_sat(10)),
        uses(5),
        Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(60)),
    ];
    for charge in charges {
        for dialect in ALL {
            let shop = Shop::new();
            let revocations = Revocations::load(shop.store.clone()).await.unwrap();
            let paywall = shop
                .builder()
                .dialects(ALL)
                .revocations(revocations.clone())
                .build()
                .unwrap();
            let app = route(&paywall, charge.clone());
            let (first, second) = (
                ask(&app, call.request()).await,
                ask(&app, call.request()).await,
            );
            let mut lines = Vec::new();
            for answer in [&first, &second] {
                let preimage = shop.node.settle(payment_hash(answer)).unwrap();
                lines.extend(call.credential(&shop, dialect, answer, &preimage));
            }
            let [revoked, kept] = &lines[..] else {
                continue;
            };
            let until = shop
                .clock
                .now()
                .saturating_add(Duration::from_secs(90 * 86_400));
            revocations
                .revoke(invoice(&first).payment_hash(), until)
                .await
                .unwrap();
            for _ in 0..2 {
                let answer = ask(&app, call.paid(revoked)).await;
                assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
                if dialect == DialectName::L402 {
                    assert_eq!(reason(&answer), "revoked");
                } else {
                    assert_eq!(
                        problem(&answer)["type"],
                        "https://paymentauth.org/problems/invalid-challenge"
                    );
                }
            }
            assert_eq!(
                ask(&app, call.paid(kept)).await.status(),
                StatusCode::OK,
                "{dialect}"
            );
        }
    }
}
