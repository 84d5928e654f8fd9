//! Measures what a layer adds to a service that does almost nothing. No unpaid invoice is open.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header::AUTHORIZATION};
use http_body_util::Full;
use tower::{Layer as _, Service, service_fn};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_x402::{Amount, Charge, PaymentReceipt, RouteTable, X402Layer, internals::l402};

use crate::{
    measure::{ROUNDS, in_turns, job, median_of},
    report::Row,
    shop::Shop,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A service for requests with any body.
async fn answer<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}

/// Sends one request through a service that never waits.
fn call<S, R>(service: &mut S, uri: &Uri, credential: Option<&HeaderValue>) -> Response<R>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible>,
{
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri.clone();
    if let Some(credential) = credential {
        request
            .headers_mut()
            .insert(AUTHORIZATION, credential.clone());
    }
    let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).now_or_never();
    let response = ready.and_then(|_| service.call(request).now_or_never());
    response
        .expect("a service that never waits")
        .unwrap_or_else(|never| match never {})
}

fn table(shop: &Shop) -> X402Layer {
    let table = RouteTable::new()
        .charge(
            "GET /v1/weather/{city}",
            Charge::new(Amount::from_sat(10)).for_duration(HOUR),
        )
        .charge("GET /v1/forecast/{city}", Amount::from_sat(20))
        .charge("GET /v1/archive/{*path}", Amount::from_sat(500))
        .charge("POST /v1/render", Amount::from_sat(100))
        .charge("POST /v1/chat", Amount::from_sat(50))
        .charge("PUT /v1/files/{name}", Amount::from_sat(5))
        .charge("DELETE /v1/files/{name}", Amount::from_sat(1))
        .free("GET /v1/files/{name}")
        .free("GET /health")
        .free("GET /docs/{*page}")
        .otherwise_free();
    shop.paywall.routes(table).expect("a good table")
}

pub fn rows() -> Vec<Row> {
    let shop = Shop::new("https://api.example.com");
    vec![free(&shop), paid(&shop)]
}

fn free(shop: &Shop) -> Row {
    let uri = Uri::from_static("/health");
    let mut bare = service_fn(answer);
    let mut ours = table(shop).layer(service_fn(answer));
    let header = (
        HeaderName::from_static("x-served-by"),
        HeaderValue::from_static("a server"),
    );
    let mut theirs =
        SetResponseHeaderLayer::overriding(header.0, header.1).layer(service_fn(answer));
    assert_eq!(call(&mut ours, &uri, None).status(), StatusCode::OK);
    let jobs = [
        job(|| call(&mut bare, &uri, None)),
        job(|| call(&mut ours, &uri, None)),
        job(|| call(&mut theirs, &uri, None)),
    ];
    let rounds = in_turns(ROUNDS, jobs);
    let (ours, theirs) = (
        median_of(&rounds, |t| t[1] - t[0]),
        median_of(&rounds, |t| t[2] - t[0]),
    );
    Row::at_most(
        "layer adds, free route / SetResponseHeader adds",
        0.75,
        (ours, theirs, ours / theirs),
    )
}

fn paid(shop: &Shop) -> Row {
    let uri = Uri::from_static("/v1/weather/oslo?units=metric");
    let mut ours = table(shop).layer(service_fn(keep_receipt));
    let credential = shop.pay(call(&mut ours, &uri, None).headers());
    let response = call(&mut ours, &uri, Some(&credential));
    assert_eq!(response.status(), StatusCode::OK);
    let receipt = response
        .extensions()
        .get::<PaymentReceipt>()
        .expect("a receipt")
        .clone();

    let mut ours = table(shop).layer(service_fn(answer));
    let mut bare = service_fn(answer);
    let mut inserting = service_fn(|mut request: Request<Full<Bytes>>| {
        request.extensions_mut().insert(receipt.clone());
        answer(request)
    });
    let bench = l402::Bench::for_duration();
    assert!(bench.verify());
    let jobs = [
        job(|| call(&mut bare, &uri, Some(&credential))),
        job(|| call(&mut ours, &uri, Some(&credential))),
        job(|| call(&mut inserting, &uri, Some(&credential))),
        job(|| bench.verify()),
    ];
    let rounds = in_turns(ROUNDS, jobs);
    let (ours, parts) = (
        median_of(&rounds, |t| t[1] - t[0]),
        median_of(&rounds, |t| t[3] + t[2] - t[0]),
    );
    Row::at_most(
        "layer adds, for_duration token / verify + extension insert",
        1.25,
        (ours, parts, ours / parts),
    )
}

/// Returns the receipt of the request.
async fn keep_receipt<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    if let Some(receipt) = request.extensions().get::<PaymentReceipt>() {
        response.extensions_mut().insert(receipt.clone());
    }
    Ok(response)
}
