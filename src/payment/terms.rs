use std::{num::NonZeroU32, time::Duration};

use super::Network;
use crate::clock::Timestamp;

/// How far clocks may disagree.
pub(crate) const SKEW: Duration = Duration::from_secs(60);

/// What one payment buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// One request, of exactly the method, path and query that were priced.
    Once,
    /// So many requests of the priced method and pattern.
    Uses(NonZeroU32),
    /// Any number of requests of the priced method and pattern, for this long after the invoice's
    /// end.
    ForDuration(Duration),
}

/// What a charge says about the thing that is sold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    pub(crate) description: Option<String>,
    pub(crate) mime_type: Option<String>,
    pub(crate) service_name: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) icon_url: Option<String>,
}

/// What this server asks for a request, but for the amount: fixed when the layer is built.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) network: Network,
    /// The receiver's public key, where it has told us.
    pub(crate) pay_to: Option<[u8; 33]>,
    pub(crate) access: Access,
    pub(crate) resource: Resource,
    /// Names of the headers whose values are bound, lower case, sorted, unique.
    pub(crate) bound_headers: Vec<String>,
    /// The body is left alone: a dialect that must hash it does not offer this.
    pub(crate) streams_body: bool,
    /// A price function (or bound headers) makes `RequestView::bound` part of what was bought.
    pub(crate) has_bound: bool,
    /// `RequestView::bound` covers the body.
    pub(crate) bound_covers_body: bool,
    pub(crate) invoice_expiry: Duration,
    /// How long after the invoice's end a `once` credential of L402 stays valid, and no less than
    /// [`SKEW`].
    pub(crate) redeem_within: Duration,
    /// How long after the invoice's end a `uses` credential stays valid, and no less than [`SKEW`].
    pub(crate) uses_within: Duration,
    /// How often a failed use of L402 may be given back, for one payment.
    pub(crate) max_restores: u32,
    /// An x402 proof that this operator did not issue may settle at the current price, if its
    /// invoice is younger than the replay store, which exists since then. Otherwise never.
    pub(crate) foreign_proofs_since: Option<Timestamp>,
    /// `Authorization` is in use for something else on this route: MPP selects
    /// `Payment-Authorization`.
    pub(crate) authorization_taken: bool,
}

#[cfg(any(test, feature = "__internals"))]
impl Terms {
    /// With the defaults of the server, on regtest: for tests and benches.
    pub(crate) fn plain(access: Access) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            network: Network::Regtest,
            pay_to: None,
            access,
            resource: Resource::default(),
            bound_headers: Vec::new(),
            streams_body: false,
            has_bound: false,
            bound_covers_body: false,
            invoice_expiry: Duration::from_secs(300),
            redeem_within: DAY,
            uses_within: 30 * DAY,
            max_restores: 2,
            foreign_proofs_since: None,
            authorization_taken: false,
        }
    }
}

impl Terms {
    /// The last moment of any credential that is counted and minted for an invoice that ends at
    /// `invoice_end`, whatever the dialect. L402 mints it as its token's end, the others carry it
    /// under their MAC: all ask the store for the same [`retain_until`], and a change of
    /// configuration never makes it forget too early.
    pub(crate) fn longest_life(&self, invoice_end: Timestamp) -> Timestamp {
        let l402 = match self.access {
            Access::Once => self.redeem_within,
            Access::Uses(_) => self.uses_within,
            Access::ForDuration(duration) => duration,
        };
        invoice_end.saturating_add(l402.max(SKEW))
    }
}

/// How long the store must remember a payment whose credentials live until `longest_life`.
///
/// Kept one hour past the last moment at which a proof could verify anywhere: lnbtc, "Settlement
/// and Replay Protection".
pub(crate) fn retain_until(longest_life: Timestamp) -> Timestamp {
    longest_life
        .saturating_add(2 * SKEW)
        .saturating_add(Duration::from_secs(3600))
}
