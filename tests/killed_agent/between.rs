//! A proxy between the agent, the paid API and its wallet. It holds one message, so that the agent
//! can be killed there, and remembers what the wallet was asked to pay.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};
use tower_x402::{Invoice, PaymentHash};

use crate::shop::Shop;

/// Where the agent's approver asks. The proxy says yes.
pub(crate) const APPROVAL: &str = "/approval";

/// Where the agent's payer pays.
const PAYMENT: &str = "/v2/router/send";

/// A message that the proxy does not pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its number: a request and its answer have the same.
    pub(crate) message: usize,
    pub(crate) pass: Pass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Request,
    Answer,
}

/// What passed for one agent.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    messages: usize,
    held: Option<Held>,
    /// The invoices that the wallet was asked to pay.
    pub(crate) invoices: HashMap<PaymentHash, Invoice>,
    /// What the API answered to paid requests. Each names its payment, so one that is repeated counts
    /// once.
    pub(crate) served: HashSet<Bytes>,
}

#[derive(Clone, Debug)]
pub(crate) struct Between(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shop: Shop,
    upstream: Client<HttpConnector, Full<Bytes>>,
    passed: Mutex<Passed>,
    is_held: Notify,
}

impl Between {
    /// Serves until the runtime ends.
    pub(crate) fn serve(listener: TcpListener, shop: Shop) -> Self {
        let between = Self(Arc::new(Inner {
            shop,
            upstream: Client::builder(TokioExecutor::new()).build_http(),
            passed: Mutex::default(),
            is_held: Notify::new(),
        }));
        let app = axum::Router::new()
            .fallback(pass)
            .with_state(between.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        between
    }

    pub(crate) fn shop(&self) -> &Shop {
        &self.0.shop
    }

    pub(crate) fn passed(&self) -> MutexGuard<'_, Passed> {
        self.0.passed.lock().unwrap()
    }

    /// Holds a message of the next agent, or none.
    pub(crate) fn hold(&self, held: Option<Held>) {
        let mut passed = self.passed();
        (passed.messages, passed.held) = (0, held);
    }

    /// Returns when the message is held.
    pub(crate) async fn is_held(&self) {
        self.0.is_held.notified().await;
    }

    async fn hold_here(&self, here: Held) {
        let is_held = self.passed().held == Some(here);
        if is_held {
            self.0.is_held.notify_one();
            // Until the connection breaks.
            pending::<()>().await;
        }
    }

    async fn forward(self, request: Request) -> Response {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = head.uri.path_and_query().unwrap().to_string();
        if path == APPROVAL {
            return Response::new(Body::empty());
        }
        if path == PAYMENT {
            self.note(&body);
        }
        let is_for_wallet = path.starts_with("/v1/") || path.starts_with("/v2/");
        let to = match is_for_wallet {
            true => &self.0.shop.wallet,
            false => &self.0.shop.api,
        };
        head.uri = format!("{to}{path}").parse::<Uri>().unwrap();
        let request = http::Request::from_parts(head, Full::new(body));
        let answer = self.0.upstream.request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if !is_for_wallet && head.status == StatusCode::OK {
            self.passed().served.insert(body.clone());
        }
        Response::from_parts(head, body.into())
    }

    /// Notes the invoice that a wallet is asked to pay.
    fn note(&self, order: &[u8]) {
        let order: Value = serde_json::from_slice(order).unwrap();
        let invoice = Invoice::parse(order["payment_request"].as_str().unwrap()).unwrap();
        let mut passed = self.passed();
        passed.invoices.insert(invoice.payment_hash(), invoice);
    }
}

/// Passes a request on, and its answer back. Once it was passed on, it is answered, whether the
/// agent still lives or not.
async fn pass(State(between): State<Between>, request: Request) -> Response {
    let message = {
        let mut passed = between.passed();
        passed.messages += 1;
        passed.messages - 1
    };
    let at = |pass| Held { message, pass };
    between.hold_here(at(Pass::Request)).await;
    let forwarding = tokio::spawn(between.clone().forward(request));
    let answer = forwarding.await.unwrap();
    between.hold_here(at(Pass::Answer)).await;
    answer
}
