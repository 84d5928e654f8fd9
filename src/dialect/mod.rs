//! How each protocol says the nouns of a payment over HTTP. Pure functions: no clock, no store, no
//! node.

pub(crate) mod keys;
mod mac;
#[cfg(all(test, feature = "l402", feature = "mpp", feature = "x402"))]
#[path = "tests/refusals.rs"]
mod refusals;
pub(crate) mod secrets;
mod strength;
mod view;

#[cfg(feature = "l402")]
pub mod l402;
#[cfg(feature = "mpp")]
pub mod mpp;
#[cfg(feature = "x402")]
pub mod x402;

use std::{fmt, num::NonZeroU32};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use self::keys::OriginKeys;
pub(crate) use self::{
    mac::MacKey,
    view::{RequestView, authority},
};
use crate::{
    clock::Timestamp,
    payment::{
        Amount, DialectName, Invoice, Network, PaymentHash, PaymentReceipt, Proof, Refusal, Terms,
    },
};

/// A protocol, as the server needs it, in the order in which it asks.
pub(crate) trait Dialect: fmt::Debug + Send + Sync {
    fn name(&self) -> DialectName;

    /// Whether this dialect can say these terms, at this amount where it is known already. Asked
    /// when a layer is built (amount of a fixed price) and again before a challenge.
    fn offers(&self, terms: &Terms, amount: Option<Amount>) -> bool;

    /// Whether a credential of this dialect cannot be verified without the body's hash.
    fn binds_body(&self, terms: &Terms) -> bool;

    /// The credential of this dialect in the request's head, authenticated as far as the head
    /// allows (`view.body_hash` and, where it covers the body, `view.bound` are not there yet).
    fn credential(&self, view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Presented;

    /// The refusal of a genuine credential that is used up.
    fn spent(&self) -> Refusal;

    /// The refusal of a genuine credential that the operator withdrew.
    fn revoked(&self) -> Refusal;

    /// The refusal of a credential whose invoice the receiver calls unpaid.
    fn unpaid(&self) -> Refusal;

    /// What the invoice must commit to: `Err` where this request cannot be said in this dialect (it
    /// is then left out of the challenge), `Ok(None)` where any invoice will do.
    fn description(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
    ) -> Result<Option<Committed>, Unsayable>;

    /// The challenge lines for a checked invoice; the server sorts all dialects' lines by rank.
    fn challenge(&self, asked: &Asked<'_>) -> Result<Vec<ChallengeLine>, Unsayable>;

    /// The receipt line of an answer with this status.
    fn receipt(
        &self,
        receipt: &PaymentReceipt,
        status: StatusCode,
        now: Timestamp,
    ) -> Option<HeaderLine>;

    /// The line of this dialect's own that tells why its credential was refused.
    fn refusal(&self, refusal: &Refusal, terms: &Terms) -> Option<HeaderLine>;

    /// The refusal, looked at again once the body is known: some dialects have a word that goes
    /// before.
    fn reconsider(&self, refusal: Refusal, _view: &RequestView<'_>, _terms: &Terms) -> Refusal {
        refusal
    }

    /// Takes this dialect's credentials out of the request's headers, and nothing else.
    fn strip(&self, headers: &mut HeaderMap, terms: &Terms);

    /// Moves the credentials of this dialect that this server issued out of the request's headers,
    /// and nothing else: whatever they were bought for, paid or not, spent and expired ones too.
    /// For requests without terms.
    fn take_own(&self, headers: &mut HeaderMap, issuer: &Issuer<'_>) -> Vec<HeaderLine>;
}

/// What tells the credentials of this server from those of others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issuer<'a> {
    /// The keys of each origin.
    pub(crate) keys: &'a [OriginKeys],
    pub(crate) network: Network,
    /// The receiver's public key, if proofs count here that another server issued for it.
    pub(crate) foreign: Option<[u8; 33]>,
}

/// Whether a request has a field that may hold a credential of any dialect.
pub(crate) fn may_hold_credential(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        matches!(
            name.as_str(),
            "authorization"
                | "payment-authorization"
                | "payment-signature"
                | "macaroon"
                | "grpc-metadata-macaroon"
        )
    })
}

/// What an invoice's description hash stands for.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) text: String,
    /// SHA-256 of the text.
    pub(crate) hash: [u8; 32],
}

/// What a challenge is made from.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) view: &'a RequestView<'a>,
    pub(crate) terms: &'a Terms,
    pub(crate) amount: Amount,
    pub(crate) invoice: &'a Invoice,
    /// The hash of what a dialect wanted this request's invoice to commit to.
    pub(crate) committed: Option<&'a [u8; 32]>,
    /// Why a credential was refused, of this dialect or another.
    pub(crate) refused: Option<&'a Refusal>,
}

/// What a request's head holds of one dialect.
#[derive(Debug)]
pub(crate) enum Presented {
    /// Nothing.
    Absent,
    /// A credential that is authentic as far as the head tells.
    Authentic(Box<dyn Claim>),
    /// One that is not: a new payment can cure it.
    Refused(Refusal),
    /// Something that no payment can cure (400), with what to do instead.
    Wrong(&'static str),
}

/// An authenticated credential, on its way to a [`Proof`].
pub(crate) trait Claim: fmt::Debug + Send {
    fn payment_hash(&self) -> PaymentHash;

    /// The credential to try where this one is refused after all: some dialects take several in one
    /// request.
    fn next(self: Box<Self>) -> Option<Box<dyn Claim>> {
        None
    }

    /// Whether it is all that `Authorization` holds, so that it is taken out with the field.
    fn is_alone(&self) -> bool {
        false
    }

    /// How many uses the credential is good for, as far as the head tells. `None` if nothing is
    /// counted.
    fn uses(&self, _view: &RequestView<'_>, _terms: &Terms, _now: Timestamp) -> Option<NonZeroU32> {
        Some(NonZeroU32::MIN)
    }

    /// Whether the current price must be known to verify it (a proof that this operator did not
    /// issue).
    fn needs_price(&self) -> bool {
        false
    }

    /// Checks all that the head left open. `price` is there where
    /// [`needs_price`](Self::needs_price) asked for it.
    fn verify(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        price: Option<Amount>,
        now: Timestamp,
    ) -> Result<Proof, Refusal>;
}

/// A request that a dialect cannot say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsayable;

pub(crate) type HeaderLine = (HeaderName, HeaderValue);

/// A line of a challenge with its place among all of them.
#[derive(Clone, Debug)]
pub(crate) struct ChallengeLine {
    pub(crate) rank: Rank,
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

/// The place of a challenge line: released clients read the first or the last line only. In their
/// order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// `Payment`, where the request asked for it with `Accept-Payment`.
    PaymentPreferred,
    L402,
    Payment,
    Lsat,
    PaymentRequired,
}
