//! A shop on a real socket, whose payments a node receives: what every node must be able to sell.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tower_x402::{
    Amount, DialectName, DurableStore, Network, Paid, Paywall,
    lightning::{InvoiceStatus, Payer, Receiver},
    server::PaywallBuilder,
};

use crate::{
    buyer::Payable,
    site::{Client, Place, send},
};

const ALL: [DialectName; 3] = [DialectName::L402, DialectName::Mpp, DialectName::X402];
const BODY: &[u8] = b"a scene";
/// Whole satoshis: MPP has no fractions of them.
pub(crate) const PRICE: Amount = Amount::from_sat(25);

/// A server that charges for one route, and its client.
pub(crate) struct Shop {
    pub(crate) paywall: Paywall,
    /// The dialects that this receiver can sell.
    pub(crate) dialects: Vec<DialectName>,
    network: Network,
    url: String,
    client: Client,
    served: Arc<AtomicUsize>,
    _folder: TempDir,
}

impl Shop {
    pub(crate) async fn open(receiver: impl Receiver) -> Self {
        Self::with(receiver, |builder| builder).await
    }

    pub(crate) async fn with(
        receiver: impl Receiver,
        set: impl FnOnce(PaywallBuilder) -> PaywallBuilder,
    ) -> Self {
        let (profile, place) = (receiver.profile(), Place::free().await);
        // x402 names the node that is paid.
        let dialects: Vec<_> = ALL
            .into_iter()
            .filter(|name| *name != DialectName::X402 || profile.public_key.is_some())
            .collect();
        // As on mainnet, because the wallets of LNbits say that they are there.
        let folder = tempfile::tempdir().unwrap();
        let builder = place
            .builder(receiver)
            .dialects(dialects.clone())
            .master_secret(Sha256::digest(folder.path().as_os_str().as_encoded_bytes()))
            .replay_store(DurableStore::open(folder.path()).unwrap())
            .allow_test_network();
        let paywall = set(builder).build().unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let count = served.clone();
        let handler = move |Paid(receipt): Paid, body: String| async move {
            count.fetch_add(1, Ordering::SeqCst);
            format!("{body} for {} by {}", receipt.payment(), receipt.dialect())
        };
        let url = format!("{}/render?size=2", place.origin);
        let layer = paywall.charge(PRICE).unwrap();
        place.serve(Router::new().route("/render", post(handler).route_layer(layer)));
        Self {
            paywall,
            dialects,
            network: profile.network,
            url,
            client: Client::new(),
            served,
            _folder: folder,
        }
    }

    /// Sends a request with these headers.
    pub(crate) async fn ask(&self, headers: HeaderMap) -> Response<Bytes> {
        send(&self.client, Method::POST, &self.url, headers, BODY).await
    }

    /// Asks without a credential, and reads the challenge of one dialect.
    pub(crate) async fn offer(&self, dialect: DialectName) -> Payable {
        let answer = self.ask(HeaderMap::new()).await;
        self.payable(dialect, &answer)
    }

    fn payable(&self, dialect: DialectName, answer: &Response<Bytes>) -> Payable {
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{answer:?}");
        Payable::of(dialect, self.network, &self.url, BODY, answer.headers())
    }

    /// Presents a credential that was not used before.
    pub(crate) async fn redeem(&self, dialect: DialectName, paid: &HeaderMap) {
        let before = self.served();
        let answer = self.ask(paid.clone()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{dialect}: {answer:?}");
        let text = format!("a scene for {} by {dialect}", PRICE);
        assert_eq!((answer.body(), self.served()), (&text.into(), before + 1));
    }

    /// Expects that a request is answered with 503, without a challenge, and reaches no handler.
    pub(crate) async fn expect_closed(&self, headers: HeaderMap) {
        let served = self.served();
        let answer = self.ask(headers).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
        for name in ["www-authenticate", "payment-required"] {
            assert!(!answer.headers().contains_key(name), "{answer:?}");
        }
        assert_eq!(self.served(), served, "nothing is free");
    }

    /// How many requests reached the handler.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

/// The whole path of a purchase over HTTP, in every dialect that the receiver can sell: 402,
/// payment, 200, and the refusal of a second use. The payer must be able to reach the receiver.
pub(crate) async fn sells_and_serves_once(receiver: impl Receiver + Clone, payer: impl Payer) {
    let shop = Shop::open(receiver.clone()).await;
    let mut settlements = shop.paywall.settlements(4);
    for &dialect in &shop.dialects {
        let payable = shop.offer(dialect).await;
        let hash = payable.invoice().payment_hash();
        let open = receiver.lookup_invoice(hash).await.unwrap();
        assert_eq!(open, InvoiceStatus::Open, "{dialect}");
        let paid = payable.pay(&payer, PRICE).await;
        shop.redeem(dialect, &paid).await;
        let settled = receiver.lookup_invoice(hash).await.unwrap();
        assert_eq!(settled, InvoiceStatus::Settled, "{dialect}");
        let told = settlements.next().await.unwrap();
        assert_eq!(
            (told.payment_hash(), told.amount(), told.dialect()),
            (Some(hash), Some(PRICE), dialect)
        );

        let served = shop.served();
        let again = shop.ask(paid).await;
        let text = String::from_utf8_lossy(again.body());
        assert!(text.contains(r#""kind":"spent""#), "{dialect}: {text}");
        let fresh = shop.payable(dialect, &again);
        assert_ne!(fresh.invoice().payment_hash(), hash, "{dialect}");
        assert_eq!(shop.served(), served, "{dialect}");
    }
}
