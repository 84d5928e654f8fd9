use std::{sync::Arc, time::Duration};

use nostr::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    cipher::Cipher,
    fault::Fault,
    link::Link,
    wire::{LookupInvoice, Request, Response, Transaction},
};
use crate::payment::PaymentHash;

/// How long the wallet may take for an answer that waits for nobody else.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// The wallet, which takes requests and answers them.
pub(super) struct Wallet {
    pub(super) link: Link,
    pub(super) cipher: Arc<Cipher>,
}

impl Wallet {
    /// Sends a request that the wallet must receive within `expiry`, and waits at most `wait` for
    /// its answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
        expiry: Duration,
        wait: Duration,
    ) -> Result<T, Fault> {
        let content = serde_json::to_string(&Request { method, params })
            .map_err(|error| Fault::Unsent(error.into()))?;
        let request = self.cipher.request(&content, Timestamp::now() + expiry)?;
        let answer = self.link.ask(request, wait).await?;
        let text = self.cipher.open(&answer)?;
        // The error of serde_json can quote what it read, so it is not reported.
        let unreadable = |_| {
            Fault::Unreadable(
                format!("expected the answer to {method} that NIP-47 describes").into(),
            )
        };
        let response: Response<Value> = serde_json::from_str(&text).map_err(unreadable)?;
        if let Some(refusal) = response.error {
            return Err(Fault::Refused {
                code: refusal.code,
                message: refusal.message.chars().take(300).collect(),
            });
        }
        if response.result_type != method {
            return Err(Fault::Unreadable("the answer is to another method".into()));
        }
        serde_json::from_value(response.result.unwrap_or_default()).map_err(unreadable)
    }

    /// Returns the invoice or the payment with this hash, if the wallet knows of one.
    pub(super) async fn lookup(
        &self,
        payment_hash: PaymentHash,
    ) -> Result<Option<Transaction>, Fault> {
        let params = LookupInvoice::from(payment_hash);
        match self.ask("lookup_invoice", params, ANSWER, ANSWER).await {
            Ok(found) => Ok(Some(found)),
            Err(Fault::Refused { code, .. }) if code == "NOT_FOUND" => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
