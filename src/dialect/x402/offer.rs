//! What a client needs of this dialect: see [`ClientHalf`].

use super::{Challenge, Payable};
use crate::{
    clock::Timestamp,
    dialect::client::{ChallengeError, ClientConditions, ClientRequest},
    dialect::{
        HeaderLine,
        offer::{ClientHalf, Offer, Purchase, boxed},
    },
    payment::{Amount, DialectName, Invoice, Preimage, SKEW},
};

pub(super) const CLIENT: ClientHalf = ClientHalf {
    announcement: None,
    in_headers: |headers| boxed(Challenge::in_headers(headers)),
    in_body: |text| boxed(Challenge::in_json(text)),
    restore: |text| Ok(Box::new(Payable::from_json(text)?)),
};

impl Offer for Challenge {
    fn dialect(&self) -> DialectName {
        DialectName::X402
    }

    fn description(&self) -> Option<&str> {
        self.resource()?.get("description")?.as_str()
    }

    fn check(
        &self,
        request: &ClientRequest<'_>,
        conditions: &ClientConditions,
    ) -> Result<Box<dyn Purchase>, ChallengeError> {
        Ok(Box::new(Payable::check(self, request, conditions)?))
    }
}

impl Purchase for Payable {
    fn dialect(&self) -> DialectName {
        DialectName::X402
    }

    fn invoice(&self) -> &Invoice {
        self.invoice()
    }

    fn amount(&self) -> Amount {
        self.amount()
    }

    fn expires_at(&self) -> Timestamp {
        self.expires_at()
    }

    /// Servers accept the credential so long after the invoice's expiry (`lnbtc`, "Facilitator
    /// Validation").
    fn redeem_until(&self) -> Timestamp {
        self.expires_at().saturating_add(SKEW)
    }

    fn credential(&self, preimage: &Preimage) -> Option<HeaderLine> {
        self.credential(preimage)
    }

    fn can_be_sent(&self) -> bool {
        self.value(&Preimage::from_bytes([0; 32])).is_some()
    }

    fn is_for(&self, request: &ClientRequest<'_>) -> bool {
        self.binds(request)
    }

    fn compares_headers(&self) -> bool {
        true
    }

    fn is_reusable(&self) -> bool {
        false
    }

    fn to_json(&self) -> String {
        self.to_json()
    }
}
