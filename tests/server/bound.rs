//! A cheap quote never opens an expensive request: everything that a price function saw is bound,
//! in every dialect.

use std::num::NonZeroU32;

use axum::{Router, routing::any};
use bytes::Bytes;
use http::StatusCode;
use tower::Layer as _;
use tower_x402::{Amount, Charge, DialectName, RouteTable, price_fn};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask, problem},
};

/// The more, the dearer: in the header, the query, the capture and the body.
fn charge() -> Charge {
    Charge::new(price_fn(|q| async move {
        let count = |text: &str| text.len() as u64;
        let query: u64 = q.query_all("size").map(count).sum();
        let all = count(q.header("x-size").unwrap_or_default())
            + query
            + count(q.capture("what")?)
            + q.body().len() as u64;
        Ok(Amount::try_from_sat(all))
    }))
    .reads_headers(["x-size"])
    .reads_body()
}

fn site(shop: &Shop, charge: Charge) -> Router {
    let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
    Router::new().route("/make/{what}", any(async || "made").layer(layer))
}

fn dearer(bought: &Call) -> Vec<Call> {
    let with_header = |value| {
        let mut call = bought.clone();
        call.headers.clear();
        call.header("x-size", value)
    };
    vec![
        with_header("99999999"),
        with_header("8"),
        Call {
            headers: http::HeaderMap::new(),
            ..bought.clone()
        },
        Call {
            body: Bytes::from_static(b"a much longer scene"),
            ..bought.clone()
        },
        Call {
            body: Bytes::new(),
            ..bought.clone()
        },
        Call {
            body: Bytes::from_static(b"scenf"),
            ..bought.clone()
        },
        Call {
            target: "/make/a?size=9999".into(),
            ..bought.clone()
        },
        Call {
            target: "/make/a?size=1&size=9999".into(),
            ..bought.clone()
        },
        Call {
            target: "/make/a?size=1&x".into(),
            ..bought.clone()
        },
        Call {
            target: "/make/a".into(),
            ..bought.clone()
        },
        Call {
            target: "/make/everything?size=1".into(),
            ..bought.clone()
        },
        Call {
            method: "PUT",
            ..bought.clone()
        },
    ]
}

#[tokio::test]
async fn a_cheap_quote_never_opens_an_expensive_request() {
    let shop = Shop::new();
    let app = site(&shop, charge());
    let bought = Call::post("/make/a?size=1", b"scene").header("x-size", "9");
    for dialect in ALL {
        let credential = bought.buy(&shop, &app, dialect).await;
        for other in dearer(&bought) {
            let answer = ask(&app, other.paid(&credential)).await;
            assert_eq!(
                answer.status(),
                StatusCode::PAYMENT_REQUIRED,
                "{dialect} {other:?}"
            );
        }
        assert_eq!(
            ask(&app, bought.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_cheap_quote_for_several_uses_or_a_duration_never_opens_an_expensive_request() {
    let charges = [
        charge().uses(NonZeroU32::new(50).unwrap()),
        charge().for_duration(std::time::Duration::from_secs(60)),
    ];
    for charge in charges {
        let shop = Shop::new();
        let app = site(&shop, charge);
        let bought = Call::post("/make/a?size=1", b"scene").header("x-size", "9");
        let credential = bought.buy(&shop, &app, DialectName::L402).await;
        for other in dearer(&bought) {
            let answer = ask(&app, other.paid(&credential)).await;
            assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{other:?}");
        }
        for _ in 0..2 {
            assert_eq!(
                ask(&app, bought.paid(&credential)).await.status(),
                StatusCode::OK
            );
        }
    }
}

#[tokio::test]
async fn a_table_binds_the_same() {
    let shop = Shop::new();
    let table = RouteTable::new()
        .charge(
            "POST /make/{what}",
            charge().uses(NonZeroU32::new(50).unwrap()),
        )
        .otherwise_refuse();
    let layer = shop.paywall_of_every_dialect().routes(table).unwrap();
    let app = layer.layer(Router::new().route("/make/{what}", any(async || "made")));
    let bought = Call::post("/make/a?size=1", b"scene").header("x-size", "9");
    let credential = bought.buy(&shop, &app, DialectName::L402).await;
    for other in dearer(&bought)
        .into_iter()
        .filter(|other| other.method == "POST")
    {
        let answer = ask(&app, other.paid(&credential)).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{other:?}");
    }
    assert_eq!(
        ask(&app, bought.paid(&credential)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn headers_bound_under_a_fixed_price_are_bound_in_every_dialect() {
    let shop = Shop::new();
    let app = site(
        &shop,
        Charge::new(Amount::from_sat(3)).bind_headers(["X-Model"]),
    );
    let bought = Call::get("/make/a").header("x-model", "small");
    for dialect in ALL {
        let credential = bought.buy(&shop, &app, dialect).await;
        for other in [
            Call::get("/make/a"),
            Call::get("/make/a").header("x-model", "large"),
            bought.clone().header("x-model", "large"),
            bought.clone().header("x-model", "small"),
            Call::get("/make/a")
                .header("x-model", "smal")
                .header("x-model", "l"),
        ] {
            let answer = ask(&app, other.paid(&credential)).await;
            assert_eq!(
                answer.status(),
                StatusCode::PAYMENT_REQUIRED,
                "{dialect} {other:?}"
            );
            if dialect == DialectName::L402 {
                assert_eq!(problem(&answer)["reason"], "wrong_bound");
            }
        }
        assert_eq!(
            ask(
                &app,
                bought.clone().header("x-other", "1").paid(&credential)
            )
            .await
            .status(),
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn a_price_that_moved_is_honoured_as_it_was_quoted() {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    let (shop, price) = (Shop::new(), Arc::new(AtomicU32::new(1)));
    let (moving, uses) = (price.clone(), std::sync::Mutex::new(0));
    let app = site(
        &shop,
        Charge::new(price_fn(move |_| {
            *uses.lock().unwrap() += 1;
            let now = moving.fetch_add(1, Ordering::SeqCst);
            async move { Ok(Some(Amount::from_sat(now))) }
        })),
    );
    for dialect in ALL {
        let call = Call::get("/make/a");
        let credential = call.buy(&shop, &app, dialect).await;
        let asked = price.load(Ordering::SeqCst);
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
        assert_eq!(
            price.load(Ordering::SeqCst),
            asked,
            "{dialect} asked the price again"
        );
    }
}
