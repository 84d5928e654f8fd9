//! Two services at one origin, with one secret and one store: labels separate them, and a warning
//! is logged if nothing does.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, routing::get as on_get};
use http::{HeaderValue, StatusCode, Uri, header};
use tower::{Layer as _, util::MapRequestLayer};
use tower_x402::{
    Amount, Charge, DialectName, Paywall, RouteTable, Secrets, server::PaywallBuilder,
};

use crate::{
    customer::{ALL, Call},
    journal::Journal,
    shop::{Lasting, Shop, ask, get, reason},
};

/// A shop whose keys no other test has.
pub(crate) struct Street {
    pub(crate) shop: Shop,
    pub(crate) secret: [u8; 32],
}

impl Street {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(100);
        Self {
            shop: Shop::new(),
            secret: Secrets::test_secret(NEXT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(crate) fn builder(&self) -> PaywallBuilder {
        self.shop
            .builder_of_every_dialect()
            .master_secret(self.secret)
    }

    pub(crate) fn service(&self, label: &str) -> Paywall {
        self.builder().service(label).build().unwrap()
    }
}

pub(crate) fn report(paywall: &Paywall, charge: impl Into<Charge>) -> Router {
    Router::new().route(
        "/report",
        on_get(async || "served").route_layer(paywall.charge(charge).unwrap()),
    )
}

pub(crate) fn sat(sat: u32) -> Charge {
    Charge::new(Amount::from_sat(sat))
}

pub(crate) const TOLD: &str = "give each its own label with .service(\"..\")";

#[tokio::test]
async fn a_payment_at_a_cheap_service_opens_no_expensive_one_with_another_label() {
    let street = Street::new();
    let shop = &street.shop;
    let labels = ["cheap", "dear", "cheap ", "che", ""];
    let paywalls = labels.map(|label| {
        if label.is_empty() {
            street.builder().build().unwrap()
        } else {
            street.service(label)
        }
    });
    let [cheap, others @ ..] = paywalls;
    let (cheap, others) = (
        report(&cheap, sat(1)),
        others.map(|paywall| report(&paywall, sat(1_000_000))),
    );
    let call = Call::get("/report");
    for dialect in ALL {
        let credential = call.buy(shop, &cheap, dialect).await;
        for (dear, label) in others.iter().zip(&labels[1..]) {
            let refused = reason(&ask(dear, call.paid(&credential)).await);
            let expected = match dialect {
                DialectName::L402 => "unknown_key",
                DialectName::Mpp => "invalid-challenge",
                _ => "invalid_exact_lnbtc_extra_mismatch",
            };
            assert_eq!(refused, expected, "{dialect} at {label:?}");
        }
        assert_eq!(
            ask(&cheap, call.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn several_uses_and_durations_cross_no_label_either() {
    let street = Street::new();
    let day = |sats| sat(sats).for_duration(Duration::from_secs(86_400));
    let five = |sats| sat(sats).uses(NonZeroU32::new(5).unwrap());
    for charge in [&day as &dyn Fn(u32) -> Charge, &five] {
        let (cheap, dear) = (street.service("cheap"), street.service("dear"));
        let (cheap, dear) = (report(&cheap, charge(1)), report(&dear, charge(1_000_000)));
        let call = Call::get("/report");
        let credential = call.buy(&street.shop, &cheap, DialectName::L402).await;
        assert_eq!(
            reason(&ask(&dear, call.paid(&credential)).await),
            "unknown_key"
        );
        assert_eq!(
            ask(&cheap, call.paid(&credential)).await.status(),
            StatusCode::OK
        );
    }
}

/// Two names in front of two servers, and a gateway that takes a prefix away: the servers see one
/// and the same request.
#[tokio::test]
async fn labels_hold_under_two_accepted_names_and_behind_a_gateway_that_strips_prefixes() {
    let street = Street::new();
    let named = |label: &str| {
        let builder = street
            .builder()
            .service(label)
            .accept_authority(format!("{label}.internal"));
        report(
            &builder.build().unwrap(),
            sat(if label == "cheap" { 1 } else { 1_000_000 }),
        )
    };
    let (cheap, dear) = (named("cheap"), named("dear"));
    let at = |name: &'static str| {
        move |mut request: Request<Body>| {
            request
                .headers_mut()
                .insert(header::HOST, HeaderValue::from_static(name));
            request
        }
    };
    let strip = |prefix: &'static str| {
        move |mut request: Request<Body>| {
            let target = request
                .uri()
                .path_and_query()
                .unwrap()
                .as_str()
                .strip_prefix(prefix)
                .unwrap()
                .to_owned();
            *request.uri_mut() = target.parse::<Uri>().unwrap();
            request
        }
    };
    let shop = &street.shop;
    for dialect in ALL {
        let named = (
            MapRequestLayer::new(at("cheap.internal")).layer(cheap.clone()),
            MapRequestLayer::new(at("dear.internal")).layer(dear.clone()),
        );
        let call = Call::get("/report");
        let credential = call.buy(shop, &named.0, dialect).await;
        assert_eq!(
            ask(&named.1, call.paid(&credential)).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{dialect}"
        );
        assert_eq!(
            ask(&named.0, call.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );

        let behind = (
            MapRequestLayer::new(strip("/cheap")).layer(cheap.clone()),
            MapRequestLayer::new(strip("/dear")).layer(dear.clone()),
        );
        let answer = ask(&behind.0, get("/cheap/report")).await;
        let preimage = shop
            .node
            .settle(crate::customer::payment_hash(&answer))
            .unwrap();
        let credential = call.credential(shop, dialect, &answer, &preimage).unwrap();
        let shown = |prefix: &str| Call::get(&format!("{prefix}/report")).paid(&credential);
        assert_eq!(
            ask(&behind.1, shown("/dear")).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{dialect}"
        );
        assert_eq!(
            ask(&behind.0, shown("/cheap")).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn replicas_of_one_service_take_what_the_other_sold_and_nothing_is_logged() {
    let journal = Journal::begin();
    let street = Street::new();
    let table = || {
        RouteTable::new()
            .charge("GET /report", sat(7))
            .charge("GET /day", sat(9).for_duration(Duration::from_secs(60)))
    };
    let paywalls = [street.service("weather"), street.service("weather")];
    // Set up in turn, as somebody might who makes both at once.
    let other: Vec<_> = paywalls
        .iter()
        .map(|paywall| report(paywall, sat(1)))
        .collect();
    let replicas = paywalls.map(|paywall| {
        let layer = paywall.routes(table().otherwise_refuse()).unwrap();
        Router::new()
            .route("/report", on_get(async || "served"))
            .layer(layer)
    });
    let call = Call::get("/report");
    for dialect in ALL {
        for (sold, shown) in [(0, 1), (1, 0)] {
            let credential = call.buy(&street.shop, &replicas[sold], dialect).await;
            assert_eq!(
                ask(&replicas[shown], call.paid(&credential)).await.status(),
                StatusCode::OK,
                "{dialect}"
            );
        }
    }
    assert_eq!(
        ask(&other[0], get("/report")).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert!(!journal.lines().contains(TOLD), "{}", journal.lines());
}

#[tokio::test]
async fn a_label_separates_no_proofs_of_others_and_they_count_at_the_current_price() {
    let street = Street::new();
    let takes = report(
        &street
            .builder()
            .replay_store(Lasting(street.shop.store.clone()))
            .accept_foreign_proofs()
            .service("dear")
            .build()
            .unwrap(),
        sat(10),
    );
    let (cheap, same) = (
        report(&street.service("cheap"), sat(1)),
        report(&street.service("other"), sat(10)),
    );
    let call = Call::get("/report");
    let proof = call.buy(&street.shop, &cheap, DialectName::X402).await;
    assert_eq!(
        reason(&ask(&takes, call.paid(&proof)).await),
        "invalid_exact_lnbtc_amount_mismatch"
    );
    let proof = call.buy(&street.shop, &same, DialectName::X402).await;
    assert_eq!(
        ask(&takes, call.paid(&proof)).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        reason(&ask(&same, call.paid(&proof)).await),
        "duplicate_settlement"
    );
    for dialect in [DialectName::L402, DialectName::Mpp] {
        let credential = call.buy(&street.shop, &same, dialect).await;
        assert_eq!(
            ask(&takes, call.paid(&credential)).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn the_name_of_a_service_in_caveats_is_in_no_key() {
    let street = Street::new();
    let named = |name: &str| {
        report(
            &street.builder().l402_service(name).build().unwrap(),
            sat(1),
        )
    };
    let (one, other) = (named("one"), named("other"));
    let credential = Call::get("/report")
        .buy(&street.shop, &one, DialectName::L402)
        .await;
    assert_eq!(
        ask(&other, Call::get("/report").paid(&credential))
            .await
            .status(),
        StatusCode::OK
    );
}

#[test]
fn an_invalid_label_is_refused() {
    let shop = Shop::new();
    for bad in ["", "caf\u{e9}", "a\nb", "a\u{7f}", &"a".repeat(65)] {
        let error = shop.builder().service(bad).build().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{bad:?} is not a service label: expected 1 to 64 printable ASCII characters")
        );
    }
    for good in ["a", "weather api/v2 (\"beta\")", &"~".repeat(64)] {
        shop.builder().service(good).build().unwrap();
    }
}
