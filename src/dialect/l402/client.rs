use std::fmt;

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

use super::{challenge::Challenge, identifier::Identifier};
use crate::{
    clock::Timestamp,
    codec::json::{self, Json},
    dialect::client::{ChallengeError, ClientConditions, ClientRequest, ensure},
    payment::{Amount, DialectName, Invoice, Preimage},
};

/// A challenge that passed the client's checks: its invoice can be paid, and its credential can be
/// sent with the request.
///
/// No check says what the token opens: only its server knows. Compare [`amount`](Self::amount) with
/// what the request is worth.
#[derive(Clone)]
pub struct Payable {
    challenge: Challenge,
    invoice: Invoice,
    amount: Amount,
}

impl Payable {
    /// Checks a challenge before it is paid.
    ///
    /// # Errors
    ///
    /// If the invoice cannot be read, names no amount, is for another network or has expired; if the
    /// token names another payment than the invoice; if the request has an `Authorization` header
    /// of its own, or is no HTTP request.
    pub fn check(
        challenge: &Challenge,
        request: &ClientRequest<'_>,
        conditions: &ClientConditions,
    ) -> Result<Self, ChallengeError> {
        request.body_hash(DialectName::L402)?;
        request.leaves_free(&AUTHORIZATION, DialectName::L402)?;
        let payable = Self::of(challenge.clone())?;
        let invoice = &payable.invoice;
        conditions.check(invoice.network(), payable.expires_at(), DialectName::L402)?;
        Ok(payable)
    }

    /// The checks that need neither a request nor the time.
    fn of(challenge: Challenge) -> Result<Self, ChallengeError> {
        let invoice = Invoice::parse(challenge.invoice())
            .map_err(|error| refused("the invoice cannot be read").with_source(Some(error)))?;
        let amount = invoice
            .amount()
            .ok_or(refused("the invoice leaves the amount to the payer"))?;
        // The token of another server may have an identifier of another form.
        let macaroon = challenge.macaroon();
        let identifier = macaroon.and_then(|macaroon| Identifier::parse(macaroon.identifier()));
        ensure(
            identifier.is_none_or(|token| token.payment_hash() == invoice.payment_hash()),
            DialectName::L402,
            "the token is for another payment than the invoice",
        )?;
        Ok(Self {
            challenge,
            invoice,
            amount,
        })
    }

    #[cfg(feature = "client")]
    pub(super) const fn challenge(&self) -> &Challenge {
        &self.challenge
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

    /// Returns when the invoice expires. From then on it must not be paid. The token may live
    /// longer.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.invoice.expires_at()
    }

    /// Returns the name of the header that [`credential`](Self::credential) will have.
    #[must_use]
    pub const fn header_name(&self) -> HeaderName {
        AUTHORIZATION
    }

    /// Returns the header line to send with the request after paying, its value marked as
    /// sensitive. `None` if the preimage is not the invoice's.
    #[must_use]
    pub fn credential(&self, preimage: &Preimage) -> Option<(HeaderName, HeaderValue)> {
        let is_ours = self.invoice.payment_hash().is_of(preimage);
        is_ours.then(|| (self.header_name(), self.challenge.answer(preimage)))
    }

    /// Returns this as JSON, to be stored before the invoice is paid. The text holds the token:
    /// store it like a password.
    #[must_use]
    pub fn to_json(&self) -> String {
        let members = [
            ("scheme", self.challenge.scheme().as_str()),
            ("token", self.challenge.token()),
            ("invoice", self.challenge.invoice()),
        ];
        let mut text = String::with_capacity(1024);
        for (index, (name, value)) in members.into_iter().enumerate() {
            text.push(if index == 0 { '{' } else { ',' });
            json::push_text(&mut text, name);
            text.push(':');
            json::push_text(&mut text, value);
        }
        text.push('}');
        text
    }

    /// Reads what [`to_json`](Self::to_json) returned, and repeats the checks that need neither the
    /// request nor the time.
    ///
    /// # Errors
    ///
    /// If the text is no such JSON, or fails one of these checks.
    pub fn from_json(text: &str) -> Result<Self, ChallengeError> {
        let read = || {
            let members = json::parse(text).ok()?.into_object()?;
            let text = |name| members.get(name).and_then(Json::as_str);
            Challenge::read(text("scheme")?, text("token")?, text("invoice")?)
        };
        Self::of(read().ok_or(refused(
            "expected the text that `to_json` of an L402 payable returned",
        ))?)
    }
}

/// Hides the token.
impl fmt::Debug for Payable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payable")
            .field("challenge", &self.challenge)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

const fn refused(reason: &'static str) -> ChallengeError {
    ChallengeError::new(DialectName::L402, reason)
}
