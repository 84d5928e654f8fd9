use std::{collections::HashMap, num::NonZeroU32, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::{
    lock::lock,
    {payment::PaymentHash, recent::Recent},
};

/// How many payments are remembered. For others the server asks the store.
const REMEMBERED: usize = 65_536;

/// How long a payment is doubted after the store reported it as spent.
const DOUBTED: Duration = Duration::from_secs(30);

/// Uses that are gone for good: this process was granted them and can no longer give them back. A
/// request with a used-up payment needs no memory for its body and no price. It needs no permit of
/// the inner service and no call of the store.
///
/// If the store said `Spent`, the use may still come back, because another process may hold it.
/// Such a payment is doubted for a while. Doubt limits what its requests may hold, and never
/// decides their answer.
///
/// A use that the inner service is serving is not gone yet. A request that finds all uses gone or
/// being served is asked to wait, not to pay.
#[derive(Debug)]
pub(in crate::server) struct Spent {
    uses: Mutex<Recent<PaymentHash, Gone>>,
    /// How many uses of a payment the inner service is serving: a number for each such payment.
    served: Mutex<HashMap<PaymentHash, u32>>,
    doubted: Mutex<Recent<PaymentHash, Option<Doubt>>>,
}

/// So many uses are gone, the last one since then.
#[derive(Clone, Copy, Debug, Default)]
struct Gone {
    uses: u32,
    since: Option<Instant>,
}

/// None of this many uses was left at that time.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    uses: NonZeroU32,
    at: Instant,
}

impl Default for Spent {
    fn default() -> Self {
        Self {
            uses: Mutex::new(Recent::new(REMEMBERED)),
            served: Mutex::default(),
            doubted: Mutex::new(Recent::new(REMEMBERED)),
        }
    }
}

impl Spent {
    /// Notes a granted use that was not given back.
    pub(in crate::server) fn add(&self, payment_hash: PaymentHash) {
        let mut recent = lock(&self.uses);
        let gone = recent.entry(payment_hash);
        gone.uses = gone.uses.saturating_add(1);
        gone.since = Some(Instant::now());
    }

    /// Notes a granted use that goes to the inner service. [`end`](Self::end) must follow.
    pub(in crate::server) fn begin(&self, payment_hash: PaymentHash) {
        *lock(&self.served).entry(payment_hash).or_default() += 1;
    }

    /// Notes that a granted use is no longer served. Whether it is gone must be noted before.
    pub(in crate::server) fn end(&self, payment_hash: PaymentHash) {
        let mut served = lock(&self.served);
        if let Some(uses) = served.get_mut(&payment_hash) {
            *uses -= 1;
            if *uses == 0 {
                served.remove(&payment_hash);
            }
        }
    }

    /// Whether the inner service is serving a use of any payment.
    pub(in crate::server) fn serves_any(&self) -> bool {
        !lock(&self.served).is_empty()
    }

    /// Whether the inner service is serving a use of this payment.
    pub(in crate::server) fn is_served(&self, payment_hash: PaymentHash) -> bool {
        lock(&self.served).contains_key(&payment_hash)
    }

    /// Whether a payment with this many uses has none left that is neither gone nor being served,
    /// and one that is being served.
    pub(in crate::server) fn is_in_use(&self, payment_hash: PaymentHash, uses: NonZeroU32) -> bool {
        let served = lock(&self.served).get(&payment_hash).copied();
        let gone = || {
            lock(&self.uses)
                .get(&payment_hash)
                .map_or(0, |gone| gone.uses)
        };
        served.is_some_and(|served| served.saturating_add(gone()) >= uses.get())
    }

    /// Whether a payment with this many uses certainly has none left.
    pub(in crate::server) fn is_used_up(
        &self,
        payment_hash: PaymentHash,
        uses: NonZeroU32,
    ) -> bool {
        lock(&self.uses)
            .get(&payment_hash)
            .is_some_and(|gone| gone.uses >= uses.get())
    }

    /// Whether a payment with this many uses has had none left for longer than this.
    pub(in crate::server) fn is_used_up_since(
        &self,
        payment_hash: PaymentHash,
        uses: NonZeroU32,
        time: Duration,
    ) -> bool {
        let gone = lock(&self.uses).get(&payment_hash).copied();
        gone.is_some_and(|gone| {
            let is_long_ago = |since: Instant| since.elapsed() > time;
            gone.uses >= uses.get() && gone.since.is_some_and(is_long_ago)
        })
    }

    /// Notes that the store reported a payment with this many uses as spent.
    pub(in crate::server) fn doubt(&self, payment_hash: PaymentHash, uses: NonZeroU32) {
        let mut recent = lock(&self.doubted);
        let (doubt, at) = (recent.entry(payment_hash), Instant::now());
        let known = doubt
            .filter(|known| at.duration_since(known.at) < DOUBTED)
            .map_or(uses, |known| known.uses.max(uses));
        *doubt = Some(Doubt { uses: known, at });
    }

    /// Notes that a use was given back.
    pub(in crate::server) fn trust(&self, payment_hash: PaymentHash) {
        if let Some(doubt) = lock(&self.doubted).get_mut(&payment_hash) {
            *doubt = None;
        }
    }

    /// Whether the store recently reported the payment as spent, with this many uses or more.
    pub(in crate::server) fn is_doubted(
        &self,
        payment_hash: PaymentHash,
        uses: NonZeroU32,
    ) -> bool {
        let doubt = lock(&self.doubted).get(&payment_hash).copied().flatten();
        doubt.is_some_and(|doubt| uses <= doubt.uses && doubt.at.elapsed() < DOUBTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_payment_that_the_store_called_spent_is_doubted_for_a_while_and_for_no_more_uses() {
        let (spent, hash) = (Spent::default(), PaymentHash::from_bytes([1; 32]));
        let is_doubted = |uses| spent.is_doubted(hash, NonZeroU32::new(uses).unwrap());
        spent.doubt(hash, NonZeroU32::new(3).unwrap());
        spent.doubt(hash, NonZeroU32::MIN);
        assert!(is_doubted(1) && is_doubted(3) && !is_doubted(4));
        assert!(
            !spent.is_used_up(hash, NonZeroU32::MIN),
            "doubt is no answer"
        );
        tokio::time::advance(DOUBTED).await;
        assert!(!is_doubted(1));
        spent.doubt(hash, NonZeroU32::MIN);
        assert!(is_doubted(1) && !is_doubted(2));
        spent.trust(hash);
        assert!(!is_doubted(1));
    }
}
