//! Credentials that free requests pass on: those of others, those for an inner layer, and all if
//! the operator keeps them.

use axum::{
    Router,
    routing::{any, get as on_get},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tower_x402::{Amount, Charge, DialectName, RouteTable, Secrets, internals::codec, price_fn};

use crate::{
    customer::{ALL, Call, PAYMENT_SIGNATURE},
    free::{METADATA, PUBLIC, asked, bought, health, metadata, seen, site, stopped, went_on},
    shop::{Shop, ask, get},
};

#[tokio::test]
async fn credentials_of_others_pass_untouched_and_the_answer_stays_public() {
    let (shop, others) = (Shop::new(), Shop::new());
    let app = site(&shop.paywall_of_every_dialect());
    let foreign = site(
        &others
            .builder_of_every_dialect()
            .master_secret(Secrets::test_secret(9))
            .build()
            .unwrap(),
    );
    let theirs = bought(&others, &foreign, "/once").await;
    for dialect in ALL {
        let line = theirs.of(dialect).clone();
        went_on(&health(&app, &line).await, &[line], dialect.as_str());
    }
    for name in METADATA {
        let line = metadata(name, &theirs);
        went_on(&health(&app, &line).await, &[line], name);
    }
    let ours = bought(&shop, &app, "/once").await;
    for text in [
        "L402 AAAA:00",
        "Payment e30",
        "Basic YTpi",
        "L402",
        "Digest u=\"a, L402 m:p\"",
    ] {
        let line = (header::AUTHORIZATION, HeaderValue::from_static(text));
        went_on(&health(&app, &line).await, &[line], text);
    }
    for (name, text) in [
        ("payment-signature", "e30="),
        ("x-payment", "e30="),
        ("macaroon", "0201036c6e64"),
    ] {
        let line = (
            HeaderName::from_static(name),
            HeaderValue::from_static(text),
        );
        went_on(&health(&app, &line).await, &[line], name);
    }
    // Of both, ours alone stop.
    for dialect in ALL {
        let lines = [theirs.of(dialect).clone(), ours.of(dialect).clone()];
        let answer = asked(&app, &Call::new("GET", "/health"), &lines).await;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(
            text.contains(lines[0].1.to_str().unwrap())
                && !text.contains(lines[1].1.to_str().unwrap()),
            "{dialect}"
        );
        assert_eq!(
            answer.headers()["cache-control"],
            "max-age=60, private",
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn if_credentials_are_kept_they_stay_and_the_answer_is_private() {
    let shop = Shop::new();
    let app = site(
        &shop
            .builder_of_every_dialect()
            .keep_credentials()
            .build()
            .unwrap(),
    );
    let bought = bought(&shop, &app, "/once").await;
    for dialect in ALL {
        let (name, value) = bought.of(dialect);
        let answer = ask(
            &app,
            Call::new("GET", "/health")
                .with(bought.of(dialect))
                .request(),
        )
        .await;
        assert_eq!(
            answer.body(),
            &format!("{name}: {}\n", value.to_str().unwrap()),
            "{dialect}"
        );
        assert_eq!(
            answer.headers()["cache-control"],
            "max-age=60, private",
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_layer_within_gets_what_was_paid_to_it_and_its_handler_does_not() {
    let free = || {
        RouteTable::new()
            .charge("GET /elsewhere", Amount::from_sat(10))
            .otherwise_free()
    };
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let other = shop
        .builder_of_every_dialect()
        .master_secret(Secrets::test_secret(9))
        .build()
        .unwrap();
    for outer in [&paywall, &other] {
        let priced = on_get(seen).route_layer(paywall.charge(Amount::from_sat(10)).unwrap());
        let app = Router::new()
            .route("/a", priced)
            .layer(outer.routes(free()).unwrap())
            .layer(paywall.routes(free()).unwrap());
        for dialect in ALL {
            let line = bought(&shop, &app, "/a").await.of(dialect).clone();
            let call = Call::new("GET", "/a");
            stopped(
                &asked(&app, &call, std::slice::from_ref(&line)).await,
                &format!("{dialect}"),
            );
            assert_eq!(
                asked(&app, &call, &[line]).await.status(),
                StatusCode::PAYMENT_REQUIRED,
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_without_credentials_passes_as_it_came() {
    let shop = Shop::new();
    let app = site(&shop.paywall_of_every_dialect());
    let answer = ask(&app, get("/health")).await;
    assert_eq!(
        (
            answer.headers()["cache-control"].to_str().unwrap(),
            answer.body().len()
        ),
        (PUBLIC, 0)
    );
    assert_eq!(answer.headers()["x-accel-expires"], "600");
    assert_eq!(
        asked(&app, &Call::new("GET", "/health"), &[])
            .await
            .headers()["cache-control"],
        PUBLIC
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_not_ours_and_goes_on() {
    let shop = Shop::new();
    let app = site(&shop.paywall_of_every_dialect());
    let line = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
    let mpp = codec::base64::encode_url(
        br#"{"challenge":{"id":"x","realm":"r","method":"m","intent":"i","request":"e30"},"payload":{}}"#,
    );
    for line in [
        line(PAYMENT_SIGNATURE, "not base64!"),
        line(PAYMENT_SIGNATURE, "e30="),
        (
            PAYMENT_SIGNATURE,
            codec::base64::encode_url(b"not json").parse().unwrap(),
        ),
        line(header::AUTHORIZATION, "L402 garbage"),
        (
            header::AUTHORIZATION,
            format!("Payment {mpp}").parse().unwrap(),
        ),
    ] {
        let answer = health(&app, &line).await;
        went_on(&answer, std::slice::from_ref(&line), &format!("{line:?}"));
    }
}

/// The outer layer looks for it in `Authorization` only.
#[tokio::test]
async fn what_a_layer_that_lets_pass_has_set_aside_is_worth_its_price_further_in() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let sold = Charge::new(Amount::from_sat(10)).authorization_taken();
    let inner = || any(|| async { "served" }).layer(paywall.charge(sold.clone()).unwrap());
    let free = paywall.charge(price_fn(|_| async { Ok(None) })).unwrap();
    let (alone, both) = (
        Router::new().route("/a", inner()),
        Router::new().route("/a", inner().layer(free)),
    );
    let call = Call::new("GET", "/a");
    let bought = shop.bought(&call, &ask(&alone, call.request()).await);
    let served = ask(&both, call.with(bought.of(DialectName::Mpp)).request()).await;
    assert_eq!(
        (served.status(), &served.body()[..]),
        (StatusCode::OK, &b"served"[..])
    );
}
