//! A shop for tests: a local node, a memory store and a clock that stands still.

use std::{convert::Infallible, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::{Service, ServiceExt as _};
use tower_x402::{
    DialectName, Invoice, MemoryStore, Paywall, Secrets,
    clock::{TestClock, Timestamp},
    l402,
    lightning::{BoxFuture, LocalNode, Receiver},
    replay::{
        Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError, StoreId,
        UseId, UseRequest,
    },
    server::PaywallBuilder,
};

pub(crate) const ORIGIN: &str = "https://api.example.com";
pub(crate) const NOW: u64 = 1_790_000_000;

/// The node, the store and the clock behind a paywall.
pub(crate) struct Shop {
    pub(crate) node: LocalNode,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: TestClock,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let clock = TestClock::at(Timestamp::from_unix_seconds(NOW - 3_600));
        let node = LocalNode::new().with_clock(clock.clone());
        let store = Arc::new(MemoryStore::new().unwrap().with_clock(clock.clone()));
        clock.set(Timestamp::from_unix_seconds(NOW));
        Self { node, store, clock }
    }

    /// A builder with everything that is required, which speaks L402 alone.
    pub(crate) fn builder(&self) -> PaywallBuilder {
        self.builder_of(self.node.clone())
    }

    /// The same over another node.
    pub(crate) fn builder_of(&self, node: impl Receiver) -> PaywallBuilder {
        self.bare(node).origin(ORIGIN)
    }

    /// The same at another origin.
    pub(crate) fn builder_at(&self, origin: &str) -> PaywallBuilder {
        self.bare(self.node.clone()).origin(origin)
    }

    fn bare(&self, node: impl Receiver) -> PaywallBuilder {
        Paywall::builder(node)
            .master_secret(Secrets::test_secret(7))
            .replay_store(self.store.clone())
            .clock(self.clock.clone())
            .dialects([DialectName::L402])
    }

    pub(crate) fn paywall(&self) -> Paywall {
        self.builder().build().unwrap()
    }

    /// Settles the invoice of the first L402 challenge and makes its credential.
    #[track_caller]
    pub(crate) fn pay(&self, answer: &Response<Bytes>) -> HeaderValue {
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{answer:?}");
        let challenge = l402::Challenge::in_headers(answer.headers()).remove(0);
        let invoice = Invoice::parse(challenge.invoice()).unwrap();
        let preimage = self.node.settle(invoice.payment_hash()).unwrap();
        challenge.answer(&preimage)
    }

    /// Asks, pays, and gives back the credential.
    pub(crate) async fn buy<S, R>(&self, service: &S, request: Request<Body>) -> HeaderValue
    where
        S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone,
        R: http_body::Body<Data = Bytes>,
        R::Error: std::fmt::Debug,
    {
        self.pay(&ask(service, request).await)
    }
}

/// A store in memory that says it outlives the process: no process ends here.
#[derive(Clone, Debug)]
pub(crate) struct Lasting(pub(crate) Arc<MemoryStore>);

impl ReplayStore for Lasting {
    fn id(&self) -> StoreId {
        self.0.id()
    }

    fn created_at(&self) -> Timestamp {
        self.0.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.0.consume(request)
    }

    fn release(&self, key: ConsumptionKey, id: UseId, why: ReleaseReason) {
        self.0.release(key, id, why);
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }
}

/// One request through a service, its answer in memory.
pub(crate) async fn ask<S, R>(service: &S, request: Request<Body>) -> Response<Bytes>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone,
    R: http_body::Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    let (head, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

pub(crate) fn get(target: &str) -> Request<Body> {
    request("GET", target, None)
}

pub(crate) fn paid(target: &str, credential: &HeaderValue) -> Request<Body> {
    request("GET", target, Some(credential))
}

pub(crate) fn request(
    method: &str,
    target: &str,
    credential: Option<&HeaderValue>,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(Body::empty())
        .unwrap();
    if let Some(credential) = credential {
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, credential.clone());
    }
    request
}

/// The problem that an answer tells.
#[track_caller]
pub(crate) fn problem(answer: &Response<Bytes>) -> serde_json::Value {
    serde_json::from_slice(answer.body()).unwrap()
}

/// Why a credential was refused.
#[track_caller]
pub(crate) fn reason(answer: &Response<Bytes>) -> String {
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{answer:?}");
    problem(answer)["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
