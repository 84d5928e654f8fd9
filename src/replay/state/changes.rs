//! What is known of a payment and its uses, and who hears of changes.

use crate::{
    clock::Timestamp,
    replay::{ConsumptionKey, UseId},
};

/// What is known of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) struct Entry {
    pub(in crate::replay) retain_until: Timestamp,
    /// Uses granted and not given back.
    pub(in crate::replay) taken: u32,
    /// Failed uses that were given back, and how many may be.
    pub(in crate::replay) restored: u32,
    pub(in crate::replay) restores: u32,
    /// The use granted last. The ones before it stand apart, so that the cost of one does not grow
    /// with their number.
    pub(in crate::replay) last: UseId,
    pub(in crate::replay) last_use: Use,
}

/// What is known of one granted use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) struct Use {
    pub(in crate::replay) granted_at: Timestamp,
    pub(in crate::replay) remaining: u32,
    pub(in crate::replay) released: bool,
}

/// Hears what changed, with what was before: none of both is no record.
pub(in crate::replay) trait Changes {
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
