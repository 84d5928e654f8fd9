//! The steps of a settlement: the proof is checked, then its payment hash is consumed.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use super::{Callers, rate::Rate};
use crate::{
    clock::{Clock, Timestamp},
    dialect::x402::{
        self, Conditions, PaymentPayload, PaymentRequirements, Reason, Receipt, Verified,
    },
    payment::{Network, is_public_key, retain_until},
    replay::{ConsumptionKey, Lease, Leased, ReplayStore, UseLimits, vouches_from},
    trace,
};

/// A facilitator that settles x402 proofs of the scheme `exact` on `lnbtc`. Clones share one state.
///
/// All facilitators and paywalls that are paid on one key must share one store. Never restore that
/// store from a backup. A new store settles nothing that an older one could have settled. See the
/// [module](super).
#[derive(Clone)]
pub struct Facilitator(pub(super) Arc<FacilitatorInner>);

pub(super) struct FacilitatorInner {
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

impl FacilitatorInner {
    /// Returns the first moment from which on invoices count. The store knows all payments of
    /// invoices that were made then or later.
    pub(super) fn counts_from(&self) -> Timestamp {
        vouches_from(&*self.store, self.skew)
    }

    pub(super) fn warn_if_new(&self) {
        let (first, now) = (self.counts_from(), self.clock.now());
        if now < first {
            trace::warn(format_args!(
                "the replay store is new: this facilitator settles payments whose invoice was made at {first} or later, which is in {} s, \
                 and refuses older ones",
                first.saturating_since(now).as_secs()
            ));
        }
    }
}

impl Facilitator {
    pub(super) fn of(inner: FacilitatorInner) -> Self {
        Self(Arc::new(inner))
    }

    /// Checks a proof and consumes its payment hash: the steps of lnbtc, "Facilitator Validation".
    ///
    /// # Errors
    ///
    /// The reason of the first check that fails. [`Reason::SettlementFailed`] if the store fails or
    /// does not answer in time; the proof is then not spent.
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
    ) -> Receipt<'a> {
        match outcome {
            Ok(verified) => Receipt::settled(verified.network(), verified.payment_hash()),
            Err(reason @ Reason::InvoiceOlderThanStore) => {
                let first = self.0.counts_from();
                let wait = first.saturating_since(self.0.clock.now()).as_secs();
                let wait = if wait > 0 {
                    format!(", in {wait} s")
                } else {
                    String::new()
                };
                let message = format!(
                    "the invoice is older than this facilitator's store of spent payments, which cannot tell whether it was settled \
                     before: pay a new invoice, made at {first} or later{wait}"
                );
                Receipt::failed(network.unwrap_or_default(), reason).with_message(message)
            }
            Err(reason) => Receipt::failed(network.unwrap_or_default(), reason),
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
            // A malformed key is step 2 of the validation, and takes precedence over an unknown
            // key.
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
        let key = ConsumptionKey::lightning(verified.network(), verified.payment_hash());
        let once = UseLimits::new(NonZeroU32::MIN, 0);
        let until = self.retain_until(verified);
        let consumed = Lease::consume(self.0.store.clone(), key, once, until, None);
        match tokio::time::timeout(self.0.time_limit, consumed).await {
            Ok(Ok(Leased::Granted(lease, _))) => {
                lease.keep();
                Ok(())
            }
            Ok(Ok(Leased::InUse | Leased::Spent)) => Err(Reason::DuplicateSettlement),
            Ok(Err(_)) | Err(_) => Err(Reason::SettlementFailed),
        }
    }

    fn retain_until(&self, verified: &Verified) -> Timestamp {
        retain_until(verified.ends_at().saturating_add(self.0.remember))
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
