//! Measures a body that arrives in frames of one byte.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service as _, service_fn};
use tower_x402::{Amount, Charge, X402Layer, body::RequestBody, price_fn, server::PriceRequest};

use crate::{
    allocations,
    measure::{compare, job},
    report::Row,
    shop::Shop,
};

const BYTES: usize = 64 << 10;
const ROUNDS: usize = 201;

struct Drips(Bytes);

impl Body for Drips {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready((!self.0.is_empty()).then(|| Ok(Frame::data(self.0.split_to(1)))))
    }
}

async fn answer(_: Request<RequestBody<Drips>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::default()))
}

/// Sends a request without a credential. The layer reads the body and answers 402.
fn ask(layer: &X402Layer, text: &Bytes) {
    let mut request = Request::new(Drips(text.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/v1/render");
    let response = layer
        .layer(service_fn(answer))
        .call(request)
        .now_or_never()
        .expect("a body that never waits");
    assert_eq!(
        response.map(|response| response.status()),
        Ok(StatusCode::PAYMENT_REQUIRED)
    );
}

/// Reads the frames alone, without the layer.
fn read(text: &Bytes) -> usize {
    let read = async {
        let (mut body, mut bytes) = (pin!(Drips(text.clone())), 0);
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        bytes
    };
    read.now_or_never().expect("a body that never waits")
}

pub fn rows() -> Vec<Row> {
    let shop = Shop::new("https://api.example.com");
    let by_body = price_fn(|q: PriceRequest| async move {
        Ok(Some(Amount::from_msat(1000 + q.body().len() as u64)))
    });
    let hashing = shop
        .paywall
        .charge(Amount::from_sat(10))
        .expect("a good charge");
    let holding = shop
        .paywall
        .charge(Charge::new(by_body).reads_body())
        .expect("a good charge");
    let text = Bytes::from(vec![b'x'; BYTES]);
    let memory = |layer: &X402Layer| {
        ask(layer, &text);
        let peak = allocations::peak(|| ask(layer, &text)) as f64;
        (peak, BYTES as f64, peak / BYTES as f64)
    };
    let time =
        |layer: &X402Layer| compare(ROUNDS, [job(|| ask(layer, &text)), job(|| read(&text))]);
    vec![
        Row::bytes(
            "64 KiB in 1-byte frames, hashed: memory / the body",
            2.0,
            memory(&hashing),
        ),
        Row::bytes(
            "64 KiB in 1-byte frames, held: memory / the body",
            2.0,
            memory(&holding),
        ),
        Row::at_most(
            "64 KiB in 1-byte frames, hashed / reading the frames",
            2.0,
            time(&hashing),
        ),
        Row::at_most(
            "64 KiB in 1-byte frames, held / reading the frames",
            2.0,
            time(&holding),
        ),
    ]
}
