//! The client's half: what is checked before a challenge is paid, and what is sent afterwards.

use std::fmt;

use http::{HeaderName, HeaderValue};

use super::{
    Challenge, Conditions, PaymentRequirements, Reason, SIGNATURE,
    binding::{Binding, Params, RequestBinding, http_url},
    credential::{self, Echo},
    verify::{self, Core},
    wire::MAX_HEADER,
};
use crate::{
    clock::Timestamp,
    codec::{
        hex,
        json::{self, Json},
    },
    dialect::client::{ChallengeError, ClientConditions, ClientRequest},
    payment::{Amount, DialectName, Invoice, Network, PaymentHash, Preimage},
};

/// A challenge that passed the client's checks: its invoice can be paid, and its credential can be
/// sent with the request.
///
/// Compare [`amount`](Self::amount) with what the request is worth: no check does.
#[derive(Clone, Debug)]
pub struct Payable {
    invoice: Invoice,
    amount: Amount,
    /// The JSON of what is sent afterwards, but for the preimage and the last brace.
    echo: String,
}

impl Payable {
    /// Checks a challenge before it is paid (`lnbtc`, "Client").
    ///
    /// An invoice that expires right now is refused: the payment could not arrive in time.
    ///
    /// # Errors
    ///
    /// If the terms or the invoice cannot be read, contradict each other, or are for another
    /// request or network; if the invoice has expired; if the request has a `PAYMENT-SIGNATURE`
    /// header already.
    pub fn check(
        challenge: &Challenge,
        request: &ClientRequest<'_>,
        conditions: &ClientConditions,
    ) -> Result<Self, ChallengeError> {
        request.leaves_free(&SIGNATURE, DialectName::X402)?;
        let networks = [conditions.network];
        let checks = Conditions::at(conditions.now)
            .with_skew(conditions.skew)
            .with_networks(&networks);
        let accepted = challenge.accepted();
        let core = Core::read(accepted, &networks).map_err(|reason| refused(reason, accepted))?;
        let steps = || {
            let extra = accepted.extra();
            verify::payment_flow(extra)?;
            verify::transfer_method(extra)?;
            let text = verify::invoice_text(extra)?;
            let claimed = Binding::read(extra)?;
            let own = binding(request, &claimed.params)?;
            if !is_of(request, challenge.url()) || claimed.hash != *own.hash().as_bytes() {
                return Err(Reason::RequestMismatch);
            }
            let invoice = core.invoice(text, &claimed, &checks)?;
            (checks.now < invoice.expires_at())
                .then_some(())
                .ok_or(Reason::InvoiceExpired)?;
            Ok(invoice)
        };
        let invoice = steps().map_err(|reason| refused(core.blame(reason), accepted))?;
        Self::of(invoice, core.amount, &challenge.echo())
    }

    fn of(invoice: Invoice, amount: Amount, echo: &Echo<'_>) -> Result<Self, ChallengeError> {
        let echo = echo.text();
        let echo = echo.filter(|echo| credential::encoded_len(echo) <= MAX_HEADER);
        Ok(Self {
            invoice,
            amount,
            echo: echo.ok_or(ChallengeError::new(
                DialectName::X402,
                "the credential would be longer than 64 KiB",
            ))?,
        })
    }

    /// Returns the invoice to pay.
    #[must_use]
    pub const fn invoice(&self) -> &Invoice {
        &self.invoice
    }

    /// Returns the invoice's amount.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// Returns the network to pay on.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.invoice.network()
    }

    /// Returns when the invoice expires. From then on it must not be paid. Servers accept the
    /// credential for 60 seconds more.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.invoice.expires_at()
    }

    /// Returns the name of the header that [`credential`](Self::credential) will have.
    #[must_use]
    pub const fn header_name(&self) -> HeaderName {
        SIGNATURE
    }

    /// Checks what a wallet reports of the payment, and returns its preimage (`lnbtc`, "Client").
    ///
    /// # Errors
    ///
    /// The reason why the report does not prove the payment.
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

    /// Returns the header line to send with the request after paying, its value marked as
    /// sensitive. `None` if the preimage is not the invoice's.
    #[must_use]
    pub fn credential(&self, preimage: &Preimage) -> Option<(HeaderName, HeaderValue)> {
        self.invoice.payment_hash().is_of(preimage).then_some(())?;
        Some((self.header_name(), self.value(preimage)?))
    }

    pub(super) fn value(&self, preimage: &Preimage) -> Option<HeaderValue> {
        credential::header(&self.echo, preimage)
    }

    /// Returns whether the invoice's description hash commits to this request.
    #[cfg(feature = "client")]
    pub(super) fn binds(&self, request: &ClientRequest<'_>) -> bool {
        let text = self.to_json();
        let is_own = || {
            let mut members = json::parse(&text).ok()?.into_object()?;
            let accepted = PaymentRequirements::of(members.take("accepted")?)?;
            let claimed = Binding::read(accepted.extra()).ok()?;
            let own = binding(request, &claimed.params).ok()?;
            Some(claimed.hash == *own.hash().as_bytes())
        };
        is_own().unwrap_or(false)
    }

    /// Returns this as JSON, to be stored before the invoice is paid.
    #[must_use]
    pub fn to_json(&self) -> String {
        [&self.echo, "}"].concat()
    }

    /// Reads what [`to_json`](Self::to_json) returned, and repeats the checks that need neither the
    /// request nor the time.
    ///
    /// # Errors
    ///
    /// If the text is no such JSON, or fails one of these checks.
    pub fn from_json(text: &str) -> Result<Self, ChallengeError> {
        let read = || {
            let mut members = json::parse(text).ok()?.into_object()?;
            (members.get("x402Version") == Some(&Json::Unsigned(2))).then_some(())?;
            let accepted = PaymentRequirements::of(members.take("accepted")?)?;
            let resource = members.take("resource")?;
            resource.as_object()?;
            Some((accepted, resource, members.take("extensions")))
        };
        let (accepted, resource, extensions) = read().ok_or(ChallengeError::new(
            DialectName::X402,
            "expected the text that `to_json` of an x402 payable returned",
        ))?;
        let steps = || {
            let core = Core::read(&accepted, &Network::ALL)?;
            let extra = accepted.extra();
            verify::payment_flow(extra)?;
            verify::transfer_method(extra)?;
            let claimed = Binding::read(extra)?;
            // An invoice of any date: the date was checked before.
            let conditions = Conditions::at(Timestamp::MAX);
            let invoice = core.invoice(verify::invoice_text(extra)?, &claimed, &conditions)?;
            Ok((invoice, core.amount))
        };
        let (invoice, amount) = steps().map_err(|reason| refused(reason, &accepted))?;
        let echo = Echo {
            x402_version: 2,
            resource: Some(&resource),
            accepted: &accepted,
            extensions: extensions.as_ref(),
        };
        Self::of(invoice, amount, &echo)
    }
}

/// The binding of the client's own request, in the profile that the challenge names.
fn binding(request: &ClientRequest<'_>, params: &Params<'_>) -> Result<RequestBinding, Reason> {
    match (request, params) {
        (
            ClientRequest::Http {
                method,
                url,
                headers,
                body_hash,
            },
            Params::Http { headers: names },
        ) => RequestBinding::http(method, url, body_hash, names, headers),
        (
            ClientRequest::Mcp {
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

/// Whether the challenge's resource is the one that the client asks for.
fn is_of(request: &ClientRequest<'_>, url: Option<&str>) -> bool {
    match request {
        ClientRequest::Http { url: own, .. } => url
            .and_then(http_url)
            .is_some_and(|url| http_url(own) == Some(url)),
        ClientRequest::Mcp { .. } => true,
    }
}

fn refused(reason: Reason, accepted: &PaymentRequirements<'_>) -> ChallengeError {
    let source = || Invoice::parse(verify::invoice_text(accepted.extra()).ok()?).err();
    let source = match reason {
        Reason::InvoiceDecodeFailed => source(),
        _ => None,
    };
    ChallengeError::new(DialectName::X402, reason.text())
        .with_code(reason.code())
        .with_source(source)
}

/// What a wallet reports of a payment.
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "an adapter fills in all of it")]
pub struct PayerReport<'a> {
    /// `paid`, `in_flight`, or anything else for unpaid.
    pub status: &'a str,
    /// The invoice that was paid.
    pub invoice: &'a str,
    /// Its payment hash, in lower-case hexadecimal digits.
    pub payment_hash: &'a str,
    /// What the payee got, fees excluded, in millisatoshi.
    pub amount_msat: &'a str,
    /// The preimage, in lower-case hexadecimal digits.
    pub preimage: Option<&'a str>,
}

/// Hides the preimage.
impl fmt::Debug for PayerReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayerReport")
            .field("status", &self.status)
            .field("invoice", &self.invoice)
            .finish_non_exhaustive()
    }
}
