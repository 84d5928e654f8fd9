//! Electrum as a wallet that shares no code with LND or LDK. Only for tests.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use tower_x402::{
    Amount, Invoice, Network, PayerId, PaymentHash, Preimage,
    lightning::{
        BoxFuture, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError,
        NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus, Receiver, ReceiverProfile,
    },
};

use crate::site::{Client, send};

/// Electrum's JSON-RPC.
#[derive(Clone)]
pub(crate) struct Electrum {
    client: Client,
    url: String,
    headers: HeaderMap,
}

impl std::fmt::Debug for Electrum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Electrum(..)")
    }
}

impl Electrum {
    /// Reads a URL such as `http://user:password@host:port`.
    pub(crate) fn of(url: &str) -> Self {
        let (user, host) = url
            .strip_prefix("http://")
            .unwrap()
            .split_once('@')
            .unwrap();
        let basic = base64_simd::STANDARD.encode_to_string(user.as_bytes());
        let mut headers = HeaderMap::new();
        let basic = format!("Basic {basic}").parse().unwrap();
        headers.insert(header::AUTHORIZATION, basic);
        let json = header::HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        Self {
            client: Client::new(),
            url: format!("http://{host}/"),
            headers,
        }
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let body = json!({ "id": 1, "method": method, "params": params }).to_string();
        let headers = self.headers.clone();
        let answer = send(
            &self.client,
            Method::POST,
            &self.url,
            headers,
            body.as_bytes(),
        )
        .await;
        let told: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match (answer.status(), &told["result"]) {
            (StatusCode::OK, result) if !result.is_null() => Ok(result.clone()),
            _ => Err(NodeError::new(
                NodeErrorKind::Refused,
                "Electrum",
                told.to_string(),
            )),
        }
    }
}

/// It knows only texts, and whole satoshis.
impl Receiver for Electrum {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(Network::Regtest, KeyCustody::Exclusive);
        profile.whole_sats_only = true;
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move {
            let (Description::Text(memo), Some(sat)) =
                (request.description, request.amount.as_whole_sat())
            else {
                let why = "expected a text and whole satoshis";
                return Err(NodeError::new(NodeErrorKind::Refused, "Electrum", why));
            };
            let amount = format!("{}.{:08}", sat / 100_000_000, sat % 100_000_000);
            let asked = json!({ "amount": amount, "memo": memo, "expiration": request.expiry.as_secs(), "force": true });
            let made = self.call("add_request", asked).await?;
            let text = made["lightning_invoice"].as_str().unwrap_or_default();
            Invoice::parse(text)
                .map_err(|error| NodeError::new(NodeErrorKind::BadAnswer, "Electrum", error))
        })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async move {
            let all = self.call("list_requests", json!([])).await?;
            let mut all = all.as_array().into_iter().flatten();
            let found = all.find(|request| request["rhash"] == payment_hash.to_string());
            Ok(match found.map(|request| &request["status"]) {
                None => InvoiceStatus::Unknown,
                Some(status) if *status == 3 => InvoiceStatus::Settled,
                Some(status) if *status == 1 => InvoiceStatus::Expired,
                Some(_) => InvoiceStatus::Open,
            })
        })
    }
}

impl Payer for Electrum {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(PayerId::of("Electrum", b""), Network::Regtest, false)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        _: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            let mut told = Value::Null;
            // After a kill of the payee it takes a while until their channel is open again.
            for _ in 0..120 {
                told = self.call("lnpay", json!([invoice.as_str()])).await?;
                if told["success"] != Value::Bool(false) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let preimage = told["preimage"].as_str().and_then(Preimage::from_hex);
            match preimage.filter(|preimage| invoice.payment_hash().is_of(preimage)) {
                Some(preimage) => Ok(PaymentStatus::Paid {
                    preimage,
                    fee: Amount::ZERO,
                }),
                None => {
                    let error =
                        NodeError::new(NodeErrorKind::BadAnswer, "Electrum", told.to_string());
                    Err(error.maybe_paid())
                }
            }
        })
    }

    fn lookup_payment(&self, _: PaymentHash) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(async { Ok(PaymentStatus::Unknown) })
    }
}
