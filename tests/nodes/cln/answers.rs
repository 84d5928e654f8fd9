//! What Core Lightning 26.06 answers to each method.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tower_x402::{
    Amount, Invoice, PaymentHash,
    clock::{Clock as _, SystemClock},
    lightning::{
        Description, InvoiceRequest, InvoiceStatus, PayLimits, Payer as _, PaymentStatus,
        Receiver as _,
    },
};

use super::{
    fault::{Fault, shown, told},
    lightningd::Inner,
};

/// The fee of each payment, in millisatoshi.
const FEE: u64 = 7;

impl Inner {
    pub(super) async fn answer(
        &self,
        method: &str,
        params: &Value,
        fault: Option<Fault>,
    ) -> Result<Value, i64> {
        match method {
            "getinfo" => {
                let profile = tower_x402::lightning::Receiver::profile(&self.node);
                let state = self.state.lock().unwrap();
                let network = state.network.unwrap_or("regtest");
                let version = state.version.unwrap_or("v26.06.6");
                let mut info = json!({ "id": hex(&profile.public_key.unwrap()), "network": network, "version": version });
                if state.is_syncing {
                    info["warning_lightningd_sync"] =
                        "Still loading latest blocks from bitcoind.".into();
                }
                Ok(info)
            }
            "invoice" => self.invoice(params, fault).await,
            "listinvoices" => {
                let hash = of_payment(params)?;
                let listed = |status: &str| json!({ "invoices": [{ "payment_hash": shown(hash, fault), "status": status, "label": "x" }] });
                Ok(
                    match self.node.lookup_invoice(hash).await.map_err(|_| -1)? {
                        InvoiceStatus::Open => listed("unpaid"),
                        InvoiceStatus::Settled => listed("paid"),
                        InvoiceStatus::Expired => listed("expired"),
                        _ => json!({ "invoices": [] }),
                    },
                )
            }
            "waitanyinvoice" => {
                only(params, &["lastpay_index", "timeout"])?;
                let last = params["lastpay_index"].as_u64().ok_or(-32602)?;
                let wait = Duration::from_secs(params["timeout"].as_u64().ok_or(-32602)?);
                let last = usize::try_from(last).unwrap();
                let mut settled = self.settled.subscribe();
                let later = settled.wait_for(|settled| settled.len() > last);
                let hash = timeout(wait, later).await.map_err(|_| 904)?.unwrap()[last];
                Ok(
                    json!({ "payment_hash": shown(hash, fault), "pay_index": last + 1, "status": "paid" }),
                )
            }
            "xpay" => self.xpay(params, fault).await,
            "listpays" => self.listpays(of_payment(params)?, fault).await,
            _ => Err(-32601),
        }
    }

    async fn invoice(&self, params: &Value, fault: Option<Fault>) -> Result<Value, i64> {
        only(
            params,
            &[
                "amount_msat",
                "label",
                "description",
                "expiry",
                "deschashonly",
                "exposeprivatechannels",
            ],
        )?;
        let (text, label) = (&params["description"], &params["label"]);
        let text = text.as_str().ok_or(-32602)?.to_owned();
        assert!(
            label.as_str().is_some_and(|label| label.len() > 20),
            "{label}"
        );
        let description = match params["deschashonly"].as_bool() {
            Some(true) => Description::Hashed(text.into_bytes()),
            _ => Description::Text(text),
        };
        let mut msat = params["amount_msat"].as_u64().ok_or(-32602)?;
        msat += u64::from(fault == Some(Fault::OtherAmount));
        let expiry = Duration::from_secs(params["expiry"].as_u64().ok_or(-32602)?);
        let request = InvoiceRequest::new(Amount::from_msat(msat), description, expiry);
        let made = self.node.create_invoice(request).await.map_err(|_| -1)?;
        let mut answer = json!({
            "bolt11": made.as_str(), "payment_hash": shown(made.payment_hash(), fault), "payment_secret": "00".repeat(32),
            "expires_at": made.expires_at().as_unix_seconds(), "created_index": 1,
        });
        if let Some(warning) = self.state.lock().unwrap().warning {
            answer[warning] = json!("Insufficient incoming capacity");
        }
        Ok(answer)
    }

    async fn xpay(&self, params: &Value, fault: Option<Fault>) -> Result<Value, i64> {
        only(params, &["invstring", "maxfee", "retry_for"])?;
        let invoice = params["invstring"]
            .as_str()
            .and_then(|text| Invoice::parse(text).ok());
        let invoice = invoice.ok_or(-32602)?;
        let paid = self
            .node
            .lookup_payment(invoice.payment_hash())
            .await
            .map_err(|_| -1)?;
        if matches!(paid, PaymentStatus::Paid { .. }) {
            return Err(219);
        }
        if invoice.expires_at() < SystemClock::new().now() {
            return Err(207);
        }
        self.state.lock().unwrap().invoices.push(invoice.clone());
        let seconds = params["retry_for"].as_u64().ok_or(-32602)?;
        let seconds = u32::try_from(seconds).map_err(|_| -32602)?;
        let time = Duration::from_secs(seconds.into());
        let limits = PayLimits::new(
            Amount::from_msat(params["maxfee"].as_u64().ok_or(-32602)?),
            time,
        );
        if limits.max_fee < Amount::from_msat(FEE) {
            return Err(206);
        }
        match self.node.pay(&invoice, limits).await {
            Ok(PaymentStatus::Paid { preimage, .. }) => {
                let msat = invoice.amount().unwrap().as_msat();
                let mut sent = json!({ "amount_msat": msat, "amount_sent_msat": msat + FEE, "failed_parts": 0, "successful_parts": 1 });
                if let Some(preimage) = told(&preimage.expose_hex(), &invoice, fault) {
                    sent["payment_preimage"] = json!(preimage);
                }
                Ok(sent)
            }
            _ => Err(205),
        }
    }

    async fn listpays(&self, hash: PaymentHash, fault: Option<Fault>) -> Result<Value, i64> {
        if let Some(pays) = &self.state.lock().unwrap().pays {
            return Ok(json!({ "pays": pays }));
        }
        let status = self.node.lookup_payment(hash).await.map_err(|_| -1)?;
        let mut pay =
            json!({ "payment_hash": shown(hash, fault), "created_at": 1, "status": "failed" });
        match status {
            PaymentStatus::Failed => {
                let mut state = self.state.lock().unwrap();
                pay["amount_sent_msat"] = json!(0);
                if state.tidies > 0 {
                    state.tidies -= 1;
                    pay["status"] = json!("pending");
                }
            }
            PaymentStatus::InFlight => pay["status"] = json!("pending"),
            PaymentStatus::Paid { preimage, .. } => {
                let invoices = self.state.lock().unwrap().invoices.clone();
                let of_hash = |invoice: &&Invoice| invoice.payment_hash() == hash;
                pay["status"] = json!("complete");
                pay["amount_sent_msat"] = json!(21_007);
                pay["amount_msat"] = json!(21_000);
                if let Some(invoice) = invoices.iter().find(of_hash)
                    && let Some(preimage) = told(&preimage.expose_hex(), invoice, fault)
                {
                    pay["preimage"] = json!(preimage);
                }
            }
            _ => return Ok(json!({ "pays": [] })),
        }
        Ok(json!({ "pays": [pay] }))
    }
}

/// Core Lightning refuses parameters that it does not know.
fn only(params: &Value, known: &[&str]) -> Result<(), i64> {
    let all = params.as_object().ok_or(-32602)?;
    let known = all.keys().all(|name| known.contains(&name.as_str()));
    known.then_some(()).ok_or(-32602)
}

fn of_payment(params: &Value) -> Result<PaymentHash, i64> {
    only(params, &["payment_hash"])?;
    params["payment_hash"]
        .as_str()
        .and_then(PaymentHash::from_hex)
        .ok_or(-32602)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
