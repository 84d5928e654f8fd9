//! The client's half of a dialect, behind one door: what a 402 offers, and what is bought with it.

use std::fmt;

use http::HeaderMap;

use super::{
    HeaderLine,
    client::{ChallengeError, ClientConditions, ClientRequest},
};
use crate::{
    clock::Timestamp,
    payment::{Amount, DialectName, Invoice, Preimage},
};

/// One way to pay that a 402 names. Nothing of it is checked yet.
pub(crate) trait Offer: fmt::Debug + Send + Sync {
    fn dialect(&self) -> DialectName;

    /// Returns what is sold, in the server's words.
    fn description(&self) -> Option<&str>;

    /// Checks it as the dialect's `Payable::check` does.
    fn check(
        &self,
        request: &ClientRequest<'_>,
        conditions: &ClientConditions,
    ) -> Result<Box<dyn Purchase>, ChallengeError>;
}

/// An offer that passed its dialect's checks: its invoice can be paid, and its credential sent.
pub(crate) trait Purchase: fmt::Debug + Send + Sync {
    fn dialect(&self) -> DialectName;

    fn invoice(&self) -> &Invoice;

    fn amount(&self) -> Amount;

    /// Returns from when on it must not be paid.
    fn expires_at(&self) -> Timestamp;

    /// Returns from when on the server refuses the credential, as far as a client can know.
    fn redeem_until(&self) -> Timestamp;

    /// Returns the header line to send. `None` if the preimage is not the invoice's.
    fn credential(&self, preimage: &Preimage) -> Option<HeaderLine>;

    /// Returns whether this can be sent at all, whatever the preimage will be. A credential that is
    /// too long for a header must not be paid.
    fn can_be_sent(&self) -> bool;

    /// Returns whether it was bought for this request, as far as a client can know.
    fn is_for(&self, request: &ClientRequest<'_>) -> bool;

    /// Returns whether [`is_for`](Self::is_for) compares each header that the server binds.
    fn compares_headers(&self) -> bool;

    /// Returns whether the credential opens more than the one request.
    fn is_reusable(&self) -> bool;

    /// Returns it as the text that [`ClientHalf::restore`] reads. It may be a secret.
    fn to_json(&self) -> String;
}

/// What a client needs of a dialect.
pub(crate) struct ClientHalf {
    /// The request field, and its value, that tells a server that the client speaks it.
    pub(crate) announcement: Option<(&'static str, &'static str)>,
    /// The offers in the headers of a 402, in their order.
    pub(crate) in_headers: fn(&HeaderMap) -> Vec<Box<dyn Offer>>,
    /// The offers in the body of a 402, in their order.
    pub(crate) in_body: fn(&str) -> Vec<Box<dyn Offer>>,
    /// Reads what [`Purchase::to_json`] returned.
    pub(crate) restore: fn(&str) -> Result<Box<dyn Purchase>, ChallengeError>,
}

/// Returns a dialect's challenges as offers, in their order.
#[cfg(any(feature = "l402", feature = "mpp", feature = "x402"))]
pub(super) fn boxed(challenges: Vec<impl Offer + 'static>) -> Vec<Box<dyn Offer>> {
    let offers = challenges.into_iter();
    offers.map(|offer| Box::new(offer) as _).collect()
}
