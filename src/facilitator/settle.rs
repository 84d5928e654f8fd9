use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use super::{Callers, rate::Rate};
use crate::{
    clock::{Clock, Timestamp},
    dialect::x402::{
        self, Conditions, PaymentPayload, PaymentRequirements, Reason, SettlementResponse, Verified,
    },
    payment::{Network, is_public_key, retain_until},
    replay::{
        Consumption, ConsumptionKey, ReleaseReason, ReplayStore, StoreErrorKind, UseId, UseLimits,
    },
    trace,
};

/// Settles proofs of `exact` on `lnbtc`; clones share one state.
///
/// All facilitators and paywalls that are paid on one key must share one store, and that store must
/// never be put back from a backup. A store that is new settles nothing that an older one could
/// have settled. See the [module](super).
#[derive(Clone)]
pub struct Facilitator(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Arc<dyn ReplayStore>,
    pub(super) callers: Arc<dyn Callers>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pay_to: Vec<[u8; 33]>,
    pub(super) networks: Vec<Network>,
    pub(super) max_timeout: Duration,
    pub(super) skew: Duration,
    pub(super) remember: Duration,
    pub(super) rate: Rate,
    pub(super) time_limit: Duration,
}

impl Inner {
    /// The first moment at which an invoice can have been made that the store can vouch for.
    pub(super) fn counts_from(&self) -> Timestamp {
        self.store
            .created_at()
            .saturating_add(2 * self.skew + Duration::from_secs(1))
    }

    pub(super) fn warn_if_new(&self) {
        let (first, now) = (self.counts_from(), self.clock.now());
        if now < first {
            trace::warn(format_args!(
                "the replay store is new: this facilitator settles payments whose invoice was made at {} or later, which is in {} s, \
                 and refuses older ones",
                first,
                first.saturating_since(now).as_secs()
            ));
        }
    }
}

impl Facilitator {
    pub(super) fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The steps of lnbtc, "Facilitator Validation": the checks, then the payment hash is consumed.
    ///
    /// # Errors
    ///
    /// The reason of the first step that fails; [`Reason::SettlementFailed`] if the store cannot
    /// answer in time, and the proof is then not spent.
    pub async fn settle(
        &self,
        payload: &PaymentPayload<'_>,
        required: &PaymentRequirements<'_>,
    ) -> Result<Verified, Reason> {
        let verified = self.verify(payload, required)?;
        self.consume(&verified).await?;
        Ok(verified)
    }

    pub(super) fn answer<'a>(
        &self,
        outcome: Result<Verified, Reason>,
        network: Option<&'a str>,
    ) -> SettlementResponse<'a> {
        match outcome {
            Ok(verified) => {
                SettlementResponse::settled(verified.network(), verified.payment_hash())
            }
            Err(reason @ Reason::InvoiceOlderThanStore) => {
                let first = self.0.counts_from();
                let wait = first.saturating_since(self.0.clock.now()).as_secs();
                let wait = if wait > 0 {
                    format!(", in {wait} s")
                } else {
                    String::new()
                };
                let told = format!(
                    "the invoice is older than this facilitator's store of spent payments, which cannot tell whether it was settled \
                     before: pay a new invoice, made at {} or later{wait}",
                    first
                );
                SettlementResponse::failed(network.unwrap_or_default(), reason).with_message(told)
            }
            Err(reason) => SettlementResponse::failed(network.unwrap_or_default(), reason),
        }
    }

    fn verify(
        &self,
        payload: &PaymentPayload<'_>,
        required: &PaymentRequirements<'_>,
    ) -> Result<Verified, Reason> {
        let served = &*self.0;
        let conditions = Conditions::at(served.clock.now())
            .with_skew(served.skew)
            .with_networks(&served.networks);
        let conditions = conditions.with_store_created_at(served.store.created_at());
        let core = x402::terms(payload.accepted(), required, &served.networks)?;
        if !served.pay_to.contains(&core.pay_to) {
            // A key that is none is step 2's, and comes before what is served here.
            return Err(if is_public_key(&core.pay_to) {
                Reason::PayToMismatch
            } else {
                Reason::PayToMalformed
            });
        }
        if core.max_timeout > served.max_timeout.as_secs() {
            return Err(Reason::MaxTimeout);
        }
        x402::proof(payload, required, &core, &conditions)
    }

    async fn consume(&self, verified: &Verified) -> Result<(), Reason> {
        let key = ConsumptionKey::new(verified.network(), verified.payment_hash());
        let use_id = UseId::random().map_err(|_| Reason::SettlementFailed)?;
        let mut lease = Lease {
            store: &*self.0.store,
            key,
            use_id,
            is_open: true,
        };
        let consumed = self.0.store.consume(
            key,
            use_id,
            UseLimits::new(NonZeroU32::MIN, 0),
            self.retain_until(verified),
        );
        let consumed = tokio::time::timeout(self.0.time_limit, consumed).await;
        let consumed = consumed.map_err(|_| Reason::SettlementFailed)?;
        lease.is_open = !consumed
            .as_ref()
            .is_err_and(|error| error.kind() == StoreErrorKind::Refused);
        let consumption = consumed.map_err(|_| Reason::SettlementFailed)?;
        lease.is_open = false;
        match consumption {
            Consumption::Granted { .. } => Ok(()),
            Consumption::Spent => Err(Reason::DuplicateSettlement),
        }
    }

    fn retain_until(&self, verified: &Verified) -> Timestamp {
        retain_until(verified.ends_at().saturating_add(self.0.remember))
    }
}

/// Gives the use back if its outcome stays unknown: the answer says that it failed, or the caller
/// has gone.
struct Lease<'a> {
    store: &'a dyn ReplayStore,
    key: ConsumptionKey,
    use_id: UseId,
    is_open: bool,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.store
                .release(self.key, self.use_id, ReleaseReason::NotServed);
        }
    }
}

impl fmt::Debug for Facilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facilitator")
            .field("networks", &self.0.networks)
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}
