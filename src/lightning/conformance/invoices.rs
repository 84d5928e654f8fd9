//! The checks of every receiver.

use std::{collections::HashSet, time::Duration};

use super::asking::{answer, invoice_status, make, together, unheard_of, what};
use crate::{
    lightning::{Description, InvoiceRequest, InvoiceStatus, NodeErrorKind, Receiver},
    payment::Amount,
};

pub(super) async fn invoices_have_what_was_requested<R: Receiver + ?Sized>(node: &R) {
    let hashed = |text: &str| Description::Hashed(text.as_bytes().to_vec());
    let text = |text: &str| Description::Text(text.to_owned());
    for (sat, description, seconds) in [
        (
            1,
            hashed(r#"{"method":"GET","url":"https://api.example.com/weather/oslo"}"#),
            300,
        ),
        (21, hashed(""), 60),
        (5, hashed(&"x".repeat(4_096)), 300),
        (1_234, text("a weather report"), 3_600),
        (
            3,
            text("Ein Wetterbericht f\u{fc}r \u{c5}lesund, \u{5929}\u{6c14}"),
            301,
        ),
        (100_000, text(&"x".repeat(128)), 86_400),
    ] {
        make(node, Amount::from_sat(sat), description, seconds).await;
    }
}

pub(super) async fn an_empty_or_long_text_is_exact_or_refused<R: Receiver + ?Sized>(node: &R) {
    for text in [String::new(), "x".repeat(639)] {
        let (amount, expiry) = (Amount::from_sat(2), Duration::from_secs(300));
        let request = InvoiceRequest::new(amount, Description::Text(text.clone()), expiry);
        match answer("create_invoice", node.create_invoice(request)).await {
            Err(error) if error.kind() == NodeErrorKind::Refused => {}
            _ => drop(make(node, amount, Description::Text(text), 300).await),
        }
    }
}

pub(super) async fn fractions_of_a_satoshi_are_exact_or_refused<R: Receiver + ?Sized>(node: &R) {
    let amount = Amount::from_msat(21_001);
    if node.profile().whole_sats_only {
        let asked = node.create_invoice(InvoiceRequest::new(
            amount,
            what(),
            Duration::from_secs(300),
        ));
        let made = answer("create_invoice", asked).await;
        assert!(
            made.is_err(),
            "a receiver of whole satoshis must refuse {amount} and not round it"
        );
    } else {
        make(node, amount, what(), 300).await;
    }
}

pub(super) async fn no_invoice_is_handed_out_twice<R: Receiver + ?Sized>(node: &R) {
    let first = make(node, Amount::from_sat(21), what(), 300).await;
    let second = make(node, Amount::from_sat(21), what(), 300).await;
    let many = together(
        (0..50)
            .map(|_| make(node, Amount::from_sat(21), what(), 300))
            .collect(),
    )
    .await;
    let (mut hashes, mut texts) = (HashSet::new(), HashSet::new());
    for invoice in [first, second].iter().chain(&many) {
        assert!(
            hashes.insert(invoice.payment_hash()) && texts.insert(invoice.as_str().to_owned()),
            "each invoice must have a payment hash that was never used before, also if many are requested at the same time"
        );
    }
}

pub(super) async fn lookups_distinguish_open_from_unknown<R: Receiver + ?Sized>(node: &R) {
    let invoice = make(node, Amount::from_sat(21), what(), 300).await;
    let status = invoice_status(node, invoice.payment_hash()).await;
    assert_eq!(
        status,
        InvoiceStatus::Open,
        "an invoice that was just made must be open"
    );
    let status = invoice_status(node, unheard_of()).await;
    assert_eq!(
        status,
        InvoiceStatus::Unknown,
        "an invoice that the node never made must be unknown to it"
    );
}
