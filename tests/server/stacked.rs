//! Nested layers of this crate: a credential reaches the layer that issued it, and never a handler.

use axum::{Router, response::IntoResponse as _, routing::any};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use tower_x402::{
    Amount, Charge, MemoryStore, Paywall, RouteTable, Secrets, price_fn, server::PaywallBuilder,
};

use crate::{
    customer::{ALL, Bought, Call},
    shop::{Shop, ask},
};

const BEARER: &str = "Bearer of-the-application";

/// Tells the headers that its handler sees.
async fn seen(headers: HeaderMap) -> axum::response::Response {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
    (
        [("cache-control", "public, max-age=60")],
        lines.collect::<String>(),
    )
        .into_response()
}

/// The outermost first. Each sells `/sold/N` and `/maybe/N`, of which the second is free for all
/// now, and lets all else pass.
fn stack(paywalls: &[&Paywall]) -> Router {
    paywalls.iter().enumerate().rev().fold(
        Router::new().fallback(any(seen)),
        |app, (n, paywall)| {
            let table = RouteTable::new()
                .charge(format!("GET /sold/{n}"), Amount::from_sat(10))
                .charge(format!("GET /maybe/{n}"), price_fn(|_| async { Ok(None) }))
                .otherwise_free();
            app.layer(paywall.routes(table).unwrap())
        },
    )
}

fn builder(shop: &Shop, secret: u8) -> PaywallBuilder {
    shop.builder_of_every_dialect()
        .master_secret(Secrets::test_secret(secret))
}

async fn bought(shop: &Shop, app: &Router, target: &str) -> Bought {
    let call = Call::new("GET", target);
    shop.bought(&call, &ask(app, call.request()).await)
}

async fn asked(app: &Router, call: Call) -> Response<Bytes> {
    ask(app, call.header(header::AUTHORIZATION, BEARER).request()).await
}

#[track_caller]
fn stopped(answer: &Response<Bytes>, what: &str) {
    assert_eq!(answer.status(), StatusCode::OK, "{what}");
    assert_eq!(
        answer.body(),
        &format!("authorization: {BEARER}\n"),
        "{what}"
    );
    let cached = answer.headers()["cache-control"].to_str().unwrap();
    assert!(
        cached.contains("private") && !cached.contains("public"),
        "{what}: {cached}"
    );
}

/// Each layer's credentials open what it sells, and are seen by nobody wherever they are presented.
async fn each_finds_its_layer(shop: &Shop, paywalls: &[&Paywall]) {
    let app = stack(paywalls);
    for (dialect, issuer) in ALL
        .into_iter()
        .flat_map(|dialect| (0..paywalls.len()).map(move |n| (dialect, n)))
    {
        let what = format!("{dialect} of layer {issuer} of {}", paywalls.len());
        let sold = bought(shop, &app, &format!("/sold/{issuer}")).await;
        let line = sold.of(dialect);
        stopped(
            &asked(&app, Call::new("GET", "/health").with(line)).await,
            &what,
        );
        for n in 0..paywalls.len() {
            let free = format!("/maybe/{n}");
            stopped(
                &asked(&app, Call::new("GET", free).with(line)).await,
                &format!("{what} where {n} is free"),
            );
        }
        for n in (0..paywalls.len()).filter(|n| *n != issuer) {
            let refused = asked(&app, Call::new("GET", format!("/sold/{n}")).with(line)).await;
            assert_eq!(
                refused.status(),
                StatusCode::PAYMENT_REQUIRED,
                "{what} at {n}"
            );
        }
        stopped(
            &asked(&app, Call::new("GET", format!("/sold/{issuer}")).with(line)).await,
            &what,
        );
    }
    // Beside a payment to a layer within, that of one further out is out of the way.
    let outer = bought(shop, &app, "/sold/0").await;
    for (dialect, other) in ALL
        .into_iter()
        .flat_map(|dialect| ALL.map(|other| (dialect, other)))
    {
        let paid = bought(shop, &app, "/sold/1").await;
        let call = Call::new("GET", "/sold/1")
            .with(outer.of(other))
            .with(paid.of(dialect));
        stopped(
            &asked(&app, call).await,
            &format!("{dialect} beside {other}"),
        );
    }
}

#[tokio::test]
async fn a_credential_finds_the_layer_that_issued_it_and_no_handler_whatever_layers_stand_between()
{
    let shop = Shop::new();
    let [one, two, three] = [7, 8, 9].map(|secret| builder(&shop, secret).build().unwrap());
    each_finds_its_layer(&shop, &[&one, &two]).await;
    each_finds_its_layer(&shop, &[&one, &two, &three]).await;
    let [first, second] =
        ["first", "second"].map(|label| builder(&shop, 7).service(label).build().unwrap());
    each_finds_its_layer(&shop, &[&one, &first, &second]).await;
}

#[tokio::test]
async fn what_a_layer_of_another_store_or_of_fewer_dialects_does_not_know_stays_aside() {
    let shop = Shop::new();
    let outer = shop.paywall_of_every_dialect();
    let store = MemoryStore::new().unwrap().with_clock(shop.clock.clone());
    let other_store = shop
        .builder_of_every_dialect()
        .replay_store(store)
        .build()
        .unwrap();
    for inner in [&other_store, &shop.paywall()] {
        let app = stack(&[&outer, inner]);
        for dialect in ALL {
            let sold = bought(&shop, &app, "/sold/0").await;
            for target in ["/health", "/maybe/1", "/sold/0"] {
                stopped(
                    &asked(&app, Call::new("GET", target).with(sold.of(dialect))).await,
                    &format!("{dialect} at {target}"),
                );
            }
        }
    }
}

#[tokio::test]
async fn a_layer_that_keeps_credentials_keeps_its_own_and_none_of_a_layer_further_out() {
    let shop = Shop::new();
    let keeps = builder(&shop, 7).keep_credentials().build().unwrap();
    let strips = builder(&shop, 8).build().unwrap();
    for (outer, inner, kept) in [(&strips, &keeps, 1), (&keeps, &strips, 0)] {
        let app = stack(&[outer, inner]);
        for (n, dialect) in [0, 1]
            .into_iter()
            .flat_map(|n| ALL.map(|dialect| (n, dialect)))
        {
            let sold = bought(&shop, &app, &format!("/sold/{n}")).await;
            let (name, value) = sold.of(dialect);
            let targets = [
                "/health",
                "/maybe/1",
                if n == 0 { "/sold/0" } else { "/sold/1" },
            ];
            for target in targets {
                let answer = asked(&app, Call::new("GET", target).with(sold.of(dialect))).await;
                assert_eq!(
                    answer.status(),
                    StatusCode::OK,
                    "{dialect} of layer {n} at {target}"
                );
                let line = format!("{name}: {}\n", value.to_str().unwrap());
                let is_seen = String::from_utf8_lossy(answer.body()).contains(&line);
                // A layer that has a price for the request strips every credential that it does not
                // keep.
                let is_kept = n == kept && (kept == 1 || target != "/maybe/1");
                assert_eq!(is_seen, is_kept, "{dialect} of layer {n} at {target}");
                assert!(
                    answer.headers()["cache-control"]
                        .to_str()
                        .unwrap()
                        .contains("private"),
                    "{dialect} at {target}"
                );
            }
            // Beside a payment to the layer within.
            if n == 0 && kept == 1 {
                let call = Call::new("GET", "/sold/1").with(sold.of(dialect));
                let paid = bought(&shop, &app, "/sold/1").await;
                let answer = asked(&app, call.with(paid.of(dialect))).await;
                let body = String::from_utf8_lossy(answer.body()).into_owned();
                let [paid, other] =
                    [&paid, &sold].map(|bought| bought.of(dialect).1.to_str().unwrap());
                assert!(
                    body.contains(paid) && !body.contains(other),
                    "{dialect}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_layer_that_serves_for_free_leaves_what_was_paid_to_one_within() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let free = price_fn(|_| async { Ok(None) });
    let priced = |charge: Charge| {
        paywall
            .routes(RouteTable::new().charge("GET /a", charge).otherwise_free())
            .unwrap()
    };
    let inner = Router::new()
        .fallback(any(seen))
        .layer(priced(Amount::from_sat(3).into()));
    let app = inner.layer(priced(Charge::new(free)));
    for dialect in ALL {
        let sold = bought(&shop, &app, "/a").await;
        stopped(
            &asked(&app, Call::new("GET", "/a").with(sold.of(dialect))).await,
            dialect.as_str(),
        );
    }
}
