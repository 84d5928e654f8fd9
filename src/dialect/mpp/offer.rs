//! What a client needs of this dialect: see [`ClientHalf`].

use super::{Challenge, Payable};
use crate::{
    clock::Timestamp,
    dialect::client::{ChallengeError, ClientConditions, ClientRequest},
    dialect::{
        HeaderLine,
        offer::{ClientHalf, Offer, Purchase, boxed},
    },
    payment::{Amount, DialectName, Invoice, Preimage},
};

pub(super) const CLIENT: ClientHalf = ClientHalf {
    announcement: Some(("accept-payment", "lightning/charge")),
    in_headers: |headers| boxed(Challenge::in_headers(headers)),
    in_body: |_| Vec::new(),
    restore: |text| Ok(Box::new(Payable::from_json(text)?)),
};

impl Offer for Challenge<'static> {
    fn dialect(&self) -> DialectName {
        DialectName::Mpp
    }

    fn description(&self) -> Option<&str> {
        self.description.as_deref()
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
        DialectName::Mpp
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

    fn redeem_until(&self) -> Timestamp {
        self.expires_at()
    }

    fn credential(&self, preimage: &Preimage) -> Option<HeaderLine> {
        self.credential(preimage)
    }

    fn can_be_sent(&self) -> bool {
        self.value(&Preimage::from_bytes([0; 32])).is_some()
    }

    fn is_for(&self, request: &ClientRequest<'_>) -> bool {
        self.is_of_body(request)
    }

    fn compares_headers(&self) -> bool {
        false
    }

    fn is_reusable(&self) -> bool {
        false
    }

    fn to_json(&self) -> String {
        self.to_json()
    }
}
