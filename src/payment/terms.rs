use std::{num::NonZeroU32, time::Duration};

use super::Network;
use crate::clock::Timestamp;

/// How far two clocks may differ.
pub(crate) const SKEW: Duration = Duration::from_secs(60);

/// What one payment buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// One request, with exactly the method, path and query that were priced.
    Once,
    /// This many requests with the priced method and route pattern.
    Uses(NonZeroU32),
    /// Any number of requests with the priced method and route pattern, until this long after the
    /// invoice expires.
    ForDuration(Duration),
}

/// The description of what is sold, as a charge sets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    pub(crate) description: Option<String>,
    pub(crate) mime_type: Option<String>,
    pub(crate) service_name: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) icon_url: Option<String>,
}

/// What this server asks for a request, except the amount. Fixed when the layer is built.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) network: Network,
    /// The receiver's compressed public key, if it is known.
    pub(crate) pay_to: Option<[u8; 33]>,
    pub(crate) access: Access,
    pub(crate) resource: Resource,
    /// The names of the headers whose values are bound: lower case, sorted, unique.
    pub(crate) bound_headers: Vec<String>,
    /// The body is passed through unread. A dialect that must hash the body is not offered.
    pub(crate) streams_body: bool,
    /// The route is a gRPC method: only a dialect that gRPC clients speak is offered and read, and no
    /// body is.
    pub(crate) is_grpc: bool,
    /// What is bound besides method and place, in the words of `dialect::bound`. Empty if nothing
    /// is.
    pub(crate) binds: String,
    /// The headers that the price function reads: lower case.
    pub(crate) priced_headers: Vec<String>,
    /// The price function reads the body.
    pub(crate) bound_covers_body: bool,
    /// Every dialect that can bind a body binds `multipart/form-data` too.
    pub(crate) binds_multipart: bool,
    /// The patterns that this route had before, behind the same prefix.
    pub(crate) former_patterns: Vec<String>,
    /// The routes that this one was before, with their prefixes.
    pub(crate) former_routes: Vec<String>,
    /// The patterns of the same table whose credentials must not open this route.
    pub(crate) other_patterns: Vec<String>,
    /// What was sold before this moment is refused.
    pub(crate) sold_since: Option<Timestamp>,
    /// Of charges that this route had before: verified and never offered.
    pub(crate) earlier: Vec<Self>,
    /// How long an invoice can be paid.
    pub(crate) invoice_expiry: Duration,
    /// How long after its invoice expires an L402 credential for one request stays valid; at
    /// least [`SKEW`].
    pub(crate) redeem_within: Duration,
    /// How long after its invoice expires a credential for several requests stays valid; at
    /// least [`SKEW`].
    pub(crate) uses_within: Duration,
    /// How many failed L402 uses of one payment may be given back.
    pub(crate) max_restores: u32,
    /// When the replay store was made, if foreign x402 proofs are accepted. This server did not
    /// quote such a proof, so it must be for the current price. Its invoice must be made after the
    /// store, by more than twice [`SKEW`]. `None` refuses all foreign proofs.
    pub(crate) foreign_proofs_since: Option<Timestamp>,
    /// Answers are kept and given again, so a client may name its payment.
    pub(crate) keeps_answers: bool,
    /// This route uses `Authorization` for something else, so MPP uses `Payment-Authorization`.
    pub(crate) authorization_taken: bool,
}

#[cfg(any(test, feature = "__internals"))]
impl Terms {
    /// Creates terms with the server's defaults, on regtest, for tests and benches.
    pub(crate) fn plain(access: Access) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            network: Network::Regtest,
            pay_to: None,
            access,
            resource: Resource::default(),
            bound_headers: Vec::new(),
            streams_body: false,
            is_grpc: false,
            binds: String::new(),
            priced_headers: Vec::new(),
            bound_covers_body: false,
            binds_multipart: false,
            former_patterns: Vec::new(),
            former_routes: Vec::new(),
            other_patterns: Vec::new(),
            sold_since: None,
            earlier: Vec::new(),
            invoice_expiry: Duration::from_secs(300),
            redeem_within: DAY,
            uses_within: 30 * DAY,
            max_restores: 2,
            foreign_proofs_since: None,
            keeps_answers: false,
            authorization_taken: false,
        }
    }
}

impl Terms {
    /// Returns these terms and those of earlier charges, in the order in which credentials that do
    /// not say what they bind are tried.
    pub(crate) fn and_earlier(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.earlier)
    }

    /// Returns whether anything is bound besides method and place.
    pub(crate) const fn has_bound(&self) -> bool {
        !self.binds.is_empty()
    }

    /// Returns whether what was sold at this moment is void. Of a credential that does not say when
    /// it was sold, nobody can tell.
    pub(crate) fn is_void(&self, sold_at: Option<Timestamp>) -> bool {
        self.sold_since
            .is_some_and(|since| sold_at.is_none_or(|sold_at| sold_at < since))
    }

    /// Returns when the last credential expires that is minted for an invoice that expires at
    /// `invoice_end`, whatever the dialect.
    ///
    /// L402 mints this as its token's expiry, and the other dialects carry it under their MAC. So
    /// all of them give the store the same [`retain_until`], and the store never forgets too early
    /// after a change of configuration.
    pub(crate) fn longest_life(&self, invoice_end: Timestamp) -> Timestamp {
        let l402 = match self.access {
            Access::Once => self.redeem_within,
            Access::Uses(_) => self.uses_within,
            Access::ForDuration(duration) => duration,
        };
        invoice_end.saturating_add(l402.max(SKEW))
    }
}

/// Returns until when the store must remember a payment whose credentials live until
/// `longest_life`.
///
/// That is one hour after the last moment at which a proof could verify on any server: lnbtc,
/// "Settlement and Replay Protection".
pub(crate) fn retain_until(longest_life: Timestamp) -> Timestamp {
    longest_life
        .saturating_add(2 * SKEW)
        .saturating_add(Duration::from_secs(3600))
}
