//! The client's half: what is checked before a challenge is paid, and what is sent afterwards.

use http::{HeaderName, HeaderValue};

use super::{
    challenge::{CHARGE, Challenge, METHOD},
    credential::{self, Credential, HEADER, MAX_VALUE},
    wire::{self, ChargeRequest},
};
use crate::{
    clock::Timestamp,
    codec::{base64, hex},
    dialect::client::{self, ChallengeError, ClientConditions, ClientRequest},
    payment::{Amount, DialectName, Invoice, Preimage},
};

/// A challenge that passed the client's checks: its invoice can be paid, and its credential can be
/// sent with the request.
///
/// Compare [`amount`](Self::amount) with what the request is worth: no check does.
#[derive(Clone, Debug)]
pub struct Payable {
    challenge: Challenge<'static>,
    invoice: Invoice,
    amount: Amount,
    expires_at: Timestamp,
}

impl Payable {
    /// Checks a challenge before it is paid.
    ///
    /// A challenge without a digest binds no body ([`binds_a_body`](Self::binds_a_body)). It was
    /// made for a request without a body, or for a route that does not bind bodies. So send the
    /// body with the first request too: then the server can bind it.
    ///
    /// # Errors
    ///
    /// If the method is not `lightning` or the intent not `charge`; if the challenge cannot be read,
    /// has expired, or is for another body; if its invoice is for another amount, payment or
    /// network; if the request has the credential's header already, or is no HTTP request.
    pub fn check(
        challenge: &Challenge<'_>,
        request: &ClientRequest<'_>,
        conditions: &ClientConditions,
    ) -> Result<Self, ChallengeError> {
        let body_hash = request.body_hash(DialectName::Mpp)?;
        let payable = Self::of(challenge.clone().into_owned())?;
        request.leaves_free(&payable.header_name(), DialectName::Mpp)?;
        let network = payable.invoice.network();
        conditions.check(network, payable.expires_at, DialectName::Mpp)?;
        ensure(
            payable.has_digest_of(body_hash),
            "the digest is of another body",
        )?;
        Ok(payable)
    }

    /// The checks that need neither a request nor the time.
    fn of(challenge: Challenge<'static>) -> Result<Self, ChallengeError> {
        ensure(
            challenge.method == METHOD && challenge.intent == CHARGE,
            "the method is not lightning, or the intent not charge",
        )?;
        let header = challenge.header.as_deref();
        ensure(
            header.is_none_or(|header| header == HEADER),
            "the credential's header is not Payment-Authorization",
        )?;
        let unreadable = || refused("the request cannot be read");
        let request = base64::decode_url(&*challenge.request).ok_or_else(unreadable)?;
        let request: ChargeRequest<'_> = wire::from_json(&request).ok_or_else(unreadable)?;
        let details = &request.method_details;
        let invoice = Invoice::parse(&details.invoice)
            .map_err(|error| refused("the invoice cannot be read").with_source(Some(error)))?;
        ensure(request.currency == "sat", "the currency is not sat")?;
        let sat = wire::digits(&request.amount).filter(|sat| *sat > 0);
        let amount = sat
            .and_then(Amount::try_from_sat)
            .ok_or(refused("the amount is no positive integer"))?;
        ensure(
            invoice.amount() == Some(amount),
            "the invoice is for another amount",
        )?;
        let network = details.network.as_deref().unwrap_or("mainnet");
        ensure(
            wire::network_name(invoice.network()) == Some(network),
            "the invoice is for another network",
        )?;
        let hash = details.payment_hash.as_deref();
        let is_same =
            |hash: &str| hex::decode_lower(hash) == Some(*invoice.payment_hash().as_bytes());
        ensure(
            hash.is_none_or(is_same),
            "the invoice is for another payment hash",
        )?;
        let expires = match challenge.expires.as_deref() {
            Some(text) => wire::from_rfc3339(text).ok_or(refused("the expiry cannot be read"))?,
            None => Timestamp::MAX,
        };
        let payable = Self {
            expires_at: expires.min(invoice.expires_at()),
            challenge,
            invoice,
            amount,
        };
        // Every preimage has the same length.
        let value = payable.value(&Preimage::from_bytes([0; 32]));
        ensure(
            value.is_some_and(|value| value.len() <= MAX_VALUE),
            "the credential would be longer than 64 KiB",
        )?;
        Ok(payable)
    }

    /// Returns whether this was bought for the body of this request, or for any body.
    #[cfg(feature = "client")]
    pub(super) fn is_of_body(&self, request: &ClientRequest<'_>) -> bool {
        let hash = request.body_hash(DialectName::Mpp);
        hash.is_ok_and(|hash| self.has_digest_of(hash))
    }

    fn has_digest_of(&self, body_hash: &[u8; 32]) -> bool {
        let digest = self.challenge.digest.as_deref();
        digest.is_none_or(|text| wire::digest(text).as_ref() == Some(body_hash))
    }

    /// Reports whether the challenge names the digest of a body. [`check`](Self::check) has
    /// compared it.
    #[must_use]
    pub const fn binds_a_body(&self) -> bool {
        self.challenge.digest.is_some()
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

    /// Returns when the invoice or the challenge expires, whichever is earlier. From then on the
    /// invoice must not be paid, and the server refuses the credential.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Returns the challenge.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge<'static> {
        &self.challenge
    }

    /// Returns the name of the header that [`credential`](Self::credential) will have.
    #[must_use]
    pub const fn header_name(&self) -> HeaderName {
        credential::header_name(&self.challenge)
    }

    /// Returns the header line to send with the request after paying, its value marked as
    /// sensitive. `None` if the preimage is not the invoice's.
    #[must_use]
    pub fn credential(&self, preimage: &Preimage) -> Option<(HeaderName, HeaderValue)> {
        self.invoice.payment_hash().is_of(preimage).then_some(())?;
        Some((self.header_name(), self.value(preimage)?))
    }

    pub(super) fn value(&self, preimage: &Preimage) -> Option<HeaderValue> {
        Credential::new(self.challenge.clone(), preimage).to_header_value()
    }

    /// Returns this as JSON, to be stored before the invoice is paid.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.challenge)
            .unwrap_or_else(|_| unreachable!("texts can always be written"))
    }

    /// Reads what [`to_json`](Self::to_json) returned, and repeats the checks that need neither the
    /// request nor the time.
    ///
    /// # Errors
    ///
    /// If the text is no such JSON, or fails one of these checks.
    pub fn from_json(text: &str) -> Result<Self, ChallengeError> {
        let challenge: Option<Challenge<'_>> = wire::from_json(text.as_bytes());
        let challenge = challenge.ok_or(refused(
            "expected the text that `to_json` of an MPP payable returned",
        ))?;
        Self::of(challenge.into_owned())
    }
}

fn ensure(holds: bool, reason: &'static str) -> Result<(), ChallengeError> {
    client::ensure(holds, DialectName::Mpp, reason)
}

const fn refused(reason: &'static str) -> ChallengeError {
    ChallengeError::new(DialectName::Mpp, reason)
}
