//! A site that sells one answer and keeps what is spent in a store on a server. What it answers
//! while that server fails.

use std::time::{Duration, Instant};

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Request, Response, StatusCode, header};
use tower::ServiceExt as _;
use tower_x402::{
    Amount, DialectName, Invoice, Paywall, Secrets, l402, lightning::LocalNode, replay::ReplayStore,
};

pub(crate) struct Site {
    app: Router,
    node: LocalNode,
}

impl Site {
    pub(crate) fn new(store: impl ReplayStore) -> Self {
        let node = LocalNode::new();
        let paywall = Paywall::builder(node.clone())
            .origin("https://api.example.com")
            .master_secret(Secrets::test_secret(7))
            .replay_store(store)
            .allow_volatile_replay_store()
            .dialects([DialectName::L402])
            .build()
            .unwrap();
        let layer = paywall.charge(Amount::from_sat(10)).unwrap();
        let app = Router::new().route("/weather", get(async || "sunny").route_layer(layer));
        Self { app, node }
    }

    /// Pays for one answer.
    pub(crate) async fn buy(&self) -> HeaderValue {
        let asked = self.ask(None).await;
        assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED);
        let challenge = &l402::Challenge::in_headers(asked.headers())[0];
        let invoice = Invoice::parse(challenge.invoice()).unwrap();
        let preimage = self.node.settle(invoice.payment_hash()).unwrap();
        challenge.answer(&preimage)
    }

    /// A server in trouble: what was paid is 503 with `Retry-After` and without a challenge, in
    /// bounded time, and as often as somebody asks.
    pub(crate) async fn is_unavailable(&self, paid: &HeaderValue) {
        for _ in 0..3 {
            let asked = self.ask(Some(paid));
            let answer = tokio::time::timeout(PATIENCE, asked).await;
            is_503(&answer.expect("an answer in bounded time"));
        }
    }

    /// A server that is there again: what was paid is served once. Until then it is 503.
    pub(crate) async fn serves_once(&self, paid: &HeaderValue) {
        let given_up = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(Some(paid)).await;
            if answer.status() == StatusCode::OK {
                break;
            }
            assert!(Instant::now() < given_up, "service must return");
            is_503(&answer);
            tokio::time::sleep(PAUSE).await;
        }
        let again = self.ask(Some(paid)).await;
        assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED);
    }

    async fn ask(&self, paid: Option<&HeaderValue>) -> Response<Body> {
        let mut request = Request::get("/weather").body(Body::empty()).unwrap();
        if let Some(paid) = paid {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, paid.clone());
        }
        self.app.clone().oneshot(request).await.unwrap()
    }
}

#[track_caller]
fn is_503(answer: &Response<Body>) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(header::RETRY_AFTER));
    assert!(
        !answer.headers().contains_key(header::WWW_AUTHENTICATE),
        "clients would pay again"
    );
}

/// Much more than the time limit of a call, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(5);
