//! gRPC calls by hand: what a client sends, and what it reads in an answer.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use tower_x402::{Amount, Charge, Invoice, l402};

use crate::{
    customer::{Call, HeaderLine},
    shop::Shop,
};

pub(crate) const METHOD: &str = "/weather.Weather/Ask";

pub(crate) fn charge() -> Charge {
    Charge::new(Amount::from_sat(10)).grpc()
}

/// A call whose message is `hi`, with gRPC's five bytes before it.
pub(crate) fn call() -> Call {
    Call::post(METHOD, b"\0\0\0\0\x02hi").header("content-type", "application/grpc")
}

/// The code and the text of a trailers-only answer.
#[track_caller]
pub(crate) fn status(answer: &Response<Bytes>) -> (u32, &str) {
    let headers = answer.headers();
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    assert_eq!(headers[header::CONTENT_TYPE], "application/grpc");
    assert!(answer.body().is_empty(), "{answer:?}");
    let text = |name: &str| headers[name].to_str().unwrap();
    (text("grpc-status").parse().unwrap(), text("grpc-message"))
}

/// Checks that an answer asks for a payment, as the spec of L402 wants it.
#[track_caller]
pub(crate) fn asks_to_pay(answer: &Response<Bytes>) {
    assert_eq!(status(answer), (13, "payment required"), "{answer:?}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let lines = answer.headers().get_all(header::WWW_AUTHENTICATE).iter();
    let schemes: Vec<_> = lines
        .map(|line| line.to_str().unwrap().split(' ').next())
        .collect();
    assert_eq!(schemes, [Some("L402"), Some("LSAT")]);
    assert!(
        !answer.headers().contains_key("payment-required"),
        "{answer:?}"
    );
}

/// The challenge of an answer, with its preimage.
#[track_caller]
pub(crate) fn settled(
    shop: &Shop,
    answer: &Response<Bytes>,
) -> (l402::Challenge, tower_x402::Preimage) {
    let challenge = l402::Challenge::in_headers(answer.headers()).remove(0);
    let invoice = Invoice::parse(challenge.invoice()).unwrap();
    let preimage = shop.node.settle(invoice.payment_hash()).unwrap();
    (challenge, preimage)
}

/// Pays, and makes a credential as HTTP has it.
#[track_caller]
pub(crate) fn pay(shop: &Shop, answer: &Response<Bytes>) -> HeaderLine {
    asks_to_pay(answer);
    let (challenge, preimage) = settled(shop, answer);
    (header::AUTHORIZATION, challenge.answer(&preimage))
}

/// A handler that serves each call with one message, as tonic does.
pub(crate) async fn served(
    _: Request<tower_x402::body::RequestBody<Body>>,
) -> Result<Response<Body>, Infallible> {
    let answer = Response::builder().header("content-type", "application/grpc");
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let frames = [
        http_body::Frame::data(Bytes::from_static(b"\0\0\0\0\x02ok")),
        http_body::Frame::trailers(trailers),
    ];
    let frames = futures_util::stream::iter(frames.map(Ok::<_, Infallible>));
    Ok(answer
        .body(Body::new(http_body_util::StreamBody::new(frames)))
        .unwrap())
}

#[track_caller]
pub(crate) fn is_served(answer: &Response<Bytes>) {
    assert_eq!(
        (answer.status(), &answer.body()[..]),
        (StatusCode::OK, &b"\0\0\0\0\x02ok"[..])
    );
}
