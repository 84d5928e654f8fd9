//! The layers that services usually have, on both sides of this crate's: each with a paid request in
//! every dialect, and the statuses that a user expects.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};
use tower_http::{
    compression::CompressionLayer,
    cors::CorsLayer,
    limit::RequestBodyLimitLayer,
    normalize_path::NormalizePathLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tower_x402::{
    Amount, ClientConditions, ClientRequest, DialectName, Invoice, MemoryStore, Network, Paywall,
    Secrets, X402Layer,
    clock::{Clock as _, SystemClock},
    l402,
    lightning::LocalNode,
    mpp, x402,
};

const ALL: [DialectName; 3] = [DialectName::L402, DialectName::Mpp, DialectName::X402];

#[derive(Clone, Copy)]
struct One;

impl MakeRequestId for One {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        Some(RequestId::new(HeaderValue::from_static("1")))
    }
}

fn layer(node: &LocalNode) -> X402Layer {
    Paywall::builder(node.clone())
        .origin("https://api.example.com")
        .master_secret(Secrets::test_secret(7))
        .replay_store(MemoryStore::new().unwrap())
        .dialects(ALL)
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap()
}

async fn ask(
    app: &Router,
    body: Body,
    credential: Option<&(HeaderName, HeaderValue)>,
) -> Response<Bytes> {
    let mut request = Request::post("/a").body(body).unwrap();
    if let Some((name, value)) = credential {
        request.headers_mut().append(name, value.clone());
    }
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// Pays a 402 for a body of `x` in one dialect.
fn pay(
    node: &LocalNode,
    answer: &Response<Bytes>,
    dialect: DialectName,
) -> (HeaderName, HeaderValue) {
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{answer:?}");
    let headers = answer.headers();
    let token = l402::Challenge::in_headers(headers).remove(0);
    let invoice = Invoice::parse(token.invoice()).unwrap();
    let preimage = node.settle(invoice.payment_hash()).unwrap();
    let own = axum::http::HeaderMap::new();
    let request = ClientRequest::Http {
        method: "POST",
        url: "https://api.example.com/a",
        headers: &own,
        body_hash: Sha256::digest(b"x").into(),
    };
    let conditions = ClientConditions::new(Network::Regtest, SystemClock::new().now());
    match dialect {
        DialectName::Mpp => {
            let challenge = &mpp::Challenge::in_headers(headers)[0];
            let payable = mpp::Payable::check(challenge, &request, &conditions).unwrap();
            payable.credential(&preimage).unwrap()
        }
        DialectName::X402 => {
            let challenge = &x402::Challenge::in_headers(headers)[0];
            let payable = x402::Payable::check(challenge, &request, &conditions).unwrap();
            payable.credential(&preimage).unwrap()
        }
        _ => (header::AUTHORIZATION, token.answer(&preimage)),
    }
}

async fn sells(name: &str, node: &LocalNode, app: &Router) {
    for dialect in ALL {
        let answer = ask(app, Body::from("x"), None).await;
        let line = pay(node, &answer, dialect);
        let served = ask(app, Body::from("x"), Some(&line)).await;
        assert_eq!(served.status(), StatusCode::OK, "{name} {dialect}");
        assert_eq!(served.body(), "x", "{name} {dialect}");
        let again = ask(app, Body::from("x"), Some(&line)).await;
        assert_eq!(
            again.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{name} {dialect}"
        );
    }
}

async fn echo(body: Bytes) -> Bytes {
    body
}

async fn pass(request: Request, next: Next) -> Response {
    next.run(request).await
}

macro_rules! on_both_sides {
    ($($layer:expr),+ $(,)?) => {$({
        let (node, name) = (LocalNode::new(), stringify!($layer));
        let outside = Router::new()
            .route("/a", post(echo).route_layer(layer(&node)))
            .layer($layer);
        sells(name, &node, &outside).await;
        let inside = ServiceBuilder::new().layer(layer(&node).for_axum()).layer($layer);
        let inside = Router::new().route("/a", post(echo).route_layer(inside));
        sells(name, &node, &inside).await;
        let around = ServiceBuilder::new().layer($layer).layer(layer(&node).for_axum());
        let around = Router::new().route("/a", post(echo).route_layer(around));
        sells(name, &node, &around).await;
    })+};
}

#[tokio::test]
async fn each_usual_layer_sells_on_both_sides_in_every_dialect() {
    let id = HeaderName::from_static("x-request-id");
    on_both_sides!(
        middleware::from_fn(pass),
        TraceLayer::new_for_http(),
        CorsLayer::permissive(),
        CompressionLayer::new(),
        TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(60)),
        RequestBodyLimitLayer::new(1_000),
        NormalizePathLayer::trim_trailing_slash(),
        SetRequestIdLayer::new(id.clone(), One),
        PropagateRequestIdLayer::new(id.clone()),
    );
}

#[tokio::test]
async fn a_stack_of_all_usual_layers_sells() {
    let (node, id) = (LocalNode::new(), HeaderName::from_static("x-request-id"));
    let stack = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(id.clone(), One))
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(1_000))
        .layer(layer(&node).for_axum())
        .layer(middleware::from_fn(pass))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            Duration::from_secs(60),
        ))
        .layer(PropagateRequestIdLayer::new(id));
    let app = Router::new().route("/a", post(echo).route_layer(stack));
    sells("all", &node, &app).await;
    let normalised = NormalizePathLayer::trim_trailing_slash().layer(app.clone());
    let request = Request::post("/a/").body(Body::from("x")).unwrap();
    let answer = normalised.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
}

/// A body without a length is found to be too long only while it is read: by the layer, or in L402 by
/// axum's extractor, which sees why only through `for_axum`.
#[tokio::test]
async fn a_body_over_the_limit_of_another_layer_is_413() {
    let node = LocalNode::new();
    let app = Router::new()
        .route("/a", post(echo).route_layer(layer(&node).for_axum()))
        .layer(RequestBodyLimitLayer::new(10));
    let long = || {
        let chunks = (0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"12345")));
        Body::from_stream(futures_util::stream::iter(chunks))
    };
    let unpaid = ask(&app, long(), None).await;
    assert_eq!(unpaid.status(), StatusCode::PAYLOAD_TOO_LARGE);
    for dialect in ALL {
        let line = pay(&node, &ask(&app, Body::from("x"), None).await, dialect);
        for body in [long(), Body::from("12345678901")] {
            let refused = ask(&app, body, Some(&line)).await;
            assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE, "{dialect}");
        }
    }
}
