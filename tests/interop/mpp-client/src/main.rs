//! The `mpp` crate's client pays `paid_api`, with a method `lightning` plugged in.

use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use mpp::{
    MppError, PaymentChallenge, PaymentCredential,
    client::{Fetch as _, PaymentProvider},
    parse_receipt,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[derive(Clone)]
struct Lightning {
    wallet: String,
    payments: Arc<AtomicU32>,
}

impl PaymentProvider for Lightning {
    fn supports(&self, method: &str, intent: &str) -> bool {
        (method, intent) == ("lightning", "charge")
    }

    async fn pay(&self, challenge: &PaymentChallenge) -> Result<PaymentCredential, MppError> {
        let asked: Value = challenge.request.decode_value()?;
        let (amount, details) = (&asked["amount"], &asked["methodDetails"]);
        let invoice = details["invoice"].as_str().unwrap_or_default();
        let told = get(&format!("{}/v1/payreq/{invoice}", self.wallet)).await?;
        let sat = told["num_msat"]
            .as_str()
            .and_then(|msat| msat.strip_suffix("000"));
        if asked["currency"] != "sat"
            || sat != amount.as_str()
            || told["payment_hash"] != details["paymentHash"]
        {
            return Err(MppError::Http(format!("will not pay: {asked} for {told}")));
        }
        self.payments.fetch_add(1, Ordering::Relaxed);
        let order = json!({ "payment_request": invoice, "no_inflight_updates": true });
        let sent = reqwest::Client::new()
            .post(format!("{}/v2/router/send", self.wallet))
            .json(&order)
            .send()
            .await;
        let paid: Value = sent.map_err(http)?.json().await.map_err(http)?;
        let preimage = paid["result"]["payment_preimage"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let bytes = const_hex::decode(&preimage)
            .map_err(|_| MppError::Http(format!("not paid: {paid}")))?;
        if told["payment_hash"] != const_hex::encode(Sha256::digest(bytes)) {
            return Err(MppError::Http(
                "the wallet's preimage is not the invoice's".to_owned(),
            ));
        }
        Ok(PaymentCredential::new(
            challenge.to_echo(),
            json!({ "preimage": preimage }),
        ))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (api, wallet) = (env::var("API")?, env::var("WALLET")?);
    let lightning = Lightning {
        wallet,
        payments: Arc::default(),
    };
    let client = reqwest::Client::new();
    let mut seen = Vec::new();
    for request in [
        client.get(format!("{api}/weather/oslo?unit=c")),
        client
            .post(format!("{api}/render"))
            .json(&json!({ "frames": 1 })),
    ] {
        let answer = request
            .header("Accept-Payment", "lightning/charge")
            .send_with_payment(&lightning)
            .await?;
        if answer.status() != 200 {
            return Err(format!(
                "expected 200, not {}: {}",
                answer.status(),
                answer.text().await?
            )
            .into());
        }
        let header = answer
            .headers()
            .get("payment-receipt")
            .ok_or("expected a receipt")?
            .to_str()?;
        let receipt = parse_receipt(header)?;
        if receipt.method.as_str() != "lightning" || receipt.reference.len() != 64 {
            return Err(format!("expected a receipt of lightning, not {receipt:?}").into());
        }
        let body: Value = answer.json().await?;
        let told = body["receipt"].as_str().unwrap_or_default().to_owned();
        if !told.contains(" paid by mpp ") {
            return Err(format!("expected a receipt of mpp, not {told}").into());
        }
        seen.push(told.split(" for ").next().unwrap_or_default().to_owned());
    }
    let payments = lightning.payments.load(Ordering::Relaxed);
    if payments != 2 {
        return Err(format!("expected two payments, not {payments}").into());
    }
    println!("{}; Payment-Receipt parsed", seen.join("; "));
    Ok(())
}

async fn get(url: &str) -> Result<Value, MppError> {
    reqwest::get(url)
        .await
        .map_err(http)?
        .json()
        .await
        .map_err(http)
}

fn http(error: reqwest::Error) -> MppError {
    MppError::Http(error.to_string())
}
