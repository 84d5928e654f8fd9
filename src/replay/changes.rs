//! What is known of a payment and its uses, and who hears of changes.

use super::{ConsumptionKey, UseId};
use crate::clock::Timestamp;

/// What is known of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) retain_until: Timestamp,
    /// Uses granted and not given back.
    pub(super) taken: u32,
    /// Failed uses that were given back, and how many may be.
    pub(super) restored: u32,
    pub(super) restores: u32,
    /// The use granted last. The ones before it stand apart, so that the cost of one does not grow
    /// with their number.
    pub(super) last: UseId,
    pub(super) last_use: Use,
}

/// What is known of one granted use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) granted_at: Timestamp,
    pub(super) remaining: u32,
    pub(super) released: bool,
}

/// Hears what changed, with what was before: none of both is no record.
pub(super) trait Changes {
    fn entry(&mut self, key: &ConsumptionKey, old: Option<&Entry>, new: Option<&Entry>);
    fn earlier_use(
        &mut self,
        key: &ConsumptionKey,
        id: &UseId,
        old: Option<&Use>,
        new: Option<&Use>,
    );
    fn pruned_until(&mut self, old: Option<Timestamp>, new: Timestamp);
}

/// For a store that keeps nothing but memory.
impl Changes for () {
    fn entry(&mut self, _: &ConsumptionKey, _: Option<&Entry>, _: Option<&Entry>) {}
    fn earlier_use(&mut self, _: &ConsumptionKey, _: &UseId, _: Option<&Use>, _: Option<&Use>) {}
    fn pruned_until(&mut self, _: Option<Timestamp>, _: Timestamp) {}
}
