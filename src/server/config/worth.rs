//! Whether what one charge sells may be served under another.

use super::Charge;
use crate::payment::Access;

impl Charge {
    /// Returns whether what this charge sells may open a route with the other one: the same access,
    /// at a fixed price that is not lower, bound to all headers that the other one binds.
    pub(in crate::server) fn covers(&self, other: &Self) -> bool {
        let prices = self.price.fixed().zip(other.price.fixed());
        let binds = |name: &String| {
            let mut own = self.bound_headers.iter();
            own.any(|bound| bound.eq_ignore_ascii_case(name))
        };
        self.access() == other.access()
            && prices.is_some_and(|(own, other)| own >= other)
            && other.bound_headers.iter().all(binds)
    }

    /// Returns whether a payment for one is worth a payment for the other, whatever is served: one
    /// request at the same fixed price, bound to the same. A price function reads the captures of
    /// its own pattern, access to a pattern is not access to another, and each free allowance
    /// counts for itself.
    pub(in crate::server) fn is_worth(&self, other: &Self) -> bool {
        // Every field is named, so that a new one is thought about here.
        let Self {
            price,
            access: _,
            bound_headers,
            stream_body,
            authorization_taken,
            free_per_day,
            free_allowance,
            failures,
            bind_multipart,
            grpc,
            earlier,
            former_patterns: _,
            former_routes: _,
            other_patterns: _,
            sold_since,
            // Only for a duration.
            ends_streams: _,
            // Only who paid for it gets a kept answer.
            kept: _,
            // A fixed price without a free allowance lets nothing through for free.
            free_is_public: _,
            // Only a price function reads these.
            read_headers: _,
            reads_body: _,
            // Only shown.
            description: _,
            mime_type: _,
            service_name: _,
            tags: _,
            icon_url: _,
        } = self;
        let is_once = |charge: &Self| charge.access() == Access::Once;
        price.fixed().is_some()
            && price.fixed() == other.price.fixed()
            && is_once(self)
            && is_once(other)
            && *bound_headers == other.bound_headers
            && *stream_body == other.stream_body
            && *authorization_taken == other.authorization_taken
            && free_per_day.or(other.free_per_day).is_none()
            && free_allowance
                .as_ref()
                .or(other.free_allowance.as_ref())
                .is_none()
            && *bind_multipart == other.bind_multipart
            && *grpc == other.grpc
            && *sold_since == other.sold_since
            && have_same_history(earlier, &other.earlier)
            && failures.are_usual()
            && other.failures.are_usual()
    }
}

/// Returns whether two charges accept the same of what was sold before.
fn have_same_history(one: &[Charge], other: &[Charge]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one.is_worth(other))
}
