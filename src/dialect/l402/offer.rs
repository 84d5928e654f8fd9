//! What a client needs of this dialect: see [`ClientHalf`].

use std::time::Duration;

use http::HeaderValue;

use super::{
    Challenge, Payable,
    caveat::{TARGET, VALID_UNTIL, decimal, split},
};
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
    announcement: Some(("accept-authenticate", "L402")),
    in_headers: |headers| boxed(Challenge::in_headers(headers)),
    in_body: |_| Vec::new(),
    restore: |text| Ok(Box::new(Payable::from_json(text)?)),
};

/// How long a token without an expiry that can be read is presented.
const UNSAID: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a token is presented at most, whatever it says.
const MOST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Offer for Challenge {
    fn dialect(&self) -> DialectName {
        DialectName::L402
    }

    fn description(&self) -> Option<&str> {
        None
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
        DialectName::L402
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
        let unsaid = self.expires_at().saturating_add(UNSAID);
        let Some(macaroon) = self.challenge().macaroon() else {
            return unsaid;
        };
        let untils = macaroon.caveats().filter_map(|caveat| {
            let (name, value) = split(caveat)?;
            let until = decimal(value).filter(|_| name == VALID_UNTIL)?;
            Some(Timestamp::from_unix_seconds(until))
        });
        let most = self.expires_at().saturating_add(MOST);
        untils.min().unwrap_or(unsaid).min(most)
    }

    fn credential(&self, preimage: &Preimage) -> Option<HeaderLine> {
        self.credential(preimage)
    }

    fn can_be_sent(&self) -> bool {
        let value: HeaderValue = self.challenge().answer(&Preimage::from_bytes([0; 32]));
        !value.is_empty()
    }

    fn is_for(&self, _: &ClientRequest<'_>) -> bool {
        true
    }

    fn compares_headers(&self) -> bool {
        false
    }

    /// A token of this crate's server that names a target buys one request. What another server's
    /// token opens is not known: it is tried, and dropped if it is refused.
    fn is_reusable(&self) -> bool {
        let macaroon = self.challenge().macaroon();
        !macaroon.is_some_and(|macaroon| {
            let mut names = macaroon.caveats().filter_map(split);
            names.any(|(name, _)| name == TARGET)
        })
    }

    fn to_json(&self) -> String {
        self.to_json()
    }
}
