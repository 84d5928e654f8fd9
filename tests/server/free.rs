//! Free requests: the layer removes our credentials there too.

use std::{num::NonZeroU32, time::Duration};

use axum::{
    Router,
    response::IntoResponse as _,
    routing::{any, get as on_get},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tower_x402::{
    Amount, Charge, DialectName, Paywall, RouteTable, internals::codec, l402, price_fn, x402,
};

use crate::{
    customer::{ALL, Bought, Call, HeaderLine, PAYMENT_SIGNATURE},
    shop::{Lasting, Shop, ask},
};

const BEARER: &str = "Bearer of-the-application";
pub(crate) const PUBLIC: &str = "public, max-age=60";
pub(crate) const METADATA: [&str; 2] = ["macaroon", "grpc-metadata-macaroon"];

/// Tells the headers that its handler sees, to be cached by everybody.
pub(crate) async fn seen(headers: HeaderMap) -> axum::response::Response {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
    (
        [("cache-control", PUBLIC), ("x-accel-expires", "600")],
        lines.collect::<String>(),
    )
        .into_response()
}

fn table() -> RouteTable {
    RouteTable::new()
        .charge("GET /once", Amount::from_sat(10))
        .charge("POST /once", Amount::from_sat(10))
        .charge(
            "GET /uses",
            Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(100).unwrap()),
        )
        .charge(
            "GET /day",
            Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(86_400)),
        )
        .charge(
            "GET /taken",
            Charge::new(Amount::from_sat(10)).authorization_taken(),
        )
        .charge(
            "GET /bound",
            Charge::new(price_fn(|_| async { Ok(Some(Amount::from_sat(3))) })),
        )
        .free("GET /health")
        .free("PUT /once")
        .otherwise_free()
}

pub(crate) fn site(paywall: &Paywall) -> Router {
    Router::new()
        .fallback(any(seen))
        .layer(paywall.routes(table()).unwrap())
}

pub(crate) async fn bought(shop: &Shop, app: &Router, target: &str) -> Bought {
    let call = Call::new("GET", target);
    shop.bought(&call, &ask(app, call.request()).await)
}

/// Asks for the free route with this line.
pub(crate) async fn health(app: &Router, line: &HeaderLine) -> Response<Bytes> {
    asked(app, &Call::get("/health"), std::slice::from_ref(line)).await
}

/// A free request with these lines and one of the application's own.
pub(crate) async fn asked(
    app: &Router,
    call: &Call,
    lines: &[(HeaderName, HeaderValue)],
) -> Response<Bytes> {
    let call = lines
        .iter()
        .fold(call.clone(), |call, line| call.with(line));
    ask(app, call.header(header::AUTHORIZATION, BEARER).request()).await
}

#[track_caller]
pub(crate) fn stopped(answer: &Response<Bytes>, what: &str) {
    assert_eq!(answer.status(), StatusCode::OK, "{what}");
    assert_eq!(
        answer.body(),
        &format!("authorization: {BEARER}\n"),
        "{what}"
    );
    assert_eq!(
        answer.headers()["cache-control"],
        "max-age=60, private",
        "{what}"
    );
    assert!(!answer.headers().contains_key("x-accel-expires"), "{what}");
}

#[track_caller]
pub(crate) fn went_on(answer: &Response<Bytes>, lines: &[(HeaderName, HeaderValue)], what: &str) {
    assert_eq!(answer.status(), StatusCode::OK, "{what}");
    for (name, value) in lines {
        let line = format!("{name}: {}\n", value.to_str().unwrap());
        assert!(
            String::from_utf8_lossy(answer.body()).contains(&line),
            "{what}: {answer:?}"
        );
    }
    assert_eq!(answer.headers()["cache-control"], PUBLIC, "{what}");
}

/// A token as stock gRPC clients send it.
pub(crate) fn metadata(name: &'static str, bought: &Bought) -> (HeaderName, HeaderValue) {
    let headers = HeaderMap::from_iter([bought.of(DialectName::L402).clone()]);
    let token = l402::Credential::in_headers(&headers)
        .next()
        .unwrap()
        .unwrap();
    let narrowed = token
        .macaroon()
        .attenuate(format!("preimage={}", bought.preimage.expose_hex()))
        .unwrap();
    (
        HeaderName::from_static(name),
        codec::hex::encode(narrowed.to_bytes()).parse().unwrap(),
    )
}

#[tokio::test]
async fn a_credential_of_ours_stops_at_a_free_route_and_the_answer_is_private() {
    let shop = Shop::new();
    let app = site(&shop.paywall_of_every_dialect());
    let free = [
        ("GET", "/health"),
        ("GET", "/elsewhere"),
        ("PUT", "/once"),
        ("HEAD", "/health"),
        ("OPTIONS", "/elsewhere"),
    ];
    for sold in ["/once", "/uses", "/day", "/taken", "/bound"] {
        let bought = bought(&shop, &app, sold).await;
        for dialect in bought.dialects() {
            let line = bought.of(dialect);
            for (method, target) in free {
                let answer =
                    asked(&app, &Call::new(method, target), std::slice::from_ref(line)).await;
                if method == "HEAD" {
                    assert_eq!(
                        answer.headers()["cache-control"],
                        "max-age=60, private",
                        "{dialect} {sold}"
                    );
                } else {
                    stopped(
                        &answer,
                        &format!("{dialect} for {sold} at {method} {target}"),
                    );
                }
            }
        }
        // It lost nothing on the way.
        let dialect = *bought.dialects().last().unwrap();
        let served = ask(
            &app,
            Call::new("GET", sold).with(bought.of(dialect)).request(),
        )
        .await;
        assert_eq!(served.status(), StatusCode::OK, "{dialect} for {sold}");
    }
}

#[tokio::test]
async fn a_credential_of_ours_stops_at_a_free_route_in_every_place_and_spelling() {
    let shop = Shop::new();
    let app = site(&shop.paywall_of_every_dialect());
    let (one, other) = (
        bought(&shop, &app, "/once").await,
        bought(&shop, &app, "/uses").await,
    );
    let [l402, mpp, x402] = ALL.map(|dialect| one.of(dialect).1.to_str().unwrap().to_owned());
    let lsat = other
        .of(DialectName::L402)
        .1
        .to_str()
        .unwrap()
        .replacen("L402 ", "lsat ", 1);
    let line = |name: &'static str, text: &str| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(text).unwrap(),
        )
    };
    let several: Vec<_> = std::iter::repeat_n(line("authorization", &l402), 7).collect();
    for lines in [
        vec![line("authorization", &lsat)],
        vec![line("authorization", &format!("  {l402}\t"))],
        vec![line("authorization", &format!("{lsat}, {l402},{mpp}"))],
        vec![line("payment-authorization", &mpp)],
        vec![line("payment-authorization", &format!("{mpp}, {mpp}"))],
        vec![
            line("payment-signature", &x402),
            line("payment-signature", &x402),
        ],
        vec![line("payment-signature", &format!("{x402}, {x402}"))],
        METADATA.map(|name| metadata(name, &other)).to_vec(),
        vec![
            line("authorization", &mpp),
            line("authorization", &l402),
            line("payment-signature", &x402),
            metadata("macaroon", &one),
        ],
        several,
    ] {
        stopped(
            &asked(&app, &Call::new("GET", "/health"), &lines).await,
            &format!("{:?}", lines[0].0),
        );
    }
    // Folded onto a line of the application's.
    let folded =
        Call::new("GET", "/health").header(header::AUTHORIZATION, &format!("{BEARER}, {l402}"));
    stopped(&ask(&app, folded.request()).await, "folded");
    // A narrower one, and one with another preimage: nobody can spend it, and it is half of one
    // that somebody can.
    let headers = HeaderMap::from_iter([one.of(DialectName::L402).clone()]);
    let token = l402::Credential::in_headers(&headers)
        .next()
        .unwrap()
        .unwrap();
    let narrower = token.macaroon().attenuate("valid_until=1").unwrap();
    for token in [
        l402::Credential::new(narrower, one.preimage.clone()),
        l402::Credential::new(
            token.macaroon().clone(),
            tower_x402::Preimage::from_bytes([0; 32]),
        ),
    ] {
        let line = (
            header::AUTHORIZATION,
            token.header_value(l402::Scheme::L402),
        );
        stopped(
            &asked(&app, &Call::new("GET", "/health"), &[line]).await,
            "narrower or unpaid",
        );
    }
}

#[tokio::test]
async fn a_spent_or_expired_credential_of_ours_stops_at_a_free_route_too() {
    let shop = Shop::new();
    let app = site(&shop.paywall_of_every_dialect());
    let bought = bought(&shop, &app, "/once").await;
    let served = ask(
        &app,
        Call::new("GET", "/once")
            .with(bought.of(DialectName::Mpp))
            .request(),
    )
    .await;
    assert_eq!(served.status(), StatusCode::OK);
    for age in [0, 3_600, 400 * 86_400] {
        shop.clock.advance(Duration::from_secs(age));
        for dialect in ALL {
            let line = bought.of(dialect).clone();
            stopped(
                &asked(&app, &Call::new("GET", "/health"), &[line]).await,
                &format!("{dialect} after {age} s"),
            );
        }
    }
}

#[tokio::test]
async fn a_credential_in_a_field_that_a_priced_route_does_not_read_stops_too() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let app = site(&paywall);
    let mpp = bought(&shop, &app, "/once")
        .await
        .of(DialectName::Mpp)
        .1
        .clone();
    let elsewhere = |name: HeaderName| (name, mpp.clone());
    // Free by its price function, and by an allowance.
    let free = price_fn(|_| async { Ok(None) });
    let app = Router::new().route(
        "/a",
        on_get(seen).route_layer(paywall.charge(free).unwrap()),
    );
    let lines = [elsewhere(HeaderName::from_static("payment-authorization"))];
    stopped(
        &asked(&app, &Call::new("GET", "/a"), &lines).await,
        "a price function",
    );
    // Paid, where `Authorization` is the application's.
    let app = site(&paywall);
    let taken = Call::new("GET", "/taken").header(header::AUTHORIZATION, BEARER);
    let paid = shop.bought(&taken, &ask(&app, taken.request()).await);
    let call = Call::new("GET", "/taken").with(paid.of(DialectName::Mpp));
    stopped(
        &asked(&app, &call, &[elsewhere(header::AUTHORIZATION)]).await,
        "authorization taken",
    );
}

#[tokio::test]
async fn if_foreign_proofs_are_accepted_one_for_our_key_stops_without_a_quote() {
    let shop = Shop::new();
    let bought = bought(&shop, &site(&shop.paywall_of_every_dialect()), "/once").await;
    let text = x402::decode_header(bought.of(DialectName::X402).1.as_bytes()).unwrap();
    let mut proof: serde_json::Value = serde_json::from_str(&text).unwrap();
    proof["accepted"]["extra"]
        .as_object_mut()
        .unwrap()
        .remove("quote");
    let line = (
        PAYMENT_SIGNATURE,
        codec::base64::encode_standard(proof.to_string())
            .parse::<HeaderValue>()
            .unwrap(),
    );
    let app = site(
        &shop
            .builder_of_every_dialect()
            .replay_store(Lasting(shop.store.clone()))
            .accept_foreign_proofs()
            .build()
            .unwrap(),
    );
    stopped(&health(&app, &line).await, "accepted");
    let app = site(&shop.paywall_of_every_dialect());
    went_on(&health(&app, &line).await, &[line], "not accepted");
}

#[tokio::test]
async fn a_spelling_stops_at_a_free_route_if_a_priced_one_accepts_it_and_only_then() {
    let shop = Shop::new();
    let app = site(&shop.paywall_of_every_dialect());
    let bought = bought(&shop, &app, "/uses").await;
    let token = bought
        .of(DialectName::L402)
        .1
        .to_str()
        .unwrap()
        .strip_prefix("L402 ")
        .unwrap();
    let (macaroon, preimage) = token.split_once(':').unwrap();
    let accepted = [
        format!("L402 {token}"),
        format!("l402   {token}"),
        format!("LSAT {token} "),
    ];
    let refused = [
        format!("L402\t{token}"),
        format!("L402 token={token}"),
        format!("L402 {macaroon}%3A{preimage}"),
        format!("L402 {macaroon}: {preimage}"),
        format!("L402 macaroon=\"{macaroon}\", preimage=\"{preimage}\""),
    ];
    for (text, is_accepted) in accepted
        .iter()
        .map(|text| (text, true))
        .chain(refused.iter().map(|text| (text, false)))
    {
        let line = (header::AUTHORIZATION, HeaderValue::from_str(text).unwrap());
        let status = ask(&app, Call::new("GET", "/uses").with(&line).request())
            .await
            .status();
        let shown = text.replace(token, "TOKEN");
        assert_eq!(status == StatusCode::OK, is_accepted, "{shown}: {status}");
        let free = ask(&app, Call::new("GET", "/health").with(&line).request()).await;
        assert_eq!(free.body().is_empty(), is_accepted, "{shown}");
    }
}
