use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use base64_simd::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tower_x402::{
    Amount, Invoice, InvoiceDescription, PaymentHash,
    lightning::{Description, InvoiceRequest, InvoiceStatus},
};

use super::{
    Wallet,
    answer::{Failure, read},
    number::Number,
};

/// LND's default, in seconds.
const EXPIRY: u64 = 86_400;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    memo: String,
    value: Number,
    value_msat: Number,
    expiry: Number,
    description_hash: String,
    unhashed_description: Option<String>,
}

pub(super) async fn make(State(wallet): State<Wallet>, body: Bytes) -> Result<Json<Value>, Failure> {
    let wanted: Wanted = read(&body)?;
    if !wanted.description_hash.is_empty() {
        return Err(Failure::unimplemented(
            "this wallet takes no description_hash: send what is to be hashed as unhashed_description, in hex",
        ));
    }
    let description = match &wanted.unhashed_description {
        None => Description::Text(wanted.memo.clone()),
        Some(hex) => {
            let bytes = const_hex::decode(hex);
            Description::Hashed(bytes.map_err(|_| Failure::unknown("expected an unhashed_description in hex"))?)
        }
    };
    let amount = amount(wanted.value, wanted.value_msat)?;
    let expiry = Duration::from_secs(if wanted.expiry == Number(0) { EXPIRY } else { wanted.expiry.0 });
    let request = InvoiceRequest::new(amount, description, expiry);
    let invoice = wallet.receiver.create_invoice(request).await?;
    let index = wallet.made().remember(invoice.clone(), wanted.memo);
    Ok(Json(json!({
        "r_hash": STANDARD.encode_to_string(invoice.payment_hash().as_bytes()),
        "payment_request": invoice.as_str(),
        "add_index": index.to_string(),
    })))
}

pub(super) async fn look_up(State(wallet): State<Wallet>, Path(hash): Path<String>) -> Result<Json<Value>, Failure> {
    let hash =
        PaymentHash::from_hex(&hash).ok_or_else(|| Failure::unknown("expected a payment hash of 64 hexadecimal digits"))?;
    let (invoice, memo) = wallet.made().invoices.get(&hash).cloned().ok_or_else(Failure::no_such_invoice)?;
    let state = match wallet.receiver.lookup_invoice(hash).await? {
        InvoiceStatus::Open => "OPEN",
        InvoiceStatus::Settled => "SETTLED",
        InvoiceStatus::Expired => "CANCELED",
        _ => return Err(Failure::no_such_invoice()),
    };
    let msat = invoice.amount().unwrap_or_default().as_msat();
    let paid = if state == "SETTLED" { msat } else { 0 };
    Ok(Json(json!({
        "memo": memo,
        "r_hash": STANDARD.encode_to_string(hash.as_bytes()),
        "value": (msat / 1000).to_string(),
        "value_msat": msat.to_string(),
        "settled": state == "SETTLED",
        "state": state,
        "creation_date": invoice.created_at().as_unix_seconds().to_string(),
        "expiry": invoice.expiry().as_secs().to_string(),
        "payment_request": invoice.as_str(),
        "amt_paid_sat": (paid / 1000).to_string(),
        "amt_paid_msat": paid.to_string(),
    })))
}

pub(super) async fn decode(Path(text): Path<String>) -> Result<Json<Value>, Failure> {
    let invoice = Invoice::parse(&text).map_err(|error| Failure::unknown(error.to_string()))?;
    let msat = invoice.amount().unwrap_or_default().as_msat();
    let (description, description_hash) = match invoice.description() {
        InvoiceDescription::Hash(hash) => (String::new(), const_hex::encode(hash)),
        InvoiceDescription::Text(text) => (text.clone(), String::new()),
        _ => Default::default(),
    };
    Ok(Json(json!({
        "destination": const_hex::encode(invoice.payee()),
        "payment_hash": invoice.payment_hash().to_string(),
        "num_satoshis": (msat / 1000).to_string(),
        "num_msat": msat.to_string(),
        "timestamp": invoice.created_at().as_unix_seconds().to_string(),
        "expiry": invoice.expiry().as_secs().to_string(),
        "description": description,
        "description_hash": description_hash,
        "fallback_addr": "",
        "route_hints": [],
    })))
}

/// One amount out of two fields, as LND takes it.
pub(super) fn amount(sat: Number, msat: Number) -> Result<Amount, Failure> {
    match (sat.0, msat.0) {
        (0, msat) => Ok(Amount::from_msat(msat)),
        (sat, 0) => Amount::try_from_sat(sat).ok_or_else(|| Failure::unknown("expected an amount below 2^64 msat")),
        _ => Err(Failure::unknown("sat and msat arguments are mutually exclusive")),
    }
}
