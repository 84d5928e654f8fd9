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
    /// The store was told that the use is being served.
    is_serving: bool,
}

/// The answer of a store to a request for a lease.
#[derive(Debug)]
pub(crate) enum Leased {
    /// The lease, and how many uses are left.
    Granted(Lease, u32),
    /// No use is left, and one is being served, in this process or in another.
    InUse,
    Spent,
}

impl Lease {
    /// Consumes one use. If the store knows which uses are being served, this one is until
    /// `serving_until`, or until the lease ends.
    ///
    /// The lease exists before the store is asked. So the use goes back if this future is dropped,
    /// and after every error that does not say that nothing was taken.
    pub(crate) async fn consume(
        store: Arc<dyn ReplayStore>,
        key: ConsumptionKey,
        limits: UseLimits,
        retain_until: Timestamp,
        serving_until: Option<Timestamp>,
    ) -> Result<Leased, StoreError> {
        let use_id = UseId::random()?;
        let mut lease = Self {
            store,
            key,
            use_id,
            on_drop: Some(ReleaseReason::NotServed),
            is_serving: false,
        };
        let mut request = UseRequest::new(key, use_id, limits, retain_until);
        let serving_until = serving_until.filter(|_| lease.store.serving().is_some());
        if let Some(deadline) = serving_until {
            request = request.with_serving_until(deadline);
        }
        match lease.store.consume(request).await {
            Ok(Consumption::Granted { remaining }) => {
                lease.is_serving = serving_until.is_some();
                Ok(Leased::Granted(lease, remaining))
            }
            Ok(Consumption::InUse) => {
                lease.keep();
                Ok(Leased::InUse)
            }
            Ok(Consumption::Spent) => {
                lease.keep();
                Ok(Leased::Spent)
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
        let was_serving = std::mem::take(&mut self.is_serving);
        if let Some(why) = why {
            self.store.release(self.key, self.use_id, why);
        } else if was_serving && let Some(serving) = self.store.serving() {
            serving.served(self.key, self.use_id);
        }
        why.is_some()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
    }
}
