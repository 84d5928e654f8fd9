use std::time::Duration;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
};
use base64_simd::STANDARD;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_x402::{
    Amount, Invoice, Preimage,
    clock::{Clock as _, SystemClock},
    lightning::{PayLimits, PaymentStatus},
};

use super::{
    Wallet,
    answer::{Failure, read},
    invoices::amount,
    number::Number,
};

/// LND's default, in seconds.
const TIMEOUT: u64 = 60;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    payment_request: String,
    amt: Number,
    amt_msat: Number,
    timeout_seconds: Number,
    fee_limit_sat: Number,
    fee_limit_msat: Number,
    fee_limit: FeeLimit,
    no_inflight_updates: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FeeLimit {
    fixed: Number,
    fixed_msat: Number,
}

/// What is to be paid, once nothing speaks against trying.
#[derive(Debug)]
struct Order {
    invoice: Invoice,
    limits: PayLimits,
}

/// `/v2/router/send`: a line of JSON for each state of the payment.
pub(super) async fn send(State(wallet): State<Wallet>, head: HeaderMap, body: Bytes) -> Response {
    match read(&body) {
        Ok(wanted) => {
            try_send(wallet, in_base64(&head), wanted).await.unwrap_or_else(|failure| failure.in_stream().into_response())
        }
        Err(failure) => failure.into_response(),
    }
}

async fn try_send(wallet: Wallet, in_base64: bool, wanted: Wanted) -> Result<Response, Failure> {
    let max_fee = amount(wanted.fee_limit_sat, wanted.fee_limit_msat)?;
    let order = wallet.order(&wanted, max_fee).await?;
    let in_flight = (!wanted.no_inflight_updates).then(|| frame(&order.invoice, &PaymentStatus::InFlight, false));
    let end = stream::once(async move {
        match wallet.payer.pay(&order.invoice, order.limits).await {
            Ok(status) => frame(&order.invoice, &status, in_base64),
            Err(error) => Failure::from(error).line(),
        }
    });
    let lines = stream::iter(in_flight).chain(end).map(|line| Ok::<_, std::convert::Infallible>(format!("{line}\n")));
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
}

/// `/v1/channels/transactions`: one answer, once the payment is over. A payment that failed is told in it.
pub(super) async fn send_and_wait(State(wallet): State<Wallet>, body: Bytes) -> Result<Json<Value>, Failure> {
    let wanted: Wanted = read(&body)?;
    let max_fee = amount(wanted.fee_limit.fixed, wanted.fee_limit.fixed_msat)?;
    let invoice = invoice(&wallet, &wanted)?;
    let paid = match wallet.order(&wanted, max_fee).await {
        Ok(order) => match wallet.payer.pay(&order.invoice, order.limits).await? {
            PaymentStatus::Paid { preimage, fee } => Ok((preimage, fee)),
            PaymentStatus::InFlight => Err("payment attempt not completed before timeout".to_owned()),
            _ => Err("no_route".to_owned()),
        },
        Err(failure) => Err(failure.message().to_owned()),
    };
    let (preimage, route, error) = match paid {
        Ok((preimage, fee)) => (STANDARD.encode_to_string(preimage.expose()), route(&invoice, fee), String::new()),
        Err(error) => (String::new(), Value::Null, error),
    };
    Ok(Json(json!({
        "payment_error": error,
        "payment_preimage": preimage,
        "payment_route": route,
        "payment_hash": STANDARD.encode_to_string(invoice.payment_hash().as_bytes()),
    })))
}

impl Wallet {
    async fn order(&self, wanted: &Wanted, max_fee: Amount) -> Result<Order, Failure> {
        let invoice = invoice(self, wanted)?;
        if SystemClock::new().now() >= invoice.expires_at() {
            return Err(Failure::unknown(format!("invoice expired. Valid until {}", invoice.expires_at())));
        }
        match self.payer.lookup_payment(invoice.payment_hash()).await? {
            PaymentStatus::Paid { .. } => return Err(Failure::already("invoice is already paid")),
            PaymentStatus::InFlight => return Err(Failure::already("payment is in transition")),
            _ => {}
        }
        let seconds = if wanted.timeout_seconds == Number(0) { TIMEOUT } else { wanted.timeout_seconds.0 };
        Ok(Order { invoice, limits: PayLimits::new(max_fee, Duration::from_secs(seconds.min(3_600))) })
    }
}

fn invoice(wallet: &Wallet, wanted: &Wanted) -> Result<Invoice, Failure> {
    let invoice = Invoice::parse(&wanted.payment_request).map_err(|error| Failure::unknown(error.to_string()))?;
    let network = wallet.payer.profile().network;
    if invoice.network() != network {
        return Err(Failure::unknown(format!("invoice not for current active network '{network}'")));
    }
    if invoice.amount().is_none() {
        return Err(Failure::unimplemented("this wallet pays invoices that name their amount"));
    }
    if wanted.amt != Number(0) || wanted.amt_msat != Number(0) {
        return Err(Failure::unknown("amount must not be specified when paying a non-zero amount invoice"));
    }
    Ok(invoice)
}

/// One line. Until a payment has succeeded, LND shows a preimage of zeros.
fn frame(invoice: &Invoice, status: &PaymentStatus, in_base64: bool) -> Value {
    let zeros = || const_hex::encode([0; 32]);
    let (name, preimage, fee, reason) = match status {
        PaymentStatus::Paid { preimage, fee } => ("SUCCEEDED", shown(preimage, in_base64), *fee, "FAILURE_REASON_NONE"),
        PaymentStatus::InFlight => ("IN_FLIGHT", zeros(), Amount::ZERO, "FAILURE_REASON_NONE"),
        _ => ("FAILED", zeros(), Amount::ZERO, "FAILURE_REASON_NO_ROUTE"),
    };
    let msat = invoice.amount().unwrap_or_default().as_msat();
    json!({ "result": {
        "payment_hash": invoice.payment_hash().to_string(),
        "payment_preimage": preimage,
        "payment_request": invoice.as_str(),
        "status": name,
        "failure_reason": reason,
        "value": (msat / 1000).to_string(),
        "value_sat": (msat / 1000).to_string(),
        "value_msat": msat.to_string(),
        "fee": (fee.as_msat() / 1000).to_string(),
        "fee_sat": (fee.as_msat() / 1000).to_string(),
        "fee_msat": fee.as_msat().to_string(),
        "htlcs": [],
    }})
}

fn shown(preimage: &Preimage, in_base64: bool) -> String {
    if in_base64 { STANDARD.encode_to_string(preimage.expose()) } else { preimage.expose_hex() }
}

/// LND writes this one field in hex. The clients that call themselves `l402-requests` read it as base64, and would take
/// the hex for the base64 of something else.
fn in_base64(head: &HeaderMap) -> bool {
    head.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"l402-requests/"))
}

fn route(invoice: &Invoice, fee: Amount) -> Value {
    let fee = fee.as_msat();
    let msat = invoice.amount().unwrap_or_default().as_msat().saturating_add(fee);
    json!({
        "total_fees": (fee / 1000).to_string(),
        "total_fees_msat": fee.to_string(),
        "total_amt": (msat / 1000).to_string(),
        "total_amt_msat": msat.to_string(),
        "hops": [],
    })
}
