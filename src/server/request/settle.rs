//! Turns a proof into a receipt: consumes a use once, and gives it back if it was not served.

use std::sync::Arc;

use http::{Response, request::Parts};

use super::pending::RequestPlace;
use crate::{
    clock::Timestamp,
    payment::{PaymentReceipt, Proof},
    replay::{
        Consumption, ConsumptionKey, ReleaseReason, ReplayStore, StoreError, StoreErrorKind, UseId,
        UseLimits,
    },
    server::{config::paywall::PaywallState, routes::priced::PricedRoutes, state::spent::Spent},
};

/// A use that goes back to the store when this is dropped, unless it is kept. It exists before
/// `consume` is called.
#[derive(Debug)]
pub(in crate::server) struct Lease {
    store: Arc<dyn ReplayStore>,
    key: ConsumptionKey,
    use_id: UseId,
    on_drop: Option<ReleaseReason>,
    /// Remembers a granted use that is not given back.
    spent: Option<Arc<Spent>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        match (self.on_drop, &self.spent) {
            (Some(why), granted) => {
                self.store.release(self.key, self.use_id, why);
                granted
                    .iter()
                    .for_each(|spent| spent.trust(self.key.payment_hash()));
            }
            (None, Some(spent)) => spent.add(self.key.payment_hash()),
            (None, None) => {}
        }
    }
}

/// The store's answer to a proof.
#[derive(Debug)]
pub(in crate::server) enum Outcome {
    Granted { lease: Box<Lease>, remaining: u32 },
    Spent,
}

/// Consumes one use of a payment.
pub(in crate::server) async fn consume(
    setup: &PaywallState,
    proof: &Proof,
    (limits, retain_until): (UseLimits, Timestamp),
) -> Result<Outcome, StoreError> {
    let store = setup.store.clone();
    let key = ConsumptionKey::new(proof.network, proof.payment_hash);
    let use_id = UseId::random()?;
    let mut lease = Box::new(Lease {
        store,
        key,
        use_id,
        on_drop: Some(ReleaseReason::NotServed),
        spent: None,
    });
    let consumed = lease.store.consume(key, use_id, limits, retain_until).await;
    if consumed
        .as_ref()
        .is_err_and(|error| error.kind() == StoreErrorKind::Refused)
    {
        lease.on_drop = None;
    }
    match consumed? {
        Consumption::Granted { remaining } => {
            lease.spent = Some(setup.spent.clone());
            Ok(Outcome::Granted { lease, remaining })
        }
        Consumption::Spent => {
            lease.on_drop = None;
            setup.spent.doubt(proof.payment_hash, limits.uses);
            Ok(Outcome::Spent)
        }
    }
}

/// A consumed use while its request is in the inner service.
#[derive(Debug)]
pub(in crate::server) struct PaidUse {
    routes: Arc<PricedRoutes>,
    dialect: usize,
    receipt: PaymentReceipt,
    lease: Box<Lease>,
}

/// Admits a request: puts a receipt into its extensions, frees its slot for an unpaid invoice, and
/// tells the settlement stream and the log.
pub(in crate::server) fn accepted(
    setup: &PaywallState,
    proof: Proof,
    (head, place): (&mut Parts, RequestPlace),
    now: Timestamp,
    remaining: Option<u32>,
) -> PaymentReceipt {
    let RequestPlace {
        client, address, ..
    } = place;
    let resource = (
        head.method.clone(),
        setup.origins[place.origin].clone(),
        place.target,
    );
    let payment_hash = proof.payment_hash;
    let receipt = PaymentReceipt::new(proof, resource, address, now, remaining);
    let is_new = setup.limiter.paid(payment_hash, client, now);
    setup.announcer.announce(payment_hash, &receipt);
    if is_new {
        setup.announcer.log(payment_hash, &receipt);
    }
    head.extensions.insert(receipt.clone());
    receipt
}

impl PaidUse {
    pub(in crate::server) fn new(
        routes: Arc<PricedRoutes>,
        dialect: usize,
        receipt: PaymentReceipt,
        lease: Box<Lease>,
    ) -> Self {
        Self {
            routes,
            dialect,
            receipt,
            lease,
        }
    }

    fn on_drop(&mut self, why: Option<ReleaseReason>) {
        self.lease.on_drop = why;
    }

    /// Called around each step of the inner service. A drop within the step is a panic, which counts
    /// as a failure. A drop between two steps is a client that disconnected, which may have been
    /// served.
    pub(in crate::server) fn stepping(&mut self, within: bool) {
        self.on_drop(within.then_some(ReleaseReason::Failed));
    }

    /// Gives the use back: the inner service returned an error.
    pub(in crate::server) fn failed(mut self) {
        self.on_drop(Some(ReleaseReason::Failed));
    }

    /// Keeps the use, or gives it back if the status is 5xx, and adds the dialect's receipt line.
    pub(in crate::server) fn answered<R>(mut self, response: &mut Response<R>) {
        let failed = response.status().is_server_error();
        self.on_drop(failed.then_some(ReleaseReason::Failed));
        let setup = self.routes.paywall.setup();
        let line = setup.dialects[self.dialect].receipt(
            &self.receipt,
            response.status(),
            self.receipt.accepted_at(),
        );
        if let Some((name, value)) = line {
            // Replaces what a server behind this one may have said about its own payment.
            response.headers_mut().insert(name, value);
        }
    }
}
