//! Old answers of a receiver with a shared key.

use std::time::Duration;

use http::StatusCode;
use tower_x402::{Amount, DialectName};

use crate::{
    custody::site,
    customer::{Call, asks_for_money, payment_hash},
    shop::{Shop, ask},
};

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_to_pay_again_unless_the_wallet_was_asked_for_this_very_request() {
    let (shop, call) = (Shop::new(), Call::get("/a"));
    let (node, app) = site(&shop, Amount::from_sat(10));
    let answer = ask(&app, call.request()).await;
    let preimage = shop.node.preimage_of(payment_hash(&answer)).unwrap();
    let credential = call.credential(&shop, DialectName::L402, &answer, &preimage);
    let credential = credential.unwrap();
    shop.clock.advance(Duration::from_secs(400)); // the invoice ended, and is not paid
    let mut calls = node.calls();
    let mut refused = Vec::new();
    for _ in 0..8 {
        let answer = ask(&app, call.paid(&credential)).await;
        // A 402 makes an invoice, which is a call too.
        let was_asked = node.calls() > calls + usize::from(asks_for_money(&answer));
        assert_eq!(asks_for_money(&answer), was_asked, "{answer:?}");
        calls = node.calls();
        refused.push(answer.status());
    }
    for status in [
        StatusCode::PAYMENT_REQUIRED,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        assert!(refused.contains(&status), "{refused:?}");
    }
}
