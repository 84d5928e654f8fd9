use std::sync::Arc;

use super::{
    Consumption, ConsumptionKey, ReleaseReason, ReplayStore, StoreError, StoreErrorKind, UseId,
    UseLimits, UseRequest,
};
use crate::clock::Timestamp;

/// One use of a payment. When dropped it goes back to its store, unless it is kept.
#[derive(Debug)]
#[must_use = "a lease that is dropped gives its use back"]
pub(crate) struct Lease {
    store: Arc<dyn ReplayStore>,
    key: ConsumptionKey,
    use_id: UseId,
    on_drop: Option<ReleaseReason>,
}

impl Lease {
    /// Consumes one use. Returns its lease and how many uses are left, or `None` if the payment is
    /// spent.
    ///
    /// The lease exists before the store is asked. So the use goes back if this future is dropped,
    /// and after every error that does not say that nothing was taken.
    pub(crate) async fn consume(
        store: Arc<dyn ReplayStore>,
        key: ConsumptionKey,
        limits: UseLimits,
        retain_until: Timestamp,
    ) -> Result<Option<(Self, u32)>, StoreError> {
        let use_id = UseId::random()?;
        let lease = Self {
            store,
            key,
            use_id,
            on_drop: Some(ReleaseReason::NotServed),
        };
        let request = UseRequest::new(key, use_id, limits, retain_until);
        match lease.store.consume(request).await {
            Ok(Consumption::Granted { remaining }) => Ok(Some((lease, remaining))),
            Ok(Consumption::Spent) => {
                lease.keep();
                Ok(None)
            }
            Err(error) => {
                if error.kind() == StoreErrorKind::Refused {
                    lease.keep();
                }
                Err(error)
            }
        }
    }

    /// Sets why the use goes back when the lease ends; `None` keeps it.
    pub(crate) fn on_drop(&mut self, why: Option<ReleaseReason>) {
        self.on_drop = why;
    }

    /// Ends the lease without giving the use back.
    pub(crate) fn keep(mut self) {
        self.on_drop = None;
    }

    /// Ends the lease, and returns whether the use went back.
    pub(crate) fn end(&mut self) -> bool {
        let why = self.on_drop.take();
        if let Some(why) = why {
            self.store.release(self.key, self.use_id, why);
        }
        why.is_some()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
    }
}
