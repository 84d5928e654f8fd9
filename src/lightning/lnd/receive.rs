use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{
    Lnd, NAME, fault,
    node::call,
    settle, state,
    wire::{KnownInvoice, MadeInvoice, NewInvoice, number},
};
use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    codec::base64,
    lightning::{
        BoxFuture, BoxStream, Description, InvoiceRequest, InvoiceStatus, NodeError, Receiver,
        ReceiverProfile, exact,
        receiver::NO_INVOICE,
        rest::{Ask, CallError, Rest},
    },
    payment::{Invoice, PaymentHash},
};

impl Receiver for Lnd {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(self.network, self.key_custody);
        profile.public_key = Some(self.public_key);
        profile.can_spend = self.rights.map(|rights| rights.spend);
        profile.cannot_receive = self.cannot_receive();
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move {
            let made = make(&self.rest, &request, self.private_channels).await;
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
            let ready = async {
                state::soon(state::active(&self.rest)).await?;
                status(&self.rest, NO_INVOICE).await?;
                state::synced(self).await?;
                state::warn_of_no_inbound_liquidity(self).await
            };
            ready.await.map_err(|error| self.rest.failed(error))
        })
    }

    fn settlements(&self) -> BoxStream<'_, PaymentHash> {
        settle::stream(&self.rest)
    }
}

impl Lnd {
    /// Returns why its macaroon cannot receive, if it cannot.
    pub(super) fn cannot_receive(&self) -> Option<&'static str> {
        self.rights.filter(|rights| !rights.receives()).map(|_| {
            "the macaroon of LND cannot receive: it needs invoices:read and invoices:write (invoices.macaroon has them)"
        })
    }
}

/// Makes an invoice, and returns its text.
pub(super) async fn make(
    rest: &Rest,
    request: &InvoiceRequest,
    private_channels: bool,
) -> Result<String, CallError> {
    let (memo, hash) = match &request.description {
        Description::Hashed(bytes) => (None, Some(Sha256::digest(bytes))),
        Description::Text(text) => (Some(text.as_str()), None),
    };
    let body = NewInvoice {
        value_msat: request.amount.as_msat().to_string(),
        expiry: request.expiry.as_secs().to_string(),
        memo,
        description_hash: hash.map(base64::encode_standard),
        private: private_channels,
    };
    let ask = Ask::post_json("/v1/invoices", &body)?;
    let made = async { call(rest, ask).await.map_err(|(_, error)| error) };
    let made: MadeInvoice = state::or_inactive(rest, made).await?.json()?;
    Ok(made.payment_request)
}

/// Returns the status of an invoice.
pub(super) async fn status(
    rest: &Rest,
    payment_hash: PaymentHash,
) -> Result<InvoiceStatus, CallError> {
    let reply = match call(rest, Ask::get(format!("/v1/invoice/{payment_hash}"))).await {
        Ok(reply) => reply,
        Err((fault::UNKNOWN, _)) => return Ok(InvoiceStatus::Unknown),
        Err((_, error)) => return Err(error),
    };
    let invoice: KnownInvoice = reply.json()?;
    if invoice.payment_hash() != Some(payment_hash) {
        return Err(CallError::bad("expected the invoice that was asked for"));
    }
    match invoice.state.as_str() {
        "SETTLED" => Ok(InvoiceStatus::Settled),
        // LND cancels invoices that have expired, some time later.
        "CANCELED" => Ok(InvoiceStatus::Expired),
        "ACCEPTED" => Ok(InvoiceStatus::Open),
        "OPEN" => {
            let made = Timestamp::from_unix_seconds(number(&invoice.creation_date)?);
            let end = made.saturating_add(Duration::from_secs(number(&invoice.expiry)?));
            Ok(if SystemClock::new().now() < end {
                InvoiceStatus::Open
            } else {
                InvoiceStatus::Expired
            })
        }
        _ => Err(CallError::bad("expected the state of an invoice")),
    }
}
