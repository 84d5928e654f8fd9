//! The state of a payment and of its uses, and who learns of changes.

use crate::{
    clock::Timestamp,
    replay::{ConsumptionKey, UseId},
};

/// The state of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) struct PaymentState {
    /// The last second at which it must be remembered.
    pub(in crate::replay) retain_until: Timestamp,
    /// How many uses were granted and not given back.
    pub(in crate::replay) taken: u32,
    /// How many failed uses were given back.
    pub(in crate::replay) restored: u32,
    /// How many failed uses may be given back.
    pub(in crate::replay) restores: u32,
    /// The use that was granted last. Earlier uses are kept elsewhere, so that the cost of one use
    /// does not grow with their number.
    pub(in crate::replay) last: UseId,
    pub(in crate::replay) last_use: UseState,
}

/// The state of one granted use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) struct UseState {
    pub(in crate::replay) granted_at: Timestamp,
    /// How many uses were left, as it was answered.
    pub(in crate::replay) remaining: u32,
    pub(in crate::replay) released: bool,
}

/// Learns of each change: the old state and the new one. `None` means that there is no record.
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
    /// The latest end of a pruned key rose.
    fn pruned_until(&mut self, old: Option<Timestamp>, new: Timestamp);
}

/// A store in memory writes no records.
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
