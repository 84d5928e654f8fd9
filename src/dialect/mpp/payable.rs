//! The client's half: is a challenge what it says, before anything is paid?

use std::fmt;

use http::{HeaderName, HeaderValue};

use super::{
    challenge::{CHARGE, Challenge, METHOD},
    credential::{Credential, HEADER},
    wire::{self, ChargeRequest},
};
use crate::{
    clock::Timestamp,
    codec::{base64, hex},
    payment::{Amount, Invoice, Preimage},
};

/// A challenge that was checked against its invoice, ready to be paid.
#[derive(Clone, Debug)]
pub struct Payable<'a> {
    challenge: Challenge<'a>,
    invoice: Invoice,
    amount: Amount,
    expires_at: Timestamp,
}

/// Why a challenge must not be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChallengeError(&'static str);

impl<'a> Payable<'a> {
    /// Checks a challenge for a request whose body has this SHA-256. Without it, whether the
    /// challenge is for this body is not looked at.
    ///
    /// A challenge without a digest binds no body ([`binds_a_body`](Self::binds_a_body)): it was
    /// made for a request without one, or for a route that leaves bodies alone. Ask with the body
    /// that you will send, and compare [`amount`](Self::amount) with what you are ready to pay, and
    /// the invoice's network with your wallet's: no check does that.
    ///
    /// # Errors
    ///
    /// Where it is another method or intent, cannot be read, is over, is for another body, or where
    /// its invoice is for another amount, payment or network.
    pub fn check(
        challenge: Challenge<'a>,
        body_hash: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> Result<Self, ChallengeError> {
        let ensure = |holds: bool, reason| {
            if holds {
                Ok(())
            } else {
                Err(ChallengeError(reason))
            }
        };
        ensure(
            challenge.method == METHOD && challenge.intent == CHARGE,
            "neither method lightning nor intent charge",
        )?;
        ensure(
            challenge
                .header
                .as_deref()
                .is_none_or(|header| header == HEADER),
            "an unknown credential header",
        )?;
        let unreadable = ChallengeError("a request that cannot be read");
        let request = base64::decode_url(&*challenge.request).ok_or(unreadable)?;
        let request: ChargeRequest<'_> = wire::from_json(&request).ok_or(unreadable)?;
        let details = &request.method_details;
        let invoice = Invoice::parse(&details.invoice)
            .map_err(|_| ChallengeError("an invoice that cannot be read"))?;
        ensure(request.currency == "sat", "a currency other than sat")?;
        let sat = wire::digits(&request.amount).filter(|sat| *sat > 0);
        let amount = sat
            .and_then(Amount::try_from_sat)
            .ok_or(ChallengeError("an amount that is no positive integer"))?;
        ensure(
            invoice.amount() == Some(amount),
            "an invoice for another amount",
        )?;
        let network = details.network.as_deref().unwrap_or("mainnet");
        ensure(
            wire::network_name(invoice.network()) == Some(network),
            "an invoice on another network",
        )?;
        let hash = details.payment_hash.as_deref();
        let is_same =
            |hash: &str| hex::decode_lower(hash) == Some(*invoice.payment_hash().as_bytes());
        ensure(
            hash.is_none_or(is_same),
            "an invoice for another payment hash",
        )?;
        let expires = match challenge.expires.as_deref() {
            Some(text) => {
                wire::from_rfc3339(text).ok_or(ChallengeError("an expiry that cannot be read"))?
            }
            None => Timestamp::MAX,
        };
        let expires_at = expires.min(invoice.expires_at());
        ensure(now < expires_at, "its time is over")?;
        let is_body = |text: &str| {
            wire::digest(text).is_some_and(|digest| body_hash.is_none_or(|hash| *hash == digest))
        };
        ensure(
            challenge.digest.as_deref().is_none_or(is_body),
            "a digest of another body",
        )?;
        Ok(Self {
            challenge,
            invoice,
            amount,
            expires_at,
        })
    }

    /// Whether the challenge names the digest of one body, which [`check`](Self::check) has
    /// compared where it was told the hash.
    #[must_use]
    pub const fn binds_a_body(&self) -> bool {
        self.challenge.digest.is_some()
    }

    /// What is to be paid.
    #[must_use]
    pub const fn invoice(&self) -> &Invoice {
        &self.invoice
    }

    /// How much.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// Until when the credential must be presented: the invoice's end or the challenge's, whichever
    /// is earlier.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The challenge.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge<'a> {
        &self.challenge
    }

    /// The header line to present, marked sensitive; `None` where the preimage is not this
    /// payment's.
    #[must_use]
    pub fn credential(&self, preimage: &Preimage) -> Option<(HeaderName, HeaderValue)> {
        self.invoice.payment_hash().is_of(preimage).then_some(())?;
        let credential = Credential::new(self.challenge.clone(), preimage);
        Some((credential.header_name(), credential.to_header_value()?))
    }
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "challenge refused: {}", self.0)
    }
}

impl std::error::Error for ChallengeError {}
