//! What a payer checks before it pays, and what it sends afterwards.

use http::{HeaderMap, HeaderValue};

use super::{
    Conditions, PaymentRequired, Reason,
    binding::{Binding, Params, RequestBinding, http_url},
    credential::{self, Echo},
    verify::{self, Core},
};
use crate::{
    codec::hex,
    payment::{Amount, Invoice, Network, PaymentHash, Preimage},
};

/// The request that is to be paid for, from the payer's own knowledge: never from the challenge.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Intent<'a> {
    /// An HTTP request.
    Http {
        /// The method, as it is sent.
        method: &'a str,
        /// The absolute URL, as it is asked for.
        url: &'a str,
        /// The headers, as they are sent.
        headers: &'a HeaderMap,
        /// SHA-256 of the body.
        body_hash: [u8; 32],
    },
    /// An MCP `tools/call`.
    Mcp {
        /// The server's absolute URI, from configuration.
        server: &'a str,
        /// The JSON text of the call's `params`.
        params: &'a str,
    },
}

impl Intent<'_> {
    fn binding(&self, params: &Params<'_>) -> Result<RequestBinding, Reason> {
        match (self, params) {
            (
                Self::Http {
                    method,
                    url,
                    headers,
                    body_hash,
                },
                Params::Http { headers: names },
            ) => RequestBinding::http(method, url, body_hash, names, headers),
            (
                Self::Mcp {
                    server,
                    params: call,
                },
                Params::Mcp {
                    server: named,
                    metadata,
                },
            ) if server == named => RequestBinding::mcp(server, metadata, call),
            _ => Err(Reason::RequestMismatch),
        }
    }

    fn is_of(&self, url: Option<&str>) -> bool {
        match self {
            Self::Http { url: own, .. } => url
                .and_then(http_url)
                .is_some_and(|url| http_url(own) == Some(url)),
            Self::Mcp { .. } => true,
        }
    }
}

/// A challenge that asks for what it should: its invoice may be paid.
///
/// An invoice at its very end is not paid any more (`now` is the end or later): the payment could
/// not arrive in time.
#[derive(Clone, Debug)]
pub struct Challenge {
    invoice: Invoice,
    amount: Amount,
    echo: String,
}

impl Challenge {
    /// Checks one way to pay of a challenge, by its index (lnbtc, "Client", C1 to C9).
    ///
    /// # Errors
    ///
    /// The reason why the invoice must not be paid.
    pub fn check(
        required: &PaymentRequired<'_>,
        index: usize,
        intent: &Intent<'_>,
        conditions: &Conditions<'_>,
    ) -> Result<Self, Reason> {
        let accepted = required
            .accepts()
            .get(index)
            .ok_or(Reason::InvalidPaymentRequirements)?;
        let core = Core::read(accepted, conditions.networks)?;
        let steps = || {
            let extra = accepted.extra();
            verify::payment_flow(extra)?;
            verify::transfer_method(extra)?;
            let text = verify::invoice_text(extra)?;
            let claimed = Binding::read(extra)?;
            let own = intent.binding(&claimed.params)?;
            if !intent.is_of(required.url()) || claimed.hash != *own.hash().as_bytes() {
                return Err(Reason::RequestMismatch);
            }
            let invoice = core.invoice(text, &claimed, conditions)?;
            (conditions.now < invoice.expires_at())
                .then_some(())
                .ok_or(Reason::InvoiceExpired)?;
            Ok(invoice)
        };
        let invoice = steps().map_err(|reason| core.blame(reason))?;
        let echo = Echo {
            x402_version: 2,
            resource: Some(&required.resource),
            accepted,
            extensions: required.extensions.as_ref(),
        };
        Ok(Self {
            invoice,
            amount: core.amount,
            echo: echo.text().ok_or(Reason::InvalidPaymentRequirements)?,
        })
    }

    /// The invoice to pay, exactly.
    #[must_use]
    pub const fn invoice(&self) -> &Invoice {
        &self.invoice
    }

    /// What it asks for.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// The network to pay on.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.invoice.network()
    }

    /// Checks what a wallet reports of the payment (C11).
    ///
    /// # Errors
    ///
    /// The reason why it proves nothing.
    pub fn settle(&self, report: &PayerReport<'_>) -> Result<Preimage, Reason> {
        match report.status {
            "paid" => {}
            "in_flight" => return Err(Reason::PaymentInFlight),
            _ => return Err(Reason::PaymentNotPaid),
        }
        let hash = self.invoice.payment_hash();
        let checks = [
            (
                report.invoice == self.invoice.as_str(),
                Reason::PayerInvoiceMismatch,
            ),
            (
                hex::decode_lower(report.payment_hash).map(PaymentHash::from_bytes) == Some(hash),
                Reason::PayerPaymentHashMismatch,
            ),
            (
                report.amount_msat == self.amount.as_msat().to_string(),
                Reason::PayerAmountMismatch,
            ),
        ];
        checks
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, reason)| Err(reason))?;
        let preimage = report.preimage.ok_or(Reason::PayerPreimageRequired)?;
        let preimage = hex::decode_lower(preimage)
            .map(Preimage::from_bytes)
            .ok_or(Reason::PayerPreimageMalformed)?;
        hash.is_of(&preimage)
            .then_some(preimage)
            .ok_or(Reason::PayerPreimageHashMismatch)
    }

    /// The `PAYMENT-SIGNATURE` for a payment of the invoice, marked as sensitive. `None` where the
    /// preimage is not the invoice's.
    #[must_use]
    pub fn credential(&self, preimage: &Preimage) -> Option<HeaderValue> {
        self.invoice
            .payment_hash()
            .is_of(preimage)
            .then(|| credential::header(&self.echo, preimage))?
    }
}

/// What a wallet says of a payment.
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "an adapter fills in all of it")]
pub struct PayerReport<'a> {
    /// `paid`, `in_flight`, or anything else for unpaid.
    pub status: &'a str,
    /// The invoice that was paid.
    pub invoice: &'a str,
    /// Its payment hash, in lower-case hexadecimal digits.
    pub payment_hash: &'a str,
    /// What the payee got, fees excluded, in millisatoshis.
    pub amount_msat: &'a str,
    /// The preimage, in lower-case hexadecimal digits.
    pub preimage: Option<&'a str>,
}

/// Without the preimage.
impl std::fmt::Debug for PayerReport<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayerReport")
            .field("status", &self.status)
            .field("invoice", &self.invoice)
            .finish_non_exhaustive()
    }
}
