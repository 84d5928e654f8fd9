//! A node that makes invoices for whole satoshis only: prices are rounded up, and the rounded price
//! is bound.

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{
    Amount, Charge, DialectName, Invoice, Paid, PaymentHash, Paywall, Secrets,
    lightning::{
        BoxFuture, InvoiceRequest, InvoiceStatus, LocalNode, NodeError, NodeErrorKind, Receiver,
        ReceiverProfile,
    },
    price_fn,
    server::{BadRequest, Price, PriceRequest},
};

use crate::{
    customer::{ALL, Call, invoice},
    shop::{Lasting, ORIGIN, Shop, ask, get},
};

/// A node that makes invoices for whole satoshis only, and refuses all others.
#[derive(Clone, Debug)]
struct WholeSats(LocalNode);

impl Receiver for WholeSats {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = Receiver::profile(&self.0);
        profile.whole_sats_only = true;
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        if request.amount.as_whole_sat().is_none() {
            return Box::pin(async {
                Err(NodeError::new(
                    NodeErrorKind::Refused,
                    "a node",
                    "it makes whole satoshis only",
                ))
            });
        }
        self.0.create_invoice(request)
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        self.0.lookup_invoice(payment_hash)
    }
}

/// What a request costs, in millisatoshi: the number in its query.
fn in_query() -> Price {
    price_fn(|q: PriceRequest| async move {
        Ok(Some(Amount::from_msat(
            q.query("msat")?
                .unwrap_or("1")
                .parse()
                .map_err(|_| BadRequest::new("msat: a number"))?,
        )))
    })
}

fn paid_amount() -> Router {
    Router::new().route(
        "/a",
        on_get(async |Paid(receipt): Paid| receipt.amount().unwrap().as_msat().to_string()),
    )
}

#[tokio::test]
async fn a_node_of_whole_satoshis_is_asked_for_the_next_whole_one_and_that_is_what_is_bound() {
    let shop = Shop::new();
    let priced = |charge: Charge| {
        let builder = Paywall::builder(WholeSats(shop.node.clone()))
            .origin(ORIGIN)
            .master_secret(Secrets::test_secret(7))
            .dialects(ALL);
        let paywall = builder
            .replay_store(shop.store.clone())
            .clock(shop.clock.clone())
            .build()
            .unwrap();
        paid_amount().layer(paywall.charge(charge).unwrap())
    };
    let app = priced(Charge::new(in_query()));
    for (asked, rounded) in [
        (1, 1_000),
        (999, 1_000),
        (1_000, 1_000),
        (1_001, 2_000),
        (2_001_500, 2_002_000),
    ] {
        for dialect in ALL {
            let call = Call::get(&format!("/a?msat={asked}"));
            let answer = ask(&app, call.request()).await;
            assert_eq!(
                invoice(&answer).amount(),
                Some(Amount::from_msat(rounded)),
                "{asked}"
            );
            let credential = call.buy(&shop, &app, dialect).await;
            let served = ask(&app, call.paid(&credential)).await;
            assert_eq!(
                (served.status(), served.body().as_ref()),
                (StatusCode::OK, rounded.to_string().as_bytes()),
                "{dialect}"
            );
        }
    }
    let uses = priced(Charge::new(in_query()).uses(std::num::NonZeroU32::new(2).unwrap()));
    assert_eq!(
        invoice(&ask(&uses, get("/a?msat=1500")).await).amount(),
        Some(Amount::from_sat(2))
    );
    let made = shop.node.invoices_created();
    assert_eq!(
        ask(&app, get("/a?msat=0")).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        ask(&app, get("/a?msat=18446744073709551615"))
            .await
            .status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(shop.node.invoices_created(), made);
}

#[tokio::test]
async fn a_foreign_proof_at_a_node_of_whole_satoshis_must_be_for_the_rounded_price() {
    let shop = Shop::new();
    let builder = |number| {
        let secret = Secrets::test_secret(number);
        let builder = Paywall::builder(WholeSats(shop.node.clone()))
            .origin(ORIGIN)
            .master_secret(secret)
            .dialects(ALL);
        builder
            .replay_store(Lasting(shop.store.clone()))
            .clock(shop.clock.clone())
    };
    let sells =
        |paywall: Paywall, price: Price| paid_amount().layer(paywall.charge(price).unwrap());
    let takes = sells(
        builder(8).accept_foreign_proofs().build().unwrap(),
        in_query(),
    );
    let call = Call::get("/a?msat=1500");
    for (price, status) in [
        (1, StatusCode::PAYMENT_REQUIRED),
        (2, StatusCode::OK),
        (3, StatusCode::PAYMENT_REQUIRED),
    ] {
        let theirs = sells(builder(7).build().unwrap(), Amount::from_sat(price).into());
        let proof = call.buy(&shop, &theirs, DialectName::X402).await;
        assert_eq!(
            ask(&takes, call.paid(&proof)).await.status(),
            status,
            "{price} sat"
        );
    }
}
