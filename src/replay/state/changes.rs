//! What is known of a payment and its uses, and who hears of changes.

use crate::{
    clock::Timestamp,
    replay::{ConsumptionKey, UseId},
};

/// What is known of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) struct PaymentState {
    pub(in crate::replay) retain_until: Timestamp,
    /// Uses granted and not given back.
    pub(in crate::replay) taken: u32,
    /// Failed uses that were given back, and how many may be.
    pub(in crate::replay) restored: u32,
    pub(in crate::replay) restores: u32,
    /// The use granted last. The ones before it stand apart, so that the cost of one does not grow
    /// with their number.
    pub(in crate::replay) last: UseId,
    pub(in crate::replay) last_use: UseState,
}

/// What is known of one granted use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) struct UseState {
    pub(in crate::replay) granted_at: Timestamp,
    pub(in crate::replay) remaining: u32,
    pub(in crate::replay) released: bool,
}

/// Hears what changed, with what was before: none of both is no record.
pub(in crate::replay) trait Changes {
    fn payment(
        &mut self,
        key: &ConsumptionKey,
        old: Option<&PaymentState>,
        new: Option<&PaymentState>,
    );
    fn earlier_use(
        &mut self,
        key: &ConsumptionKey,
        id: &UseId,
        old: Option<&UseState>,
        new: Option<&UseState>,
    );
    fn pruned_until(&mut self, old: Option<Timestamp>, new: Timestamp);
}

/// For a store that keeps nothing but memory.
impl Changes for () {
    fn payment(&mut self, _: &ConsumptionKey, _: Option<&PaymentState>, _: Option<&PaymentState>) {}
    fn earlier_use(
        &mut self,
        _: &ConsumptionKey,
        _: &UseId,
        _: Option<&UseState>,
        _: Option<&UseState>,
    ) {
    }
    fn pruned_until(&mut self, _: Option<Timestamp>, _: Timestamp) {}
}
