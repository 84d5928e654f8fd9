//! Invoices that somebody else made the node sign, and credentials made of two challenges.

use axum::{Router, routing::get as on_get};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use tower_x402::{
    Amount, ClientConditions, ClientRequest, DialectName, Invoice, Network, Preimage,
    clock::Clock as _,
    internals::codec::base64,
    lightning::{Description, InvoiceRequest, Lie, Receiver as _},
    x402::{self, RequestBinding},
};

use crate::{
    customer::{ALL, Call, HeaderLine, payment_hash},
    shop::{Lasting, ORIGIN, Shop, ask, problem},
};

const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

fn site(shop: &Shop, foreign: bool) -> Router {
    let builder = shop
        .builder()
        .dialects(ALL)
        .replay_store(Lasting(shop.store.clone()));
    let paywall = if foreign {
        builder.accept_foreign_proofs()
    } else {
        builder
    }
    .build()
    .unwrap();
    let charge = |sat| paywall.charge(Amount::from_sat(sat)).unwrap();
    Router::new()
        .route("/dear", on_get(async || "dear").route_layer(charge(10_000)))
        .route("/cheap", on_get(async || "cheap").route_layer(charge(1)))
}

fn required(answer: &Response<Bytes>) -> Value {
    let text = x402::decode_header(answer.headers()["payment-required"].as_bytes()).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What a client sends for these terms, which it has checked itself.
fn credential(shop: &Shop, terms: &Value, target: &str, preimage: &Preimage) -> HeaderLine {
    let challenge = &x402::Challenge::in_json(&terms.to_string())[0];
    let url = format!("{ORIGIN}{target}");
    let request = ClientRequest::Http {
        method: "GET",
        url: &url,
        headers: &HeaderMap::new(),
        body_hash: EMPTY,
    };
    let conditions = ClientConditions::new(Network::Regtest, shop.clock.now());
    let payable = x402::Payable::check(challenge, &request, &conditions).unwrap();
    payable.credential(preimage).unwrap()
}

/// An invoice of our own node for this request, which nobody here asked for.
async fn self_made(shop: &Shop, amount: Amount, target: &str) -> (Invoice, Preimage) {
    let binding = RequestBinding::http(
        "GET",
        &format!("{ORIGIN}{target}"),
        &EMPTY,
        &[] as &[&str],
        &HeaderMap::new(),
    )
    .unwrap();
    let what = Description::Hashed(binding.canonical().as_bytes().to_vec());
    let request = InvoiceRequest::new(amount, what, std::time::Duration::from_secs(300));
    let invoice = shop.node.create_invoice(request).await.unwrap();
    let preimage = shop.node.settle(invoice.payment_hash()).unwrap();
    (invoice, preimage)
}

#[tokio::test]
async fn an_invoice_that_this_server_did_not_quote_opens_nothing_even_if_its_node_signed_it() {
    for (foreign, amount, served) in [
        (false, Amount::from_msat(1), false),
        (false, Amount::from_sat(10_000), false),
        (true, Amount::from_msat(1), false),
        (true, Amount::from_sat(9_999), false),
        (true, Amount::from_sat(10_000), true),
    ] {
        for with_quote in [false, true] {
            let shop = Shop::new();
            let app = site(&shop, foreign);
            let mut terms = required(&ask(&app, Call::get("/dear").request()).await);
            let (invoice, preimage) = self_made(&shop, amount, "/dear").await;
            terms["accepts"][0]["amount"] = json!(amount.as_msat().to_string());
            terms["accepts"][0]["extra"]["invoice"] = json!(invoice.as_str());
            if !with_quote {
                terms["accepts"][0]["extra"]
                    .as_object_mut()
                    .unwrap()
                    .remove("quote");
            }
            let answer = ask(
                &app,
                Call::get("/dear").paid(&credential(&shop, &terms, "/dear", &preimage)),
            )
            .await;
            // A quote that is not this invoice's counts as none, which is how another server's
            // quotes look here.
            let expected = if served {
                StatusCode::OK
            } else {
                StatusCode::PAYMENT_REQUIRED
            };
            assert_eq!(
                answer.status(),
                expected,
                "foreign {foreign}, {amount}, quote {with_quote}"
            );
            if !foreign {
                assert_eq!(
                    problem(&answer)["reason"],
                    "invalid_exact_lnbtc_extra_mismatch"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_quote_of_one_invoice_beside_another_opens_nothing() {
    let shop = Shop::new();
    let app = site(&shop, false);
    let (dear, cheap) = (
        ask(&app, Call::get("/dear").request()).await,
        ask(&app, Call::get("/cheap").request()).await,
    );
    let (mut terms, other) = (required(&dear), required(&cheap));
    let preimage = shop.node.settle(payment_hash(&dear)).unwrap();
    let right = terms["accepts"][0]["extra"]["quote"].clone();
    terms["accepts"][0]["extra"]["quote"] = other["accepts"][0]["extra"]["quote"].clone();
    let mixed = credential(&shop, &terms, "/dear", &preimage);
    let answer = ask(&app, Call::get("/dear").paid(&mixed)).await;
    assert_eq!(
        problem(&answer)["reason"],
        "invalid_exact_lnbtc_extra_mismatch"
    );
    terms["accepts"][0]["extra"]["quote"] = right;
    let whole = credential(&shop, &terms, "/dear", &preimage);
    assert_eq!(
        ask(&app, Call::get("/dear").paid(&whole)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_cheap_payment_never_proves_an_expensive_one() {
    let shop = Shop::new();
    let app = site(&shop, false);
    let (dear, cheap) = (
        ask(&app, Call::get("/dear").request()).await,
        ask(&app, Call::get("/cheap").request()).await,
    );
    let paid = shop.node.settle(payment_hash(&cheap)).unwrap();
    let call = Call::get("/dear");
    assert!(
        call.credential(&shop, DialectName::Mpp, &dear, &paid)
            .is_none(),
        "the client's half sees it"
    );
    let token = call
        .credential(&shop, DialectName::L402, &dear, &paid)
        .unwrap();
    assert_eq!(
        problem(&ask(&app, call.paid(&token)).await)["reason"],
        "bad_preimage"
    );
    let of_cheap = Call::get("/cheap")
        .credential(&shop, DialectName::L402, &cheap, &paid)
        .unwrap();
    assert_eq!(
        problem(&ask(&app, call.paid(&of_cheap)).await)["reason"],
        "wrong_target"
    );
    // MPP's credential is the whole challenge: the expensive one with the cheap one's preimage, by hand.
    let challenge = tower_x402::mpp::Challenge::in_headers(dear.headers()).remove(0);
    let forged = tower_x402::mpp::Credential::new(challenge, &paid);
    let line = (forged.header_name(), forged.to_header_value().unwrap());
    let answer = ask(&app, call.paid(&line)).await;
    assert_eq!(
        problem(&answer)["type"],
        "https://paymentauth.org/problems/verification-failed"
    );
}

#[tokio::test]
async fn one_payment_hash_in_two_challenges_is_served_once() {
    let call = Call::get("/cheap");
    for dialect in ALL {
        let shop = Shop::new();
        let app = site(&shop, false);
        let first = ask(&app, call.request()).await;
        shop.node.lie(Lie::PaymentHash);
        let second = ask(&app, call.request()).await;
        shop.node.lie(None);
        assert_eq!(payment_hash(&first), payment_hash(&second));
        let preimage = shop.node.settle(payment_hash(&first)).unwrap();
        let lines = [&first, &second]
            .map(|answer| call.credential(&shop, dialect, answer, &preimage).unwrap());
        assert_eq!(
            ask(&app, call.paid(&lines[0])).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
        assert_eq!(
            ask(&app, call.paid(&lines[1])).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_re_encoded_invoice_with_the_same_payment_hash_is_not_what_was_quoted() {
    let shop = Shop::new();
    let app = site(&shop, false);
    let mut terms = required(&ask(&app, Call::get("/cheap").request()).await);
    // The node signs another text for the same payment: the secret in it is another one.
    shop.node.lie(Lie::PaymentHash);
    let (again, preimage) = self_made(&shop, Amount::from_sat(1), "/cheap").await;
    shop.node.lie(None);
    assert_ne!(
        terms["accepts"][0]["extra"]["invoice"],
        json!(again.as_str())
    );
    terms["accepts"][0]["extra"]["invoice"] = json!(again.as_str());
    let answer = ask(
        &app,
        Call::get("/cheap").paid(&credential(&shop, &terms, "/cheap", &preimage)),
    )
    .await;
    assert_eq!(
        problem(&answer)["reason"],
        "invalid_exact_lnbtc_extra_mismatch"
    );
}

#[tokio::test]
async fn a_quote_with_any_bit_changed_opens_nothing() {
    let shop = Shop::new();
    let app = Router::new().route(
        "/cheap",
        on_get(async || "cheap").route_layer(
            shop.builder()
                .dialects(ALL)
                .max_unpaid_per_client(10_000)
                .build()
                .unwrap()
                .charge(Amount::from_sat(1))
                .unwrap(),
        ),
    );
    let answer = ask(&app, Call::get("/cheap").request()).await;
    let (mut terms, preimage) = (
        required(&answer),
        shop.node.settle(payment_hash(&answer)).unwrap(),
    );
    let quote =
        base64::decode_url(terms["accepts"][0]["extra"]["quote"].as_str().unwrap()).unwrap();
    for at in 0..quote.len() {
        let mut changed = quote.clone();
        changed[at] ^= 1;
        terms["accepts"][0]["extra"]["quote"] = json!(base64::encode_url(changed));
        let answer = ask(
            &app,
            Call::get("/cheap").paid(&credential(&shop, &terms, "/cheap", &preimage)),
        )
        .await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "byte {at}");
    }
}
