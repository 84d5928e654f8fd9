//! Nodes that change an invoice's description or expiry: accepted only if nothing is bound to them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::any};
use bytes::Bytes;
use http::{Response, StatusCode};
use tower_x402::{
    Amount, Charge, DialectName, Invoice, InvoiceDescription, PaymentHash, Secrets,
    lightning::{
        BoxFuture, Description, InvoiceRequest, InvoiceStatus, Lie, LocalNode, NodeError,
        NodeErrorKind, Receiver, ReceiverProfile,
    },
    server::PaywallBuilder,
};

use crate::{
    customer::{ALL, Call, asks_for_money, invoice, payment_hash},
    journal::Journal,
    shop::{Shop, ask, problem},
};

const BOTH: [DialectName; 2] = [DialectName::L402, DialectName::Mpp];

/// A node that changes what it is asked for.
#[derive(Clone, Debug)]
struct Willful {
    node: LocalNode,
    changes: fn(&mut InvoiceRequest),
    asked: Arc<Mutex<Vec<InvoiceRequest>>>,
}

impl Willful {
    fn new(shop: &Shop, changes: fn(&mut InvoiceRequest)) -> Self {
        Self {
            node: shop.node.clone(),
            changes,
            asked: Arc::default(),
        }
    }
}

impl Receiver for Willful {
    fn profile(&self) -> ReceiverProfile {
        Receiver::profile(&self.node)
    }

    fn create_invoice(
        &self,
        mut request: InvoiceRequest,
    ) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        self.asked.lock().unwrap().push(request.clone());
        (self.changes)(&mut request);
        self.node.create_invoice(request)
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        self.node.lookup_invoice(payment_hash)
    }
}

fn replaces_an_empty_memo(request: &mut InvoiceRequest) {
    if request.description == Description::Text(String::new()) {
        request.description = Description::Text("paid to the wallet of A.".into());
    }
}

fn builder(shop: &Shop, node: &Willful, dialects: &[DialectName]) -> PaywallBuilder {
    tower_x402::Paywall::builder(node.clone())
        .origin(crate::shop::ORIGIN)
        .master_secret(Secrets::test_secret(7))
        .replay_store(shop.store.clone())
        .clock(shop.clock.clone())
        .dialects(dialects.iter().copied())
}

fn app(builder: PaywallBuilder, charge: Charge) -> Router {
    Router::new().route(
        "/a",
        any(async || "served").layer(builder.build().unwrap().charge(charge).unwrap()),
    )
}

fn ten() -> Charge {
    Charge::new(Amount::from_sat(10))
}

#[track_caller]
fn is_not_offered(answer: &Response<Bytes>) {
    assert_eq!(
        answer.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "{answer:?}"
    );
    assert!(
        !asks_for_money(answer) && problem(answer)["type"] == "about:blank",
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_node_that_replaces_an_empty_memo_sells() {
    for (dialects, charge) in [
        (&BOTH[..], ten()),
        (&BOTH[..1], ten()),
        (&BOTH[..], ten().description("")),
        (&ALL[..], ten()),
        (&ALL[..], ten().stream_body()),
    ] {
        let shop = Shop::new();
        let node = Willful::new(&shop, replaces_an_empty_memo);
        let app = app(builder(&shop, &node, dialects), charge);
        let call = Call::get("/a");
        for dialect in dialects
            .iter()
            .filter(|dialect| **dialect != DialectName::X402)
        {
            let credential = call.buy(&shop, &app, *dialect).await;
            assert_eq!(
                ask(&app, call.paid(&credential)).await.status(),
                StatusCode::OK,
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn the_memo_is_the_description_or_who_is_paid_and_never_empty() {
    for (charge, origin, memo) in [
        (ten(), "https://api.example.com", "api.example.com"),
        (
            ten().description(""),
            "http://localhost:8080",
            "localhost:8080",
        ),
        (
            ten().description(" \u{a0}"),
            "https://api.example.com",
            "api.example.com",
        ),
        (
            ten().description("one weather report"),
            "https://api.example.com",
            "one weather report",
        ),
    ] {
        let shop = Shop::new();
        let node = Willful::new(&shop, |_| ());
        let builder = tower_x402::Paywall::builder(node.clone())
            .origin(origin)
            .master_secret(Secrets::test_secret(7));
        let builder = builder
            .replay_store(shop.store.clone())
            .clock(shop.clock.clone())
            .dialects(BOTH);
        let answer = ask(
            &app(builder, charge),
            Call::get("/a?token=of-the-application").request(),
        )
        .await;
        assert_eq!(
            *invoice(&answer).description(),
            InvoiceDescription::Text(memo.into())
        );
        assert_eq!(
            node.asked.lock().unwrap()[0].description,
            Description::Text(memo.into())
        );
    }
}

#[tokio::test]
async fn if_nothing_binds_them_the_memo_may_be_another_and_the_expiry_shorter() {
    let changes: [fn(&mut InvoiceRequest); 4] = [
        |request| request.expiry = Duration::from_secs(120),
        |request| request.expiry = Duration::from_secs(60),
        |request| request.description = Description::Text(String::new()),
        |request| request.description = Description::Hashed(b"of the wallet's own".to_vec()),
    ];
    for change in changes {
        for dialect in BOTH {
            let shop = Shop::new();
            let app = app(builder(&shop, &Willful::new(&shop, change), &BOTH), ten());
            let call = Call::get("/a");
            let answer = ask(&app, call.request()).await;
            let life = invoice(&answer).expiry();
            let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
            let credential = call.credential(&shop, dialect, &answer, &preimage).unwrap();
            shop.clock.advance(life - Duration::from_secs(1));
            assert_eq!(
                ask(&app, call.paid(&credential)).await.status(),
                StatusCode::OK,
                "{dialect}"
            );

            // It ends with the invoice that was made: in MPP then, and in L402 a day after that.
            let answer = ask(&app, call.request()).await;
            let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
            let credential = call.credential(&shop, dialect, &answer, &preimage).unwrap();
            let later = if dialect == DialectName::L402 {
                Duration::from_secs(86_400)
            } else {
                Duration::ZERO
            };
            shop.clock.advance(life + later);
            let refused = ask(&app, call.paid(&credential)).await;
            assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
            assert_eq!(
                problem(&refused)["type"],
                "https://paymentauth.org/problems/payment-expired",
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn what_x402_binds_must_be_exact_and_the_log_names_the_settings() {
    for (change, fix) in [
        (
            (|request| request.expiry = Duration::from_secs(120)) as fn(&mut InvoiceRequest),
            &[".invoice_expiry(..)", ".dialects([..])"][..],
        ),
        (
            |request| request.expiry = Duration::from_secs(301),
            &[".invoice_expiry(..)"],
        ),
        (
            |request| request.description = Description::Text("a memo".into()),
            &[".dialects([..])"],
        ),
        (
            |request| request.description = Description::Hashed(b"another".to_vec()),
            &[".dialects([..])"],
        ),
    ] {
        let (journal, shop) = (Journal::begin(), Shop::new());
        let app = app(builder(&shop, &Willful::new(&shop, change), &ALL), ten());
        is_not_offered(&ask(&app, Call::get("/a").request()).await);
        let lines = journal.lines();
        assert!(fix.iter().all(|fix| lines.contains(fix)), "{lines}");
    }
}

#[tokio::test]
async fn an_invoice_that_expires_before_it_can_be_paid_is_not_offered() {
    for (asked, made, is_offered) in [
        (300, 59, false),
        (300, 60, true),
        (300, 300, true),
        (300, 301, false),
        (30, 30, true),
        (30, 29, false),
    ] {
        let shop = Shop::new();
        let change: fn(&mut InvoiceRequest) = match made {
            29 => |request| request.expiry = Duration::from_secs(29),
            30 => |request| request.expiry = Duration::from_secs(30),
            59 => |request| request.expiry = Duration::from_secs(59),
            60 => |request| request.expiry = Duration::from_secs(60),
            301 => |request| request.expiry = Duration::from_secs(301),
            _ => |_| (),
        };
        let builder = builder(&shop, &Willful::new(&shop, change), &BOTH)
            .invoice_expiry(Duration::from_secs(asked));
        let answer = ask(&app(builder, ten()), Call::get("/a").request()).await;
        if is_offered {
            assert_eq!(
                invoice(&answer).expiry().as_secs(),
                made,
                "asked for {asked} s"
            );
        } else {
            is_not_offered(&answer);
        }
    }
}

#[tokio::test]
async fn the_log_names_the_fix_for_each_invoice_that_is_not_offered() {
    for (lie, fix) in [
        (Lie::Amount, "exactly what it is asked for"),
        (Lie::Expired, "the node's clock"),
        (Lie::Expiry, ".invoice_expiry(..)"),
        (Lie::Network, "the receiver's profile"),
        (Lie::Payee, "the receiver's profile"),
    ] {
        for dialects in [&ALL[..], &BOTH] {
            let (journal, shop) = (Journal::begin(), Shop::new());
            let app = app(shop.builder().dialects(dialects.iter().copied()), ten());
            shop.node.lie(lie);
            is_not_offered(&ask(&app, Call::get("/a").request()).await);
            let lines = journal.lines();
            assert!(
                lines.contains("the node's invoice is not what was asked for (10 sat for 300 s, but it made one for ")
                    && lines.contains(fix),
                "{lie:?}: {lines}"
            );
        }
    }
}

/// A node that makes no invoice with a description hash, or none at all.
#[derive(Debug)]
struct Unable {
    node: LocalNode,
    takes_memos: bool,
}

impl Receiver for Unable {
    fn profile(&self) -> ReceiverProfile {
        Receiver::profile(&self.node)
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        if self.takes_memos && matches!(request.description, Description::Text(_)) {
            return self.node.create_invoice(request);
        }
        Box::pin(async {
            Err(NodeError::new(
                NodeErrorKind::Refused,
                "a node",
                "bad request",
            ))
        })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        self.node.lookup_invoice(payment_hash)
    }
}

#[tokio::test]
async fn if_a_node_refuses_an_invoice_the_log_names_the_settings_it_may_dislike() {
    let expiry = "set .invoice_expiry(..) to what it allows";
    for (takes_memos, dialects, is_sold, fixes) in [
        (true, &ALL[..], false, &[expiry, ".dialects([..])"][..]),
        (false, &ALL[..], false, &[expiry, ".dialects([..])"]),
        (false, &BOTH[..], false, &[expiry]),
        (true, &BOTH[..], true, &[]),
    ] {
        let (journal, shop) = (Journal::begin(), Shop::new());
        let node = Unable {
            node: shop.node.clone(),
            takes_memos,
        };
        let builder = tower_x402::Paywall::builder(node)
            .origin(crate::shop::ORIGIN)
            .master_secret(Secrets::test_secret(7))
            .replay_store(shop.store.clone())
            .clock(shop.clock.clone())
            .dialects(dialects.iter().copied());
        let answer = ask(&app(builder, ten()), Call::get("/a").request()).await;
        assert_eq!(asks_for_money(&answer), is_sold);
        let lines = journal.lines();
        assert!(fixes.iter().all(|fix| lines.contains(fix)), "{lines}");
        assert_eq!(
            lines.contains(".dialects([..])"),
            fixes.contains(&".dialects([..])")
        );
    }
}
