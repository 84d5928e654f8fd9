use super::{ConsumptionKey, ReleaseReason, UseId};

/// How one use ended, for the stores that write it in their own time.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) key: ConsumptionKey,
    pub(super) use_id: UseId,
    /// Why the use goes back, or nothing if it was served.
    pub(super) release: Option<ReleaseReason>,
}

impl End {
    /// Returns the number that the statements and scripts of the stores know it by.
    pub(super) const fn kind(&self) -> u8 {
        match self.release {
            Some(ReleaseReason::NotServed) => 0,
            Some(ReleaseReason::Failed) => 1,
            None => 2,
        }
    }
}
