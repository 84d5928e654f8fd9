//! Purchases from servers of other projects, by the paying client.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{client::legacy, rt::TokioExecutor};
use tower::{Layer as _, ServiceExt as _, util::BoxCloneService};
use tower_x402::{
    Amount, DialectName,
    client::{AutoPayLayer, PaidBody, PaidReceipt, PayError, Policy, Wallet},
    ledger::Budget,
    lightning::Payer,
};

use crate::site::{Client, send};

pub(crate) const PRICE: Amount = Amount::from_sat(25);
const BODY: &[u8] = b"a scene";

/// A client that pays, and remembers the headers of the last request that it sent.
pub(crate) struct Buyer {
    client: BoxCloneService<
        Request<Full<Bytes>>,
        Response<PaidBody<Incoming>>,
        PayError<legacy::Error>,
    >,
    sent: Arc<Mutex<HeaderMap>>,
    wallet: Wallet,
}

/// The answer to a request that was made with a [`Buyer`].
pub(crate) struct Purchase {
    /// What was paid, if this request was paid for.
    pub(crate) receipt: Option<PaidReceipt>,
    /// The headers of the request, with the proof.
    pub(crate) proof: HeaderMap,
    pub(crate) answer: Response<Bytes>,
}

impl Buyer {
    /// A client that speaks one dialect, and may spend the price four times.
    pub(crate) async fn new(payer: impl Payer, dialect: DialectName) -> Self {
        let wallet = Wallet::builder(payer)
            .budget(Budget::total(Amount::from_sat(100)))
            .dialects([dialect])
            .policy(
                Policy::new()
                    .allow_private_addresses()
                    .max_fee(Amount::ZERO),
            )
            .build()
            .await
            .unwrap();
        let sent = Arc::new(Mutex::new(HeaderMap::new()));
        let client = legacy::Client::builder(TokioExecutor::new()).build_http();
        let note = sent.clone();
        let noting = client.map_request(move |request: Request<Full<Bytes>>| {
            *note.lock().unwrap() = request.headers().clone();
            request
        });
        Self {
            client: AutoPayLayer::new(wallet.clone())
                .layer(noting)
                .boxed_clone(),
            sent,
            wallet,
        }
    }

    /// Makes the request that all of these servers sell, and pays for it if that is asked for. The
    /// handler must have got the query and the whole body.
    pub(crate) async fn buy(&self, origin: &str) -> Purchase {
        let request = Request::post(url(origin)).body(Full::from(BODY)).unwrap();
        let answer = self.client.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let receipt = head.extensions.get::<PaidReceipt>().cloned();
        let answer = Response::from_parts(head, body.collect().await.unwrap().to_bytes());
        expect_served(&answer);
        if let Some(receipt) = &receipt {
            assert_eq!((receipt.amount(), receipt.is_earlier()), (PRICE, false));
        }
        Purchase {
            receipt,
            proof: self.sent.lock().unwrap().clone(),
            answer,
        }
    }

    /// What the wallet counts as spent.
    pub(crate) fn spent(&self) -> Amount {
        let budget = self.wallet.budget().unwrap();
        assert_eq!(budget.reserved, Amount::ZERO);
        budget.spent
    }
}

impl Purchase {
    /// The hash of the payment that this request made.
    #[track_caller]
    pub(crate) fn payment_hash(&self) -> tower_x402::PaymentHash {
        self.receipt.as_ref().expect("a payment").payment_hash()
    }
}

/// Sends the same request without a wallet.
pub(crate) async fn ask(client: &Client, origin: &str, headers: HeaderMap) -> Response<Bytes> {
    send(client, Method::POST, &url(origin), headers, BODY).await
}

fn url(origin: &str) -> String {
    format!("{origin}/render?size=2")
}

/// Expects the answer of the handler.
#[track_caller]
pub(crate) fn expect_served(answer: &Response<Bytes>) {
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    let seen: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        seen,
        serde_json::json!({ "size": "2", "length": BODY.len() })
    );
}
