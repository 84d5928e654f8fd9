//! What a charge says of the past of its route, so that a redeploy does not void what was sold.

use super::Charge;
use crate::clock::Timestamp;

impl Charge {
    /// Names a charge that this route had before. What it sold is accepted in every dialect, and
    /// never offered. Call it once for each, and remove it after the last credential of that charge
    /// has ended: for one request that is a day after the redeploy (see
    /// [`PaywallBuilder::redeem_within`](super::PaywallBuilder::redeem_within)).
    ///
    /// What it sold is served for its old price, also if today's price function reads headers that
    /// the old charge did not bind. The answer to a duration that was sold with
    /// [`ends_streams`](Self::ends_streams) still ends with it.
    ///
    /// ```
    /// use tower_x402::{Amount, server::{Charge, price_fn}};
    ///
    /// let before = Charge::new(Amount::from_sat(10));
    /// let by_size = price_fn(|q| async move {
    ///     Ok(Some(Amount::from_sat(if q.header("x-size") == Some("large") { 100 } else { 10 })))
    /// });
    /// let today = Charge::new(by_size).reads_headers(["x-size"]).earlier(before);
    /// # let _ = today;
    /// ```
    pub fn earlier(mut self, charge: impl Into<Self>) -> Self {
        self.earlier.push(charge.into());
        self
    }

    /// Names a pattern that this route had before, written as the rule's own: `/weather/{city}`, in
    /// a nest without the nest's prefix. What was bought for it, several uses or a duration, opens
    /// this route.
    ///
    /// The old pattern must not be sold elsewhere at the same time, because what is bought there
    /// opens this route too. In a table that is an error, unless the other rule sells the same
    /// access at a fixed price that is not lower, and binds at least the same headers. So a rule may be
    /// split in two. If the new pattern
    /// matches more paths than the old one, what was sold opens these too.
    ///
    /// Under a price function a credential is bound to what the pattern captured. It is then
    /// accepted only if the new pattern captures the same values.
    ///
    /// A credential for one request is bound to its URL and not to a pattern. It stays valid if the
    /// old URL is still served.
    pub fn former_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.former_patterns.push(pattern.into());
        self
    }

    /// Names the whole route that this one had before, with the prefix of its nest: `/v1/weather/{city}`.
    /// Use it if the prefix changed. Otherwise it is like [`former_pattern`](Self::former_pattern).
    pub fn former_route(mut self, route: impl Into<String>) -> Self {
        self.former_routes.push(route.into());
        self
    }

    /// Refuses what was sold on this route before this second, in every dialect, also by its earlier
    /// charges and former patterns. The reason is that of a revoked payment. Say it on each charge
    /// that it is meant for.
    ///
    /// A sale is dated by its invoice, in whole seconds: what was sold in the second of the moment
    /// stays valid. A client that pays an older invoice afterwards has paid for nothing. Write a
    /// fixed moment: with the time of the start, each restart voids what was sold. A moment in the
    /// future is an error, because what is sold until then would be refused. L402 tokens of versions
    /// that did not note the moment are refused too.
    pub fn sold_since(mut self, since: Timestamp) -> Self {
        self.sold_since = Some(since);
        self
    }
}

impl Charge {
    /// Returns whether the charge says anything of the past.
    pub(super) fn has_history(&self) -> bool {
        !self.earlier.is_empty()
            || !self.former_patterns.is_empty()
            || !self.former_routes.is_empty()
            || self.sold_since.is_some()
    }
}
