//! Measures one request through the layer around a service that answers at once: free, unpaid,
//! paid.

use std::{convert::Infallible, hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use tower::{Layer as _, Service, service_fn};
use tower_x402::{
    Amount, Charge, Invoice, MemoryStore, Paywall, RouteTable, Secrets, l402::Challenge,
    lightning::LocalNode,
};

async fn answer<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}

fn call<S, R>(service: &mut S, path: &'static str, headers: &HeaderMap) -> Response<R>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible>,
{
    let mut request = Request::new(Full::default());
    *request.uri_mut() = http::Uri::from_static(path);
    request.headers_mut().clone_from(headers);
    let response = service
        .call(request)
        .now_or_never()
        .expect("a service that never waits");
    response.unwrap_or_else(|never| match never {})
}

fn layer(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let node = LocalNode::new();
    let paywall = Paywall::builder(node.clone())
        .origin("https://api.example.com")
        .master_secret(Secrets::test_secret(7))
        .replay_store(MemoryStore::new().expect("randomness"))
        .max_unpaid(1 << 24)
        .build()
        .expect("a good configuration");
    let table = RouteTable::new()
        .charge(
            "GET /archive/{*path}",
            Charge::new(Amount::from_sat(500)).for_duration(Duration::from_secs(3600)),
        )
        .charge("GET /weather/{city}", Amount::from_sat(10))
        .free("GET /health")
        .otherwise_free();
    let mut service = paywall
        .routes(table)
        .expect("a good table")
        .layer(service_fn(answer));

    let unpaid = call(&mut service, "/archive/1", &HeaderMap::new());
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    let challenge = Challenge::in_headers(unpaid.headers()).remove(0);
    let invoice = Invoice::parse(challenge.invoice()).expect("an invoice");
    let preimage = node
        .settle(invoice.payment_hash())
        .expect("an invoice of this node");
    let credential = HeaderMap::from_iter([(AUTHORIZATION, challenge.answer(&preimage))]);
    let none = HeaderMap::new();
    assert_eq!(
        call(&mut service, "/archive/1", &credential).status(),
        StatusCode::OK
    );

    let mut group = c.benchmark_group("layer");
    let mut bare = service_fn(answer);
    group.bench_function("none", |b| {
        b.iter(|| black_box(call(&mut bare, "/health", &none)))
    });
    group.bench_function("free route", |b| {
        b.iter(|| black_box(call(&mut service, "/health", &none)))
    });
    group.bench_function("402", |b| {
        b.iter(|| black_box(call(&mut service, "/weather/oslo", &none)))
    });
    group.bench_function("token for a duration", |b| {
        b.iter(|| black_box(call(&mut service, "/archive/1", &credential)))
    });
    group.finish();
}

criterion_group!(benches, layer);
criterion_main!(benches);
