//! Bodies: streamed if nothing binds them, buffered if something does, and bound if a price
//! function read them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use futures_util::stream::{self};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tower_x402::{
    Amount, DialectName, Paywall,
    server::{BoxError, Charge, PriceRequest, price_fn},
};

use crate::{
    customer::Call,
    shop::{Shop, ask, problem},
};

/// Answers with the first bytes of the body, and with its trailers where it ends.
async fn taste(body: Body) -> Result<String, StatusCode> {
    let (mut body, mut data, mut trailers) = (body, Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::IM_A_TEAPOT)?;
        match frame.into_data() {
            Ok(bytes) => data.extend_from_slice(&bytes),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
        if data.len() >= 100_000 {
            break;
        }
    }
    let trailer = trailers
        .get("x-trailer")
        .map_or("none", |value| value.to_str().unwrap());
    Ok(format!(
        "{} bytes, first {:?}, trailer {trailer}",
        data.len(),
        data.first().map(|byte| *byte as char)
    ))
}

pub(crate) fn service(paywall: &Paywall, charge: impl Into<Charge>) -> Router {
    Router::new().route(
        "/render",
        post(taste).route_layer(paywall.charge(charge).unwrap()),
    )
}

/// A body without an end, and how many of its frames were asked for.
pub(crate) fn endless() -> (Body, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let frames = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok::<_, io::Error>(Bytes::from_static(&[b'e'; 1024]))
    });
    (Body::from_stream(frames), asked)
}

pub(crate) fn with_body(call: &Call, body: Body) -> Request<Body> {
    call.request().map(|_| body)
}

fn frames(frames: Vec<Result<Frame<Bytes>, io::Error>>) -> Body {
    Body::new(StreamBody::new(stream::iter(frames)))
}

pub(crate) fn data(bytes: &'static [u8]) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(bytes)))
}

#[tokio::test]
async fn if_no_body_is_bound_an_endless_one_streams_to_the_handler() {
    let shop = Shop::new();
    let app = service(&shop.paywall(), Amount::from_sat(10));
    let call = Call::new("POST", "/render");
    let (body, asked) = endless();
    let answer = ask(&app, with_body(&call, body)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0, "an unpaid body was read");

    let bought = shop.bought(&call, &answer);
    let (body, asked) = endless();
    let served = ask(
        &app,
        with_body(&call.with(bought.of(DialectName::L402)), body),
    )
    .await;
    assert_eq!(served.status(), StatusCode::OK);
    assert!(
        served.body().starts_with(b"100352 bytes, first Some('e')"),
        "{:?}",
        served.body()
    );
    assert_eq!(
        asked.load(Ordering::SeqCst),
        98,
        "more was read than the handler asked for"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400_and_spends_nothing() {
    let shop = Shop::new();
    let app = service(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
    let call = Call::new("POST", "/render").body("whole");
    let broken = || {
        frames(vec![
            data(b"who"),
            Err(io::ErrorKind::ConnectionReset.into()),
        ])
    };
    let answer = ask(&app, with_body(&call, broken())).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(problem(&answer)["detail"], "the body broke off");
    assert_eq!(shop.node.invoices_created(), 0);

    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let paid = call.with(bought.of(DialectName::Mpp));
    assert_eq!(
        ask(&app, with_body(&paid, broken())).await.status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_held_body_is_one_buffer_however_it_comes_and_keeps_its_trailers() {
    let shop = Shop::new();
    let app = service(
        &shop
            .builder_of_every_dialect()
            .body_limit(64 << 10)
            .body_pool(2 * (64 << 10))
            .build()
            .unwrap(),
        Amount::from_sat(10),
    );
    let call = Call::new("POST", "/render").body(vec![b'o'; 40_000]);
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let trailers = HeaderMap::from_iter([(
        "x-trailer".parse().unwrap(),
        HeaderValue::from_static("kept"),
    )]);
    let bytewise = (0..40_000)
        .map(|_| data(b"o"))
        .chain([Ok(Frame::trailers(trailers))])
        .collect();
    let served = ask(
        &app,
        with_body(&call.with(bought.of(DialectName::X402)), frames(bytewise)),
    )
    .await;
    assert_eq!(served.status(), StatusCode::OK, "{:?}", served.body());
    assert_eq!(
        &served.body()[..],
        b"40000 bytes, first Some('o'), trailer kept"
    );
}

#[tokio::test]
async fn a_charge_that_streams_bodies_reads_none_and_leaves_x402_out() {
    let shop = Shop::new();
    let app = service(
        &shop.paywall_of_every_dialect(),
        Charge::new(Amount::from_sat(10)).stream_body(),
    );
    let call = Call::new("POST", "/render");
    for dialect in [DialectName::L402, DialectName::Mpp] {
        let (body, asked) = endless();
        let answer = ask(&app, with_body(&call, body)).await;
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        let bought = shop.bought(&call, &answer);
        assert_eq!(bought.dialects(), [DialectName::L402, DialectName::Mpp]);
        let (body, asked) = endless();
        let served = ask(&app, with_body(&call.with(bought.of(dialect)), body)).await;
        assert_eq!(
            (served.status(), asked.load(Ordering::SeqCst)),
            (StatusCode::OK, 98),
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_proof_of_another_route_reads_no_body_if_bodies_stream() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let streaming = paywall
        .charge(Charge::new(Amount::from_sat(10)).stream_body())
        .unwrap();
    let app = service(&paywall, Amount::from_sat(10))
        .route("/stream", post(taste).route_layer(streaming));
    let call = Call::new("POST", "/render");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let (body, asked) = endless();
    let stream = Call::new("POST", "/stream").with(bought.of(DialectName::X402));
    assert_eq!(
        ask(&app, with_body(&stream, body)).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the body was read");
}

fn priced_by_the_body() -> Charge {
    Charge::new(price_fn(|request: PriceRequest| async move {
        match &request.body()[..] {
            b"free" => Ok(None),
            b"broken" => Err(BoxError::from("broken")),
            body => Ok(Some(Amount::from_sat(u32::try_from(body.len())?))),
        }
    }))
    .reads_body()
}

#[tokio::test]
async fn a_body_that_a_price_was_made_from_is_bound_and_reaches_the_handler() {
    for all in [false, true] {
        let shop = Shop::new();
        let paywall = if all {
            shop.paywall_of_every_dialect()
        } else {
            shop.paywall()
        };
        let app = service(&paywall, priced_by_the_body());
        let call = Call::new("POST", "/render").body("short");
        let offered = shop
            .bought(&call, &ask(&app, call.request()).await)
            .dialects();
        assert_eq!(offered.len(), if all { 3 } else { 1 });
        for dialect in offered {
            let answer = ask(&app, call.request()).await;
            assert_eq!(problem(&answer)["accepts"][0]["amount_msat"], 5_000);
            let bought = shop.bought(&call, &answer);
            let long = call
                .with(bought.of(dialect))
                .body("a body that is longer, and dearer");
            let refused = ask(&app, long.request()).await;
            assert_eq!(
                refused.status(),
                StatusCode::PAYMENT_REQUIRED,
                "{dialect}: a cheap quote opened a dear request"
            );
            let served = ask(&app, call.with(bought.of(dialect)).request()).await;
            assert_eq!(
                &served.body()[..],
                b"5 bytes, first Some('s'), trailer none",
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn what_turns_out_free_passes_with_its_body() {
    let shop = Shop::new();
    let app = service(&shop.paywall_of_every_dialect(), priced_by_the_body());
    let call = Call::new("POST", "/render").body("free");
    let trailers = HeaderMap::from_iter([(
        "x-trailer".parse().unwrap(),
        HeaderValue::from_static("kept"),
    )]);
    let body = frames(vec![
        data(b"fr"),
        data(b"ee"),
        Ok(Frame::trailers(trailers)),
    ]);
    let served = ask(&app, with_body(&call, body)).await;
    assert_eq!(
        &served.body()[..],
        b"4 bytes, first Some('f'), trailer kept"
    );
    let broken = ask(&app, call.body("broken").request()).await;
    assert_eq!(broken.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shop.node.invoices_created(), 0);

    // A price that does not hang on the body leaves it untouched, whatever its length.
    let free = price_fn(|_| async { Ok(None) });
    let (body, asked) = endless();
    let app = service(&shop.paywall_of_every_dialect(), free);
    assert_eq!(
        ask(&app, with_body(&Call::new("POST", "/render"), body))
            .await
            .status(),
        StatusCode::OK
    );
    assert_eq!(asked.load(Ordering::SeqCst), 98);
}
