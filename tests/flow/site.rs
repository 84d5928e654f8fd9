//! A server on a free port of this machine, and what a client needs to talk to it.

use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use tokio::net::TcpListener;
use tower_x402::{
    Invoice, MemoryStore, Paywall, Preimage, Secrets, l402, lightning::LocalNode, lightning::Receiver, server::PaywallBuilder,
};

/// A port, not yet served.
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
            .unpaid_per_client(10_000)
    }

    /// Serves from now on, until the runtime ends.
    pub(crate) fn serve(self, app: Router) {
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(self.listener, service).await });
    }
}

/// One exchange, its answer in memory.
pub(crate) async fn send(
    client: &reqwest::Client,
    method: Method,
    url: &str,
    headers: HeaderMap,
    body: &[u8],
) -> Response<Bytes> {
    let answer = client.request(method, url).headers(headers).body(body.to_vec()).send().await.unwrap();
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await.unwrap();
    response
}

pub(crate) async fn get(client: &reqwest::Client, url: &str) -> Response<Bytes> {
    send(client, Method::GET, url, HeaderMap::new(), b"").await
}

/// The `Authorization` of a GET that was paid for at a local node.
pub(crate) async fn bought(client: &reqwest::Client, node: &LocalNode, url: &str) -> HeaderMap {
    let answer = get(client, url).await;
    let challenge = l402::Challenge::in_headers(answer.headers()).remove(0);
    let preimage: Preimage = node.settle(Invoice::parse(challenge.invoice()).unwrap().payment_hash()).unwrap();
    HeaderMap::from_iter([(http::header::AUTHORIZATION, challenge.answer(&preimage))])
}
