use sha2::{Digest as _, Sha256};

use super::{
    Lnbits, NAME,
    node::{call, find, wallet_id},
    wire::{MadeInvoice, NewInvoice, Payment},
};
use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    codec::hex,
    lightning::{
        BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError,
        NodeErrorKind, Receiver, ReceiverProfile, exact,
        polling::{self, Pauses},
        rest::{Ask, CallError, Rest},
    },
    payment::{Invoice, PaymentHash},
};

/// How many payments LNbits is asked for at once, and how many pages at most.
const PAGE: usize = 100;
const PAGES: usize = 50;

impl Receiver for Lnbits {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(self.network, KeyCustody::Shared);
        profile.public_key = Some(self.public_key);
        profile.whole_sats_only = true;
        profile.can_spend = Some(self.wallet_id.is_some());
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move {
            let sat = exact::whole_sats(NAME, request.amount)?;
            if matches!(&request.description, Description::Text(text) if text.is_empty()) {
                let why = "expected a description, because it puts its own title in place of an empty one";
                return Err(NodeError::new(NodeErrorKind::Refused, NAME, why));
            }
            let made = make(&self.rest, &request, sat).await;
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
            let known = wallet_id(&self.rest).await;
            known.map(drop).map_err(|error| self.rest.failed(error))
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

/// Makes an invoice of whole satoshis, and returns its text.
pub(super) async fn make(
    rest: &Rest,
    request: &InvoiceRequest,
    sat: u64,
) -> Result<String, CallError> {
    let (mut memo, mut unhashed_description, mut description_hash) = (None, None, None);
    match &request.description {
        // LNbits takes an empty field for none.
        Description::Hashed(bytes) if bytes.is_empty() => {
            description_hash = Some(hex::encode(Sha256::digest(bytes)));
        }
        Description::Hashed(bytes) => unhashed_description = Some(hex::encode(bytes)),
        Description::Text(text) => memo = Some(text.as_str()),
    }
    let body = NewInvoice {
        out: false,
        unit: "sat",
        amount: sat,
        expiry: request.expiry.as_secs(),
        memo,
        unhashed_description,
        description_hash,
    };
    let reply = call(rest, Ask::post_json("/api/v1/payments", &body)?).await;
    let made: MadeInvoice = reply.map_err(|(_, error)| error)?.json()?;
    let text = made.bolt11.or(made.payment_request);
    text.ok_or_else(|| CallError::bad("expected an invoice"))
}

async fn status(rest: &Rest, payment_hash: PaymentHash) -> Result<InvoiceStatus, CallError> {
    let found = find(rest, payment_hash).await?;
    let invoice = match found.and_then(|found| found.details) {
        // A payment that the wallet made. It hides an invoice of the same wallet.
        Some(payment) if payment.amount < 0 => hidden(rest, payment_hash).await?,
        invoice => invoice,
    };
    let Some(Payment { status, bolt11, .. }) = invoice else {
        return Ok(InvoiceStatus::Unknown);
    };
    match status.as_str() {
        "success" => Ok(InvoiceStatus::Settled),
        "failed" => Ok(InvoiceStatus::Expired),
        "pending" => {
            let invoice =
                Invoice::parse(&bolt11).map_err(|error| CallError::bad(error.to_string()))?;
            Ok(if SystemClock::new().now() < invoice.expires_at() {
                InvoiceStatus::Open
            } else {
                InvoiceStatus::Expired
            })
        }
        _ => Err(CallError::bad("expected the status of a payment")),
    }
}

/// Returns the invoice of this wallet that it paid itself. Of an invoice of another wallet it only has
/// the payment.
async fn hidden(rest: &Rest, payment_hash: PaymentHash) -> Result<Option<Payment>, CallError> {
    let path = format!("/api/v1/payments?payment_hash={payment_hash}&limit={PAGE}");
    let reply = call(rest, Ask::get(path)).await;
    let payments: Vec<Payment> = reply.map_err(|(_, error)| error)?.json()?;
    let mut invoices = payments.into_iter().filter(|payment| payment.amount > 0);
    Ok(invoices.find(|invoice| invoice.is(payment_hash).is_ok()))
}

/// Returns what settled since a moment, page by page, the newest first.
async fn settled(rest: &Rest, since: Timestamp) -> Result<Vec<PaymentHash>, CallError> {
    let since = since.to_iso_8601();
    let mut settled = Vec::new();
    for page in 0..PAGES {
        let path = format!(
            "/api/v1/payments?status=success&sortby=updated_at&direction=desc&limit={PAGE}&offset={}",
            page * PAGE
        );
        let reply = call(rest, Ask::get(path))
            .await
            .map_err(|(_, error)| error)?;
        let payments: Vec<Payment> = reply.json()?;
        let new = |payment: &&Payment| is_since(&payment.updated_at, &since);
        for payment in payments.iter().filter(new) {
            let hash = PaymentHash::from_hex(&payment.payment_hash);
            let hash = hash.ok_or_else(|| CallError::bad("expected a payment hash"))?;
            if payment.amount > 0 && payment.status == "success" {
                settled.push(hash);
            }
        }
        if payments.len() < PAGE || !payments.last().is_some_and(|last| new(&last)) {
            break;
        }
    }
    settled.reverse();
    Ok(settled)
}

/// Compares two moments to the second. LNbits writes UTC, with a fraction, and perhaps an offset of
/// zero.
fn is_since(moment: &str, since: &str) -> bool {
    match (moment.get(..19), since.get(..19)) {
        (Some(moment), Some(since)) => moment.replace(' ', "T").as_str() >= since,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_compared_to_the_second_in_each_form_of_lnbits() {
        let since = Timestamp::from_unix_seconds(1_790_000_000).to_iso_8601();
        for (moment, expected) in [
            ("2026-09-21T14:13:20.000001+00:00", true),
            ("2026-09-21T14:13:20", true),
            ("2026-09-21 14:13:21.5", true),
            ("2026-09-21T14:13:19.999999+00:00", false),
            ("2025-12-31T23:59:59+00:00", false),
            ("", false),
            ("2026", false),
        ] {
            assert_eq!(is_since(moment, &since), expected, "{moment}");
        }
    }
}
