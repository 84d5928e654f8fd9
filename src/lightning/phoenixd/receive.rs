use http::StatusCode;
use sha2::{Digest as _, Sha256};

use super::{
    NAME, Phoenixd,
    node::call,
    wire::{Incoming, MadeInvoice},
};
use crate::{
    clock::Timestamp,
    codec::hex,
    lightning::{
        BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, NodeError, NodeErrorKind,
        Receiver, ReceiverProfile, exact,
        polling::{self, Pauses},
        rest::{Ask, CallError, Rest},
    },
    payment::{Invoice, PaymentHash},
};

/// The longest description, in characters as Kotlin counts them.
const LONGEST: usize = 128;

/// How many settlements phoenixd is asked for at once, and how many pages at most.
const PAGE: usize = 100;
const PAGES: usize = 50;

impl Receiver for Phoenixd {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(self.network, self.key_custody);
        profile.public_key = Some(self.public_key);
        profile.whole_sats_only = true;
        profile.can_spend = Some(self.can_spend);
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move {
            let sat = exact::whole_sats(NAME, request.amount)?;
            let description = match &request.description {
                Description::Hashed(bytes) => {
                    ("descriptionHash", hex::encode(Sha256::digest(bytes)))
                }
                Description::Text(text) if text.encode_utf16().count() > LONGEST => {
                    let why = "expected a description of at most 128 characters";
                    return Err(NodeError::new(NodeErrorKind::Refused, NAME, why));
                }
                Description::Text(text) => ("description", text.clone()),
            };
            let (sat, expiry) = (sat.to_string(), request.expiry.as_secs().to_string());
            let fields = [
                (description.0, description.1.as_str()),
                ("amountSat", &sat),
                ("expirySeconds", &expiry),
            ];
            let made = make(&self.rest, &fields).await;
            let text = made.map_err(|error| self.rest.failed(error))?;
            exact::invoice(NAME, &text, request.amount, self.network, self.public_key)
        })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async move {
            let status = status(&self.rest, payment_hash).await;
            status.map_err(|error| self.rest.failed(error))
        })
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(async move {
            let info = call(&self.rest, Ask::get("/getinfo")).await;
            info.map(drop).map_err(|(_, error)| self.rest.failed(error))
        })
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        polling::stream(Pauses::REST, move |since| {
            Box::pin(async move {
                let settled = settled(&self.rest, polling::allow_for_skew(since)).await;
                settled.map_err(|error| self.rest.failed(error))
            })
        })
    }
}

async fn make(rest: &Rest, fields: &[(&str, &str)]) -> Result<String, CallError> {
    let reply = call(rest, Ask::post_form("/createinvoice", fields)).await;
    let made: MadeInvoice = reply.map_err(|(_, error)| error)?.json()?;
    Ok(made.serialized)
}

async fn status(rest: &Rest, payment_hash: PaymentHash) -> Result<InvoiceStatus, CallError> {
    let reply = match call(rest, Ask::get(format!("/payments/incoming/{payment_hash}"))).await {
        Ok(reply) => reply,
        Err((Some(StatusCode::NOT_FOUND), _)) => return Ok(InvoiceStatus::Unknown),
        Err((_, error)) => return Err(error),
    };
    let payment: Incoming = reply.json()?;
    if PaymentHash::from_hex(&payment.payment_hash) != Some(payment_hash) {
        return Err(CallError::bad("expected the invoice that was asked for"));
    }
    Ok(match payment {
        Incoming { is_paid: true, .. } => InvoiceStatus::Settled,
        Incoming {
            is_expired: true, ..
        } => InvoiceStatus::Expired,
        Incoming { .. } => InvoiceStatus::Open,
    })
}

/// Returns what settled since a moment, page by page: phoenixd lists the newest first. The oldest are
/// left out if there are more than the pages hold.
async fn settled(rest: &Rest, since: Timestamp) -> Result<Vec<PaymentHash>, CallError> {
    let mut settled = Vec::new();
    for _ in 0..PAGES {
        let path = format!(
            "/payments/incoming?from={}000&limit={PAGE}&offset={}",
            since.as_unix_seconds(),
            settled.len()
        );
        let reply = call(rest, Ask::get(path))
            .await
            .map_err(|(_, error)| error)?;
        let page: Vec<Incoming> = reply.json()?;
        let hashes = page
            .iter()
            .map(|payment| PaymentHash::from_hex(&payment.payment_hash));
        let hashes: Option<Vec<_>> = hashes.collect();
        settled.extend(hashes.ok_or_else(|| CallError::bad("expected payment hashes"))?);
        if page.len() < PAGE {
            break;
        }
    }
    settled.reverse();
    Ok(settled)
}
