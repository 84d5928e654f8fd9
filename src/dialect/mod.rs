//! How each protocol expresses the nouns of a payment over HTTP. Everything here is a pure
//! function: no clock, no store, no node.

#[cfg(any(feature = "l402", feature = "mpp"))]
mod accept_authenticate;
pub(crate) mod bound;
pub(crate) mod client;
mod demands;
mod held;
pub(crate) mod keys;
pub(crate) mod list;
mod mac;
#[cfg(feature = "client")]
pub(crate) mod offer;
#[cfg_attr(not(feature = "mpp"), allow(unreachable_pub))] // MPP hands it out
pub(crate) mod problem;
#[cfg(all(test, feature = "l402", feature = "mpp", feature = "x402"))]
#[path = "tests/refusals.rs"]
mod refusals;
mod route;
mod secret_error;
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

use self::keys::{OriginKeys, Purpose};
pub(crate) use self::{
    mac::MacKey,
    route::{Captures, Route, nameless},
    view::{Carrier, RequestView, authority},
};
use crate::{
    clock::Timestamp,
    payment::{
        Amount, DialectName, Invoice, Network, PaymentHash, PaymentReceipt, Proof, Refusal, Terms,
    },
};

/// A protocol, as the server uses it. The methods stand in the order in which the server calls
/// them.
pub(crate) trait Dialect: fmt::Debug + Send + Sync {
    fn name(&self) -> DialectName;

    /// Why this dialect cannot be spoken for a receiver on this network, with this public key.
    fn receiver_fault(
        &self,
        _network: Network,
        _public_key: Option<&[u8; 33]>,
    ) -> Option<&'static str> {
        None
    }

    /// Whether its credentials may stand in `Authorization`.
    fn is_in_authorization(&self, authorization_taken: bool) -> bool;

    /// Whether proofs for invoices of other servers can count.
    fn takes_foreign_proofs(&self) -> bool {
        false
    }

    /// Its code for a refusal to make another invoice, in a 429.
    fn issuance_denied(&self) -> Option<&'static str> {
        None
    }

    /// The form of a credential, for a client that sent one that cannot be read.
    fn credential_form(&self) -> &'static str;

    /// Why this dialect cannot sell on these terms, and what to change; `None` if it can. Asked
    /// when a layer is built, with the amount of a fixed price, and again before a challenge.
    fn cannot_sell(&self, terms: &Terms, amount: Option<Amount>) -> Option<&'static str>;

    /// Whether this dialect can sell on these terms, at this amount if it is known already.
    fn offers(&self, terms: &Terms, amount: Option<Amount>) -> bool {
        self.cannot_sell(terms, amount).is_none()
    }

    /// Returns whether a challenge for this request cannot be made without the body's hash.
    fn binds_body(&self, view: &RequestView<'_>, terms: &Terms) -> bool;

    /// Returns the credential of this dialect in the request's head, authenticated as far as the
    /// head allows: `view.body_hash` is not known yet.
    fn credential(&self, view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Presented;

    /// Returns the identifier that the client gave this payment, so that it counts once.
    ///
    /// # Errors
    ///
    /// Why it is none.
    fn identifier(&self, _headers: &HeaderMap) -> Result<Option<String>, &'static str> {
        Ok(None)
    }

    /// Returns the refusal of a genuine credential that is used up.
    fn spent(&self) -> Refusal;

    /// Returns the refusal of a genuine credential that the operator revoked.
    fn revoked(&self) -> Refusal;

    /// Returns the refusal of a credential whose invoice the receiver calls unpaid.
    fn unpaid(&self) -> Refusal;

    /// Returns what the invoice must commit to, or `Ok(None)` if any invoice will do. `Err` if this
    /// dialect cannot express the request: the challenge then leaves the dialect out.
    fn description(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
    ) -> Result<Option<Committed>, Unsayable>;

    /// Returns whether the request says that its client speaks this dialect. A credential does not
    /// count.
    fn is_named(&self, _headers: &HeaderMap) -> bool {
        false
    }

    /// Returns whether its released clients say in each request that they speak it. A request that
    /// does not comes from a client of another dialect, most likely.
    fn is_named_by_clients(&self) -> bool {
        false
    }

    /// Returns the challenge lines for a checked invoice. The server sorts the lines of all
    /// dialects by rank.
    fn challenge(&self, asked: &Asked<'_>) -> Result<Vec<ChallengeLine>, Unsayable>;

    /// Returns the receipt line of an answer with this status.
    fn receipt(
        &self,
        receipt: &PaymentReceipt,
        status: StatusCode,
        now: Timestamp,
    ) -> Option<HeaderLine>;

    /// Returns the line of this dialect's own that says why its credential was refused.
    fn refusal(&self, refusal: &Refusal, terms: &Terms) -> Option<HeaderLine>;

    /// Looks at a refusal again once the body is known: in some dialects another reason takes
    /// precedence.
    fn reconsider(&self, refusal: Refusal, _view: &RequestView<'_>, _terms: &Terms) -> Refusal {
        refusal
    }

    /// Removes this dialect's credentials from the request's headers, and nothing else.
    fn strip(&self, headers: &mut HeaderMap, terms: &Terms);

    /// Moves this dialect's credentials that this server issued out of the request's headers, and
    /// nothing else: whatever they were bought for, paid or not, spent and expired ones too. For
    /// requests without terms.
    fn take_own(&self, headers: &mut HeaderMap, issuer: &Issuer<'_>) -> Vec<HeaderLine>;
}

/// What tells the credentials of this server from those of others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issuer<'a> {
    /// The keys of each origin.
    pub(crate) keys: &'a [OriginKeys],
    pub(crate) network: Network,
    /// The receiver's public key, if proofs that another server issued for it are accepted.
    pub(crate) foreign: Option<[u8; 33]>,
}

/// A dialect as the list of dialects has it: what is known before a paywall is built.
pub(crate) struct Listed {
    pub(crate) name: DialectName,
    pub(crate) fields: HttpFields,
    /// What it derives keys for.
    pub(crate) purposes: &'static [Purpose],
    #[cfg(feature = "client")]
    pub(crate) client: offer::ClientHalf,
    /// Makes it with these settings. The error says which setting is wrong, and what it must be.
    pub(crate) make: fn(&Options<'_>) -> Result<Box<dyn Dialect>, String>,
}

/// The HTTP fields of a dialect, in lower case.
pub(crate) struct HttpFields {
    /// Request fields that hold nothing but its credentials.
    pub(crate) credentials: &'static [&'static str],
    /// Request fields in which its credentials stand beside those of others.
    pub(crate) shared: &'static [&'static str],
    /// Request fields that a page's client sends and no other protocol has.
    pub(crate) requests: &'static [&'static str],
    /// Answer fields that its clients read and no other protocol has.
    pub(crate) answers: &'static [&'static str],
}

/// The settings of a paywall that are for one dialect alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options<'a> {
    /// The service in L402's `services` caveat; without it, the origin's host.
    pub(crate) l402_service: Option<&'a str>,
}

/// The text that an invoice's description hash commits to.
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
    /// The hash that a dialect wanted this request's invoice to commit to.
    pub(crate) committed: Option<&'a [u8; 32]>,
    /// Why a credential was refused, of this dialect or another.
    pub(crate) refused: Option<&'a Refusal>,
    /// Leaves out what a client can pay without: copies for older clients, and optional members.
    pub(crate) brief: bool,
}

/// What a request's head holds of one dialect.
#[derive(Debug)]
pub(crate) enum Presented {
    /// No credential.
    Absent,
    /// A credential that is authentic as far as the head shows.
    Authentic(Box<dyn Claim>),
    /// A credential that is not authentic. A new payment helps.
    Refused(Refusal),
    /// A mistake that no payment can fix (400), with what to do instead.
    Wrong(&'static str),
}

/// An authenticated credential, before it becomes a [`Proof`].
pub(crate) trait Claim: fmt::Debug + Send {
    fn payment_hash(&self) -> PaymentHash;

    /// Returns the credential to try if this one is refused: some dialects accept several in one
    /// request.
    fn next(self: Box<Self>) -> Option<Box<dyn Claim>> {
        None
    }

    /// Returns whether it is all that `Authorization` holds, so that it is removed with the field.
    fn is_alone(&self) -> bool {
        false
    }

    /// Returns how many uses the credential buys, as far as the head shows. `None` if uses are not
    /// counted.
    fn uses(&self, _view: &RequestView<'_>, _terms: &Terms, _now: Timestamp) -> Option<NonZeroU32> {
        Some(NonZeroU32::MIN)
    }

    /// Returns whether verifying needs the body's hash.
    fn needs_body(&self, terms: &Terms) -> bool;

    /// Returns whether it binds what these terms bind, as far as the head shows. Otherwise an earlier
    /// charge sold it, or another layer.
    fn is_of(&self, terms: &Terms) -> bool;

    /// Returns whether verifying needs the current price, as for a proof that this operator did not
    /// issue.
    fn needs_price(&self) -> bool {
        false
    }

    /// Checks everything that the head left open. `price` is given if
    /// [`needs_price`](Self::needs_price) returned true.
    fn verify(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        price: Option<Amount>,
        now: Timestamp,
    ) -> Result<Proof, Refusal>;
}

/// The dialect cannot express the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsayable;

pub(crate) type HeaderLine = (HeaderName, HeaderValue);

/// A line of a challenge, and its place among the lines of all dialects.
#[derive(Clone, Debug)]
pub(crate) struct ChallengeLine {
    pub(crate) rank: Rank,
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

/// The place of a challenge line, in this order: some released clients read only the first or the
/// last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// `Payment`, if the request asked for it with `Accept-Payment`.
    PaymentPreferred,
    L402,
    Payment,
    Lsat,
    PaymentRequired,
}
