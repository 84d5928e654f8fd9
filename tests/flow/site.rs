//! A server on a free local port, and a client for it.

use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower_x402::{
    Invoice, MemoryStore, Paywall, Preimage, Secrets, l402, lightning::LocalNode,
    lightning::Receiver, server::PaywallBuilder,
};

/// A bound port without a server yet.
pub(crate) struct Place {
    listener: TcpListener,
    pub(crate) origin: String,
}

impl Place {
    pub(crate) async fn free() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, origin }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) fn builder(&self, receiver: impl Receiver) -> PaywallBuilder {
        Paywall::builder(receiver)
            .origin(&self.origin)
            .master_secret(Secrets::test_secret(7))
            .replay_store(MemoryStore::new().unwrap())
            .max_unpaid_per_client(10_000)
    }

    /// Serves until the runtime ends.
    pub(crate) fn serve(self, app: Router) {
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(self.listener, service).await });
    }
}

/// A client that keeps its connections open for later requests. Clones share them.
#[derive(Clone)]
pub(crate) struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends a request and returns the answer's head with an unread body. Fails if the connection
    /// breaks.
    pub(crate) async fn open(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: &[u8],
    ) -> Result<Response<Incoming>, legacy::Error> {
        let mut request = Request::new(Full::from(body.to_vec()));
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().unwrap();
        *request.headers_mut() = headers;
        self.0.request(request).await
    }
}

/// Sends a request and returns the whole answer.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    url: &str,
    headers: HeaderMap,
    body: &[u8],
) -> Response<Bytes> {
    let (head, body) = client
        .open(method, url, headers, body)
        .await
        .unwrap()
        .into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

pub(crate) async fn get(client: &Client, url: &str) -> Response<Bytes> {
    send(client, Method::GET, url, HeaderMap::new(), b"").await
}

/// Pays for a GET at a local node and returns its `Authorization` header.
pub(crate) async fn bought(client: &Client, node: &LocalNode, url: &str) -> HeaderMap {
    let answer = get(client, url).await;
    let challenge = l402::Challenge::in_headers(answer.headers()).remove(0);
    let preimage: Preimage = node
        .settle(Invoice::parse(challenge.invoice()).unwrap().payment_hash())
        .unwrap();
    HeaderMap::from_iter([(http::header::AUTHORIZATION, challenge.answer(&preimage))])
}
