//! From a proof to a receipt: a use is consumed, and given back if it was not served.

use std::{sync::Arc, time::Duration};

use http::{Response, request::Parts};

use super::{pending::RequestPlace, within};
use crate::{
    clock::Timestamp,
    payment::{PaymentHash, PaymentReceipt, Proof},
    replay::{ConsumptionKey, Lease, Leased, ReleaseReason, StoreError, StoreErrorKind, UseLimits},
    server::{
        config::paywall::PaywallState,
        routes::{priced::PricedRoutes, rule::Rule},
        state::spent::Spent,
    },
    trace,
};

/// A use that the store granted. When dropped it goes back to the store or is remembered as spent.
#[derive(Debug)]
pub(in crate::server) struct GrantedUse {
    lease: Lease,
    payment_hash: PaymentHash,
    spent: Arc<Spent>,
}

impl GrantedUse {
    /// Sets why the use goes back if this is dropped; `None` keeps it.
    pub(in crate::server) fn on_drop(&mut self, why: Option<ReleaseReason>) {
        self.lease.on_drop(why);
    }
}

impl Drop for GrantedUse {
    fn drop(&mut self) {
        // Dropped last, also if the store panics.
        let _served = Served(&self.spent, self.payment_hash);
        if self.lease.end() {
            self.spent.trust(self.payment_hash);
        } else {
            self.spent.add(self.payment_hash);
        }
    }
}

/// A use that is being served, until this is dropped.
struct Served<'a>(&'a Spent, PaymentHash);

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

/// The store's answer to a proof.
#[derive(Debug)]
pub(in crate::server) enum Outcome {
    Granted {
        granted: Box<GrantedUse>,
        remaining: u32,
    },
    /// No use is left, and one is being served, perhaps by another process.
    InUse,
    Spent,
}

/// How long a use counts as being served at most, for other processes. If a process dies while it
/// serves one, they answer 409 until then.
const SERVING: Duration = Duration::from_secs(300);

/// Why the store did not answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) enum Unanswered {
    Failed,
    Late,
}

impl Unanswered {
    pub(in crate::server) const fn detail(self) -> &'static str {
        match self {
            Self::Failed => "the store of spent payments cannot answer",
            Self::Late => "the store of spent payments did not answer in time",
        }
    }
}

/// Consumes one use of what a proof paid for, and notes whether the store answered.
pub(in crate::server) async fn consume(
    setup: &PaywallState,
    proof: &Proof,
    ask: (UseLimits, Timestamp),
) -> Result<Outcome, Unanswered> {
    match within(setup.time_limit, take(setup, proof, ask)).await {
        Some(Ok(outcome)) => {
            setup.store_health.answered();
            Ok(outcome)
        }
        // So many calls wait that this one was not taken: the store answers.
        Some(Err(error)) if error.kind() == StoreErrorKind::Refused => {
            trace::error(format_args!("no use was consumed: {error}"));
            Err(Unanswered::Failed)
        }
        Some(Err(error)) => {
            setup.store_health.failed(error);
            Err(Unanswered::Failed)
        }
        None => {
            setup.store_health.failed("it did not answer in time");
            Err(Unanswered::Late)
        }
    }
}

async fn take(
    setup: &PaywallState,
    proof: &Proof,
    (limits, retain_until): (UseLimits, Timestamp),
) -> Result<Outcome, StoreError> {
    let payment_hash = proof.payment_hash;
    let key = ConsumptionKey::lightning(proof.network, payment_hash);
    let serving_until = setup.clock.now().saturating_add(SERVING);
    let store = setup.store.clone();
    match Lease::consume(store, key, limits, retain_until, Some(serving_until)).await? {
        Leased::Granted(lease, remaining) => {
            setup.spent.begin(payment_hash);
            let granted = Box::new(GrantedUse {
                lease,
                payment_hash,
                spent: setup.spent.clone(),
            });
            Ok(Outcome::Granted { granted, remaining })
        }
        // What such a request may hold is limited too.
        Leased::InUse => {
            setup.spent.doubt(payment_hash, limits.uses);
            Ok(Outcome::InUse)
        }
        Leased::Spent => {
            setup.spent.doubt(payment_hash, limits.uses);
            Ok(Outcome::Spent)
        }
    }
}

/// A paid request on its way through the inner service, with the use that was consumed for it.
#[derive(Debug)]
pub(in crate::server) struct PaidUse {
    routes: Arc<PricedRoutes>,
    rule: Arc<Rule>,
    dialect: usize,
    receipt: PaymentReceipt,
    granted: Box<GrantedUse>,
}

/// Admits a request. It gets a receipt, its slot for an unpaid invoice is freed, and the receipt is
/// sent to [`Settlements`](crate::server::Settlements).
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
        place.client_target.unwrap_or(place.target),
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
        (routes, rule): (Arc<PricedRoutes>, Arc<Rule>),
        dialect: usize,
        receipt: PaymentReceipt,
        granted: Box<GrantedUse>,
    ) -> Self {
        Self {
            routes,
            rule,
            dialect,
            receipt,
            granted,
        }
    }

    fn on_drop(&mut self, why: Option<ReleaseReason>) {
        self.granted.on_drop(why);
    }

    /// Marks the begin and the end of each poll of the inner service. A drop within a poll is a
    /// panic, which counts as a failure. A drop between two polls is a client that hung up: it may
    /// have been served, so the use stays spent.
    pub(in crate::server) fn stepping(&mut self, within: bool) {
        self.on_drop(within.then_some(ReleaseReason::Failed));
    }

    /// Ends the use: the inner service returned an error.
    pub(in crate::server) fn failed(mut self) {
        self.on_drop(Some(ReleaseReason::Failed));
    }

    /// Notes that the inner service answered, and returns whether it failed. Adds the receipt header
    /// to the response. The use ends when this is dropped.
    pub(in crate::server) fn answered<R>(&mut self, response: &mut Response<R>) -> bool {
        let failed = self.rule.charge.is_failed(response);
        self.on_drop(failed.then_some(ReleaseReason::Failed));
        let setup = self.routes.paywall.setup();
        let line = setup.dialects[self.dialect].receipt(
            &self.receipt,
            response.status(),
            self.receipt.accepted_at(),
        );
        if let Some((name, value)) = line {
            // Replaces the receipt that a server behind this one may have sent for a payment of its
            // own.
            response.headers_mut().insert(name, value);
        }
        failed
    }
}
