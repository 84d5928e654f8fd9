//! The challenge headers of a 402 stay within a budget of bytes, and every client can still pay.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::any};
use bitcoin::{
    hashes::{Hash as _, sha256},
    secp256k1::{SECP256K1, SecretKey},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use lightning_invoice::{
    Currency, InvoiceBuilder, PaymentSecret, RouteHint, RouteHintHop, RoutingFees,
};
use tower_x402::{
    Amount, Charge, DialectName, Invoice, Network, PaymentHash, Preimage,
    internals::codec::base64,
    l402,
    lightning::{
        BoxFuture, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError, Receiver,
        ReceiverProfile,
    },
    mpp,
    server::PaywallBuilder,
    x402,
};

use crate::{
    customer::{ALL, Call, HeaderLine},
    journal::Journal,
    shop::{NOW, Shop, ask, problem},
};

/// What stock nginx takes of all response headers with the status line, in bytes.
const NGINX: usize = 4_096;

/// A node behind three channels that nobody knows: its invoices have three route hints.
#[derive(Clone, Debug, Default)]
struct Hinted(Arc<Mutex<HashMap<PaymentHash, Preimage>>>);

impl Hinted {
    fn key() -> SecretKey {
        SecretKey::from_slice(&[5; 32]).unwrap()
    }

    fn preimage(&self, invoice: &str) -> Preimage {
        let invoice = Invoice::parse(invoice).unwrap();
        self.0.lock().unwrap()[&invoice.payment_hash()].clone()
    }
}

impl Receiver for Hinted {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(Network::Regtest, KeyCustody::Exclusive);
        profile.public_key = Some(Self::key().public_key(SECP256K1).serialize());
        profile.in_process = true;
        profile
    }

    fn create_invoice(&self, asked: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        let mut made = self.0.lock().unwrap();
        let preimage = [u8::try_from(made.len()).unwrap() + 1; 32];
        let hop = |node: u8| {
            RouteHint(vec![RouteHintHop {
                src_node_id: SecretKey::from_slice(&[node; 32])
                    .unwrap()
                    .public_key(SECP256K1),
                short_channel_id: u64::from(node),
                fees: RoutingFees {
                    base_msat: 1,
                    proportional_millionths: 1,
                },
                cltv_expiry_delta: 40,
                htlc_minimum_msat: None,
                htlc_maximum_msat: None,
            }])
        };
        let draft = InvoiceBuilder::new(Currency::Regtest)
            .amount_milli_satoshis(asked.amount.as_msat())
            .payment_hash(sha256::Hash::hash(&preimage))
            .payment_secret(PaymentSecret([3; 32]))
            .duration_since_epoch(Duration::from_secs(NOW))
            .expiry_time(asked.expiry)
            .min_final_cltv_expiry_delta(18)
            .private_route(hop(1))
            .private_route(hop(2))
            .private_route(hop(3));
        let raw = match asked.description {
            Description::Hashed(bytes) => draft
                .description_hash(sha256::Hash::hash(&bytes))
                .build_raw(),
            Description::Text(text) => draft.description(text).build_raw(),
            _ => panic!("an unknown description"),
        };
        let sign =
            |message: &_| Ok::<_, ()>(SECP256K1.sign_ecdsa_recoverable(message, &Self::key()));
        let invoice = Invoice::parse(&raw.unwrap().sign(sign).unwrap().to_string()).unwrap();
        made.insert(invoice.payment_hash(), Preimage::from_bytes(preimage));
        Box::pin(async { Ok(invoice) })
    }

    fn lookup_invoice(&self, _: PaymentHash) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async { Ok(InvoiceStatus::Open) })
    }
}

fn app(builder: PaywallBuilder, charge: Charge) -> Router {
    let layer = builder.build().unwrap().charge(charge).unwrap();
    Router::new().route("/{*path}", any(async || "sunny").layer(layer))
}

fn described() -> Charge {
    Charge::new(Amount::from_sat(10))
        .description("the weather of one place at noon")
        .mime_type("application/json")
}

/// The bytes of all headers in HTTP/1.1, and of those that carry challenges.
fn sizes(answer: &Response<Bytes>) -> (usize, usize) {
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let names = ["www-authenticate", "payment-required", "payment-response"];
    let challenges = answer.headers().iter();
    let challenges = challenges.filter(|(name, _)| names.contains(&name.as_str()));
    (
        answer.headers().iter().map(size).sum::<usize>()
            + "HTTP/1.1 402 Payment Required\r\n\r\n".len(),
        challenges.map(size).sum(),
    )
}

/// What the headers offer: the schemes and `x402`, with a star if it has optional members.
fn offered(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all("www-authenticate").iter();
    let scheme = |line: &HeaderValue| {
        let text = line.to_str().unwrap();
        let star = if text.contains("description=") {
            "*"
        } else {
            ""
        };
        format!("{}{star}", text.split(' ').next().unwrap())
    };
    let required = headers.get_all("payment-required").iter();
    let x402 = |line: &HeaderValue| {
        let text = x402::decode_header(line.as_bytes()).unwrap();
        let star = if text.contains("mimeType") { "*" } else { "" };
        format!("x402{star}")
    };
    lines.map(scheme).chain(required.map(x402)).collect()
}

/// The challenges in the body, as the headers that they stand for.
fn in_body(answer: &Response<Bytes>) -> HeaderMap {
    let body = problem(answer);
    let all = body["challenges"].as_array().unwrap().iter();
    let line = |one: &serde_json::Value| -> HeaderLine {
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        (
            text("header").parse().unwrap(),
            text("value").parse().unwrap(),
        )
    };
    all.map(line).collect()
}

/// The invoice text of any challenge in these headers.
fn invoice(headers: &HeaderMap) -> String {
    let l402 = l402::Challenge::in_headers(headers);
    let found = l402.first().map(|one| one.invoice().to_owned());
    found
        .or_else(|| {
            let mpp = mpp::Challenge::in_headers(headers);
            let request = base64::decode_url(&*mpp.first()?.request)?;
            let json: serde_json::Value = serde_json::from_slice(&request).ok()?;
            Some(json["methodDetails"]["invoice"].as_str()?.to_owned())
        })
        .or_else(|| {
            let line = headers.get("payment-required")?;
            let text = x402::decode_header(line.as_bytes())?;
            let json: serde_json::Value = serde_json::from_str(&text).ok()?;
            Some(json["accepts"][0]["extra"]["invoice"].as_str()?.to_owned())
        })
        .unwrap()
}

#[tokio::test]
async fn a_402_with_three_route_hints_and_a_long_target_passes_stock_nginx() {
    for target in [
        "/weather".to_owned(),
        "/archive/aaaaaaaaaa".to_owned(),
        format!("/weather?{}", "q".repeat(291)),
        format!("/{}", "%C3%A9".repeat(60)),
    ] {
        let (shop, node) = (Shop::new(), Hinted::default());
        let builder = shop.builder_of(node.clone()).dialects(ALL);
        let app = app(builder, described().bind_headers(["x-account"]));
        let call = Call::new("GET", &*target);
        let answer = ask(&app, call.request()).await;
        let (all, challenges) = sizes(&answer);
        assert!(challenges <= 3_584, "{target}: {challenges}");
        assert!(all + 300 <= NGINX, "{target}: {all}, and others come");
        assert!(invoice(answer.headers()).len() > 500);

        // The body has the rest: each dialect is paid by what stands there.
        for dialect in ALL {
            let answer = ask(&app, call.request()).await;
            let mut whole = answer.clone();
            *whole.headers_mut() = in_body(&answer);
            let preimage = node.preimage(&invoice(answer.headers()));
            let credential = call.credential(&shop, dialect, &whole, &preimage).unwrap();
            let served = ask(&app, call.paid(&credential)).await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect} {target}");
        }
    }
}

#[tokio::test]
async fn the_copy_goes_first_then_optional_members_and_then_dialects() {
    let sent = async |bytes: usize| {
        let shop = Shop::new();
        let builder = shop.builder_of_every_dialect();
        let app = app(builder.challenge_header_bytes(bytes), described());
        let call = Call::get("/weather");
        let answer = ask(&app, call.request()).await;
        let bought = shop.bought(&call, &answer).dialects();
        for dialect in bought {
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            let served = ask(&app, call.with(bought.of(dialect)).request()).await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect} in {bytes}");
        }
        let sent = sizes(&answer).1;
        assert!(sent <= bytes, "{sent} of {bytes}");
        (offered(answer.headers()), sent)
    };
    let mut budget = 100_000;
    for expected in [
        &["L402", "Payment*", "LSAT", "x402*"][..],
        &["L402", "Payment*", "x402*"],
        &["L402", "Payment", "x402"],
        &["L402", "Payment"],
        &["L402"],
    ] {
        let (offered, sent) = sent(budget.max(1_024)).await;
        assert_eq!(offered, expected, "{budget}");
        budget = sent - 1;
    }
}

#[tokio::test]
async fn what_the_request_names_stands_alone_if_not_all_fit() {
    for (name, value, expected) in [
        ("accept-payment", "lightning/charge", &["Payment*"][..]),
        ("accept-payment", "tempo/charge, */*;q=0.1", &["Payment*"]),
        ("accept-payment", "tempo/charge", &["L402", "Payment*"]),
        ("accept-authenticate", "L402", &["L402", "LSAT"]),
        ("accept-authenticate", "Bearer, lsat", &["L402", "LSAT"]),
        ("accept-authenticate", "Payment", &["Payment*"]),
        ("accept-authenticate", "Bearer", &["L402", "Payment*"]),
    ] {
        let shop = Shop::new();
        let builder = shop.builder_of_every_dialect();
        let large = app(builder, Charge::new(Amount::from_sat(10)));
        let small = app(
            shop.builder_of_every_dialect()
                .challenge_header_bytes(1_700),
            described(),
        );
        let call = Call::get("/weather").header(name, value);
        let answer = ask(&small, call.request()).await;
        let star: Vec<_> = offered(answer.headers())
            .iter()
            .map(|one| one.replace('*', ""))
            .collect();
        let plain: Vec<_> = expected.iter().map(|one| one.replace('*', "")).collect();
        assert_eq!(star, plain, "{name}: {value}");
        if expected.len() == 1 {
            assert_eq!(offered(answer.headers()), expected, "in full");
        }
        assert_eq!(in_body(&answer).len(), 3, "the body has all");
        let all = offered(ask(&large, call.request()).await.headers()).len();
        assert_eq!(all, 4, "all fit");
    }
}

#[tokio::test]
async fn a_client_of_lsat_gets_that_copy_and_others_the_newer_one() {
    for (accepts, expected) in [("LSAT", "LSAT"), ("L402, LSAT", "L402"), ("L402", "L402")] {
        let shop = Shop::new();
        let builder = shop.builder().challenge_header_bytes(1_024);
        let call = Call::get("/weather").header("accept-authenticate", accepts);
        let answer = ask(&app(builder, described()), call.request()).await;
        assert_eq!(offered(answer.headers()), [expected], "{accepts}");
    }
}

#[tokio::test]
async fn the_dialect_of_a_refused_credential_stays_longest() {
    for (dialect, rest) in [
        (DialectName::X402, "x402"),
        (DialectName::Mpp, "Payment"),
        (DialectName::L402, "L402"),
    ] {
        let shop = Shop::new();
        let app = app(
            shop.builder_of_every_dialect()
                .challenge_header_bytes(1_700),
            described(),
        );
        let call = Call::get("/weather");
        let whole = shop
            .builder_of_every_dialect()
            .challenge_header_bytes(99_999);
        let whole = self::app(whole, described());
        let bought = shop.bought(&call, &ask(&whole, call.request()).await);
        let paid = call.with(bought.of(dialect));
        assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::OK);
        let refused = ask(&app, paid.request()).await;
        let offered = offered(refused.headers());
        assert!(offered.contains(&rest.to_owned()), "{dialect}: {offered:?}");
        assert!(sizes(&refused).1 <= 1_700);
        assert!(shop.bought(&call, &refused).dialects().contains(&dialect));
    }
}

#[tokio::test]
async fn the_last_named_dialect_is_left_out_first() {
    use DialectName::{L402, Mpp, X402};
    for (order, budget, expected) in [
        ([L402, Mpp, X402], 1_600, &["L402", "Payment"][..]),
        ([X402, L402, Mpp], 2_000, &["L402", "x402"]),
        ([Mpp, X402, L402], 2_250, &["Payment", "x402"]),
    ] {
        let shop = Shop::new();
        let builder = shop.builder().dialects(order);
        let charge = Charge::new(Amount::from_sat(10));
        let app = app(builder.challenge_header_bytes(budget), charge);
        let answer = ask(&app, Call::get("/weather").request()).await;
        assert_eq!(offered(answer.headers()), expected, "{order:?}");
    }
}

#[tokio::test]
async fn one_dialect_always_stays_and_it_is_the_shortest_if_none_fits() {
    for (dialects, length, expected) in [
        (&ALL[..], 3_000, "Payment"),
        (&ALL[..], 5_000, "Payment"),
        (&[DialectName::L402, DialectName::X402], 2_500, "L402"),
        (&[DialectName::X402], 3_000, "x402"),
    ] {
        let shop = Shop::new();
        let builder = shop.builder().dialects(dialects.iter().copied());
        let app = app(builder, Charge::new(Amount::from_sat(10)));
        let call = Call::new("GET", format!("/weather?{}", "q".repeat(length)));
        let answer = ask(&app, call.request()).await;
        assert_eq!(offered(answer.headers()), [expected], "{length}");
        let bought = shop.bought(&call, &answer);
        let served = ask(&app, call.with(bought.of(bought.dialects()[0])).request()).await;
        assert_eq!(served.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn what_was_left_out_is_logged_once_with_the_sizes_and_the_setting_of_nginx() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let fits = app(shop.builder_of_every_dialect(), described());
    ask(&fits, Call::get("/a").request()).await;
    let logged = || -> Vec<String> {
        let lines = journal.lines();
        let own = lines.lines().filter(|line| line.contains("challenge"));
        own.map(str::to_owned).collect()
    };
    assert_eq!(logged().len(), 0);
    let builder = shop.builder_of_every_dialect();
    let app = app(builder.challenge_header_bytes(2_000), described());
    let answer = ask(&app, Call::get("/a").request()).await;
    let whole = ask(&fits, Call::get("/a").request()).await;
    ask(&app, Call::get("/a").request()).await;
    assert_eq!(logged().len(), 1, "once: {:?}", logged());
    let logged = logged().remove(0);
    for part in [
        format!("{} bytes of challenge headers", sizes(&whole).1),
        format!("{} bytes were sent", sizes(&answer).1),
        ".challenge_header_bytes(2000)".to_owned(),
        "proxy_buffer_size 16k;".to_owned(),
        "whole dialects".to_owned(),
    ] {
        assert!(logged.contains(&part), "{part}: {logged}");
    }
    assert!(logged.starts_with("WARN"));
}

#[test]
fn a_budget_that_holds_no_challenge_is_refused() {
    for (bytes, is_good) in [
        (0, false),
        (1_023, false),
        (1_024, true),
        (usize::MAX, true),
    ] {
        let built = Shop::new().builder().challenge_header_bytes(bytes).build();
        assert_eq!(built.is_ok(), is_good, "{bytes}");
    }
}
