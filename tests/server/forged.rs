//! Invoices forged to look like another node's, and attempts to fill a facilitator's store.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get as on_get};
use bitcoin::{
    hashes::{Hash as _, sha256},
    secp256k1::{
        Message, SECP256K1, SecretKey,
        ecdsa::{RecoverableSignature, RecoveryId},
    },
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use lightning_invoice::{
    Currency, InvoiceBuilder, PaymentSecret, RawBolt11Invoice, SignedRawBolt11Invoice,
};
use tower::ServiceExt as _;
use tower_x402::{
    Amount, DialectName, Invoice, InvoiceErrorKind, Network, Secrets,
    clock::Timestamp,
    facilitator::{BearerTokens, Facilitator},
    internals::codec::{base64, hex},
    lightning::{Description, InvoiceRequest, Receiver as _},
    replay::ReplayStore,
    x402::{
        Conditions, PaymentPayload, PaymentRequirements, RequestBinding, decode_header, verify,
    },
};

use crate::{
    customer::{Call, PAYMENT_SIGNATURE},
    shop::{Lasting, NOW, Shop, ask, reason},
};

fn key(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).unwrap()
}

struct Draft {
    names: Option<SecretKey>,
    expiry: Duration,
    msat: u64,
    hash: [u8; 32],
    payment_hash: [u8; 32],
}

impl Draft {
    fn raw(&self) -> RawBolt11Invoice {
        let builder = InvoiceBuilder::new(Currency::Regtest)
            .amount_milli_satoshis(self.msat)
            .payment_hash(sha256::Hash::from_byte_array(self.payment_hash))
            .payment_secret(PaymentSecret([3; 32]))
            .duration_since_epoch(Duration::from_secs(NOW))
            .expiry_time(self.expiry)
            .min_final_cltv_expiry_delta(18)
            .description_hash(sha256::Hash::from_byte_array(self.hash));
        match self.names {
            Some(named) => builder
                .payee_pub_key(named.public_key(SECP256K1))
                .build_raw()
                .unwrap(),
            None => builder.build_raw().unwrap(),
        }
    }

    fn signed(
        &self,
        signer: &SecretKey,
        bend: impl Fn(RecoverableSignature) -> RecoverableSignature,
    ) -> SignedRawBolt11Invoice {
        let sign = |message: &Message| {
            Ok::<_, ()>(bend(SECP256K1.sign_ecdsa_recoverable(message, signer)))
        };
        self.raw().sign(sign).unwrap()
    }
}

fn draft() -> Draft {
    Draft {
        names: None,
        expiry: Duration::from_secs(300),
        msat: 10_000,
        hash: [1; 32],
        payment_hash: [2; 32],
    }
}

/// The same signature with the other s: order minus s, and the other recovery id.
fn high_s(signature: RecoverableSignature) -> RecoverableSignature {
    let (id, mut bytes) = signature.serialize_compact();
    let s = SecretKey::from_slice(&bytes[32..]).unwrap().negate();
    bytes[32..].copy_from_slice(&s.secret_bytes());
    let other = RecoveryId::from_i32(id.to_i32() ^ 1).unwrap();
    RecoverableSignature::from_compact(&bytes, other).unwrap()
}

#[test]
fn an_invoice_is_its_payees_only_with_that_payees_signature() {
    let (ours, stranger) = (key(1), key(9));
    let named = Draft {
        names: Some(ours),
        ..draft()
    };
    let honest = Invoice::parse(&named.signed(&ours, |signature| signature).to_string()).unwrap();
    assert_eq!(honest.payee(), &ours.public_key(SECP256K1).serialize());
    let forged = named.signed(&stranger, |signature| signature).to_string();
    assert_eq!(
        Invoice::parse(&forged).unwrap_err().kind(),
        InvoiceErrorKind::Signature
    );
    // If the invoice names the payee, only the low s is valid. If the payee is recovered, both are.
    assert!(Invoice::parse(&named.signed(&ours, high_s).to_string()).is_err());
    let recovered = Invoice::parse(&draft().signed(&ours, high_s).to_string()).unwrap();
    assert_eq!(recovered.payee(), &ours.public_key(SECP256K1).serialize());
}

#[test]
fn an_expiry_that_overflows_the_timestamp_range_is_refused() {
    for (expiry, is_sayable) in [
        (u64::MAX, false),
        (u64::MAX - NOW + 1, false),
        (u64::MAX - NOW, true),
        (300, true),
    ] {
        let text = Draft {
            expiry: Duration::from_secs(expiry),
            ..draft()
        }
        .signed(&key(1), |signature| signature)
        .to_string();
        assert_eq!(Invoice::parse(&text).is_ok(), is_sayable, "{expiry}");
    }
}

/// A genuine proof of this shop, as JSON, with the request that it is for and who serves it.
pub(crate) async fn genuine(shop: &Shop) -> (serde_json::Value, Call, Router) {
    let layer = shop
        .paywall_of_every_dialect()
        .charge(Amount::from_sat(10))
        .unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let text = decode_header(bought.of(DialectName::X402).1.as_bytes()).unwrap();
    (serde_json::from_str(&text).unwrap(), call, app)
}

/// What a sub-wallet of the shop's own node can make: an invoice of any amount for our request,
/// paid by itself.
pub(crate) async fn by_a_sub_wallet(
    shop: &Shop,
    genuine: &serde_json::Value,
    msat: u64,
) -> serde_json::Value {
    let url = genuine["resource"]["url"].as_str().unwrap();
    let empty_body = sha256::Hash::hash(b"").to_byte_array();
    let binding =
        RequestBinding::http("GET", url, &empty_body, &[""; 0], &HeaderMap::new()).unwrap();
    assert_eq!(
        genuine["accepted"]["extra"]["requestHash"],
        binding.hash().to_string()
    );
    let what = Description::Hashed(binding.canonical().as_bytes().to_vec());
    let request = InvoiceRequest::new(Amount::from_msat(msat), what, Duration::from_secs(300));
    let invoice = shop.node.create_invoice(request).await.unwrap();
    let mut payload = genuine.clone();
    payload["accepted"]["amount"] = msat.to_string().into();
    payload["accepted"]["extra"]["invoice"] = invoice.as_str().into();
    payload["payload"]["preimage"] = shop
        .node
        .settle(invoice.payment_hash())
        .unwrap()
        .expose_hex()
        .into();
    payload
}

pub(crate) fn presented(call: &Call, payload: &serde_json::Value) -> Request<Body> {
    call.clone()
        .header(
            PAYMENT_SIGNATURE,
            &base64::encode_standard(payload.to_string()),
        )
        .request()
}

#[tokio::test]
async fn an_invoice_that_the_same_node_signed_for_the_same_request_buys_nothing() {
    let shop = Shop::new();
    let (genuine, call, app) = genuine(&shop).await;
    for msat in [1, 10_000] {
        let forged = by_a_sub_wallet(&shop, &genuine, msat).await;
        let (mut quoted_price, mut unquoted) = (forged.clone(), forged.clone());
        quoted_price["accepted"]["amount"] = "10000".into();
        unquoted["accepted"]["extra"]
            .as_object_mut()
            .unwrap()
            .remove("quote");
        for payload in [forged, quoted_price, unquoted] {
            let refused = ask(&app, presented(&call, &payload)).await;
            assert_eq!(
                reason(&refused),
                "invalid_exact_lnbtc_extra_mismatch",
                "{msat}"
            );
        }
    }
    assert_eq!(
        ask(&app, presented(&call, &genuine)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn accepted_foreign_proofs_count_once_at_the_current_price() {
    let shop = Shop::new();
    let builder = shop
        .builder_of_every_dialect()
        .replay_store(Lasting(shop.store.clone()));
    let paywall = builder
        .master_secret(Secrets::test_secret(8))
        .accept_foreign_proofs()
        .build()
        .unwrap();
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let (genuine, call, other) = genuine(&shop).await;
    for (msat, word) in [
        (1, "amount_mismatch"),
        (9_999, "amount_mismatch"),
        (10_001, "amount_mismatch"),
    ] {
        let cheap = by_a_sub_wallet(&shop, &genuine, msat).await;
        assert_eq!(
            reason(&ask(&app, presented(&call, &cheap)).await),
            format!("invalid_exact_lnbtc_{word}")
        );
    }
    let mut renamed = by_a_sub_wallet(&shop, &genuine, 1).await;
    renamed["accepted"]["amount"] = "10000".into();
    assert_eq!(
        reason(&ask(&app, presented(&call, &renamed)).await),
        "invalid_exact_lnbtc_invoice_amount_mismatch"
    );
    let mut elsewhere = call.clone();
    elsewhere.target = "/weather?a".into();
    assert_eq!(
        reason(&ask(&app, presented(&elsewhere, &genuine)).await),
        "invalid_exact_lnbtc_request_mismatch"
    );

    assert_eq!(
        ask(&app, presented(&call, &genuine)).await.status(),
        StatusCode::OK
    );
    for shop in [&app, &other] {
        assert_eq!(
            reason(&ask(shop, presented(&call, &genuine)).await),
            "duplicate_settlement"
        );
    }
}

#[tokio::test]
async fn a_facilitators_store_holds_nothing_but_proofs_of_the_keys_that_it_serves() {
    let served = Shop::new();
    let (genuine, ..) = genuine(&served).await;
    let pay_to = genuine["accepted"]["payTo"].as_str().unwrap().to_owned();
    // A store for one payment: whatever else reached it would fill it.
    let one = std::num::NonZeroUsize::MIN;
    served.clock.set(Timestamp::from_unix_seconds(NOW - 3_600));
    let store = tower_x402::MemoryStore::new()
        .unwrap()
        .with_clock(served.clock.clone())
        .with_capacity(one);
    served.clock.set(Timestamp::from_unix_seconds(NOW));
    let facilitator = Facilitator::builder(
        Arc::new(store) as Arc<dyn ReplayStore>,
        BearerTokens::new().with("shop", "token"),
    )
    .pay_to(pay_to)
    .networks([Network::Regtest])
    .max_timeout(Duration::from_secs(600))
    .rate(10_000, Duration::from_secs(60))
    .clock(served.clock.clone())
    .build()
    .unwrap();
    let settle = async |payload: &serde_json::Value, required: &serde_json::Value| {
        let body = serde_json::json!({"x402Version": 2, "paymentPayload": payload, "paymentRequirements": required}).to_string();
        let request = Request::post("/settle")
            .header("authorization", "Bearer token")
            .body(Full::<bytes::Bytes>::from(body))
            .unwrap();
        let answer = facilitator.clone().oneshot(request).await.unwrap();
        let answer: serde_json::Value =
            serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes())
                .unwrap();
        answer["errorReason"]
            .as_str()
            .unwrap_or("settled")
            .to_owned()
    };
    let endless = u64::MAX - NOW;
    for number in 0..50_u8 {
        // Signed by the attacker, for itself, or in the served key's name; paid to itself; without
        // end, or not.
        let preimage = [number; 32];
        let payment_hash = sha256::Hash::hash(&preimage).to_byte_array();
        for (names, claims_ours, expiry) in [
            (None, false, endless),
            (None, true, endless),
            (None, true, 300),
            (Some(()), true, 300),
        ] {
            let mut payload = genuine.clone();
            let hash = hex::decode_lower::<32>(
                payload["accepted"]["extra"]["requestHash"]
                    .as_str()
                    .unwrap(),
            )
            .unwrap();
            let draft = Draft {
                payment_hash,
                hash,
                expiry: Duration::from_secs(expiry),
                names: names.map(|()| key(1)),
                ..draft()
            };
            payload["accepted"]["extra"]["invoice"] = draft
                .signed(&key(9), |signature| signature)
                .to_string()
                .into();
            payload["accepted"]["maxTimeoutSeconds"] = expiry.into();
            payload["payload"]["preimage"] = hex::encode(preimage).into();
            if !claims_ours {
                payload["accepted"]["payTo"] =
                    hex::encode(key(9).public_key(SECP256K1).serialize()).into();
            }
            let refused = settle(&payload, &payload["accepted"]).await;
            let words = [
                "pay_to_mismatch",
                "max_timeout",
                "invoice_payee_mismatch",
                "invoice_decode_failed",
            ];
            let word = refused
                .strip_prefix("invalid_exact_lnbtc_")
                .unwrap_or_else(|| panic!("{refused}"));
            assert!(words.contains(&word), "{refused}");
        }
    }
    assert_eq!(settle(&genuine, &genuine["accepted"]).await, "settled");
    assert_eq!(
        settle(&genuine, &genuine["accepted"]).await,
        "duplicate_settlement"
    );
}

#[tokio::test]
async fn our_facilitator_and_our_checks_take_what_our_server_sells() {
    let shop = Shop::new();
    let (genuine, ..) = genuine(&shop).await;
    let (text, required) = (genuine.to_string(), genuine["accepted"].to_string());
    let payload = PaymentPayload::from_json(&text).unwrap();
    let required = PaymentRequirements::from_json(&required).unwrap();
    let now = Timestamp::from_unix_seconds(NOW);
    let verified = verify(
        &payload,
        &required,
        &Conditions::at(now).with_networks(&[Network::Regtest]),
    )
    .unwrap();
    assert_eq!(verified.amount(), Amount::from_sat(10));
}
