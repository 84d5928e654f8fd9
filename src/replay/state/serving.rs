//! Which granted uses are being served right now. Only memory holds this.

use std::collections::HashMap;

use crate::{
    clock::Timestamp,
    replay::{Consumption, ConsumptionKey, UseId, UseRequest},
};

/// Granted uses that are being served, each with the deadline after which it counts as served.
///
/// It is bounded: uses above a bound are not noted, and then the answer is `Spent`, as without it.
#[derive(Debug)]
pub(in crate::replay) struct ServingUses {
    payments: HashMap<ConsumptionKey, Uses>,
    /// How many payments are noted when the next sweep is due.
    sweep_at: usize,
    swept_at: Timestamp,
}

/// The uses of one payment that are being served. Most have one, which needs no allocation.
#[derive(Debug, Default)]
struct Uses {
    first: Option<(UseId, Timestamp)>,
    others: Vec<(UseId, Timestamp)>,
}

impl Uses {
    fn retain(&mut self, mut keep: impl FnMut(&(UseId, Timestamp)) -> bool) {
        self.others.retain(&mut keep);
        self.first = self.first.filter(keep).or_else(|| self.others.pop());
    }

    fn push(&mut self, known: (UseId, Timestamp)) {
        match self.first {
            None => self.first = Some(known),
            Some(_) if self.others.len() < USES - 1 => self.others.push(known),
            Some(_) => {}
        }
    }
}

/// The most payments that are noted, and the most uses of one payment.
const PAYMENTS: usize = 16_384;
const USES: usize = 64;
/// The smallest number of payments that is swept.
const FEW: usize = 64;

impl Default for ServingUses {
    fn default() -> Self {
        Self {
            // So that the first use allocates nothing.
            payments: HashMap::with_capacity(1),
            sweep_at: FEW,
            swept_at: Timestamp::default(),
        }
    }
}

impl ServingUses {
    /// Returns what to answer a request, if `answer` is the answer without regard to serving. Notes
    /// a granted use.
    pub(in crate::replay) fn answer(
        &mut self,
        request: &UseRequest,
        answer: Consumption,
        now: Timestamp,
    ) -> Consumption {
        let Some(until) = request.serving_until() else {
            return answer;
        };
        let key = request.key();
        match answer {
            Consumption::Granted { .. } => {
                self.begin(key, request.use_id(), until, now);
                answer
            }
            Consumption::Spent if self.is_serving(&key, now) => Consumption::InUse,
            Consumption::Spent | Consumption::InUse => answer,
        }
    }

    /// Notes that a use is no longer being served.
    pub(in crate::replay) fn end(&mut self, key: &ConsumptionKey, use_id: UseId) {
        let Some(uses) = self.payments.get_mut(key) else {
            return;
        };
        uses.retain(|(id, _)| *id != use_id);
        if uses.first.is_none() {
            self.payments.remove(key);
        }
    }

    fn begin(&mut self, key: ConsumptionKey, use_id: UseId, until: Timestamp, now: Timestamp) {
        // So memory holds at most twice what is being served, and the average cost of an addition
        // stays constant. At the bound it sweeps once a second.
        let is_full = self.payments.len() >= PAYMENTS;
        if self.payments.len() >= self.sweep_at && !(is_full && now == self.swept_at) {
            self.swept_at = now;
            self.payments.retain(|_, uses| {
                uses.retain(|(_, until)| now <= *until);
                uses.first.is_some()
            });
            self.sweep_at = (2 * self.payments.len()).clamp(FEW, PAYMENTS);
        }
        if self.payments.len() >= PAYMENTS && !self.payments.contains_key(&key) {
            return;
        }
        let uses = self.payments.entry(key).or_default();
        uses.retain(|(id, until)| *id != use_id && now <= *until);
        uses.push((use_id, until));
    }

    fn is_serving(&self, key: &ConsumptionKey, now: Timestamp) -> bool {
        let uses = self.payments.get(key);
        uses.is_some_and(|uses| {
            let mut all = uses.first.iter().chain(&uses.others);
            all.any(|(_, until)| now <= *until)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{
        payment::{Network, PaymentHash},
        replay::UseLimits,
    };

    fn request(payment: u64, id: u64, until: u64) -> UseRequest {
        let (mut hash, mut bytes) = ([0; 32], [0; 16]);
        hash[..8].copy_from_slice(&payment.to_le_bytes());
        bytes[..8].copy_from_slice(&id.to_le_bytes());
        let key = ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes(hash));
        let once = UseLimits::new(NonZeroU32::MIN, 0);
        UseRequest::new(key, UseId::from_bytes(bytes), once, at(9_999))
            .with_serving_until(at(until))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    const GRANTED: Consumption = Consumption::Granted { remaining: 0 };

    #[test]
    fn what_is_never_ended_takes_bounded_memory_and_is_swept_after_its_deadline() {
        let mut serving = ServingUses::default();
        for payment in 0..2 * PAYMENTS as u64 {
            let _ = serving.answer(&request(payment, 1, 100), GRANTED, at(0));
        }
        assert_eq!(serving.payments.len(), PAYMENTS);
        for id in 0..2 * USES as u64 {
            let _ = serving.answer(&request(7, id, 100), GRANTED, at(0));
        }
        assert_eq!(
            serving.payments[&request(7, 1, 0).key()].others.len(),
            USES - 1
        );
        let _ = serving.answer(&request(1, 1, 200), GRANTED, at(101));
        assert_eq!(serving.payments.len(), 1, "the others are over");
    }

    #[test]
    fn only_who_asks_for_it_is_told_that_a_use_is_being_served() {
        let mut serving = ServingUses::default();
        let first = request(1, 1, 100);
        assert_eq!(serving.answer(&first, GRANTED, at(0)), GRANTED);
        let second = request(1, 2, 100);
        let plain = UseRequest::new(second.key(), second.use_id(), second.limits(), at(9_999));
        for (asked, now, told) in [
            (&second, 0, Consumption::InUse),
            (&plain, 0, Consumption::Spent),
            (&second, 100, Consumption::InUse),
            (&second, 101, Consumption::Spent),
        ] {
            assert_eq!(serving.answer(asked, Consumption::Spent, at(now)), told);
        }
        serving.end(&first.key(), second.use_id());
        assert_eq!(
            serving.answer(&second, Consumption::Spent, at(0)),
            Consumption::InUse,
            "another use has ended"
        );
        serving.end(&first.key(), first.use_id());
        assert_eq!(
            serving.answer(&second, Consumption::Spent, at(0)),
            Consumption::Spent
        );
        assert!(serving.payments.is_empty());
    }
}
