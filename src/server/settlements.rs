use std::{
    collections::{HashSet, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::{Semaphore, mpsc};

use crate::payment::{PaymentHash, PaymentReceipt};

/// How many payments are remembered as told already.
const REMEMBERED: usize = 65_536;

/// Settled payments, each once, from the moment on that this stream was made
/// (see [`Paywall::settlements`](super::config::Paywall::settlements)).
///
/// It never delays an answer: what does not fit the capacity is dropped and counted. A payment
/// whose use was given back, or that is presented again after a restart, may be told again: its
/// payment hash makes repeats harmless.
#[derive(Debug)]
pub struct Settlements {
    receipts: mpsc::Receiver<PaymentReceipt>,
    dropped: Arc<AtomicU64>,
}

impl Settlements {
    /// How many settlements did not fit so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The next settled payment; `None` once the paywall is gone.
    pub async fn next(&mut self) -> Option<PaymentReceipt> {
        self.receipts.recv().await
    }
}

impl Stream for Settlements {
    type Item = PaymentReceipt;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PaymentReceipt>> {
        self.receipts.poll_recv(cx)
    }
}

/// Where settled payments are told.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    /// Somebody has listened since the start: until then nothing is locked.
    has_listeners: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    listeners: Vec<(mpsc::Sender<PaymentReceipt>, Arc<AtomicU64>)>,
    told: HashSet<PaymentHash>,
    order: VecDeque<PaymentHash>,
}

impl Announcer {
    pub(super) fn listen(&self, capacity: usize) -> Settlements {
        let (sender, receipts) = mpsc::channel(capacity.clamp(1, Semaphore::MAX_PERMITS));
        let dropped = Arc::new(AtomicU64::new(0));
        self.lock().listeners.push((sender, dropped.clone()));
        self.has_listeners.store(true, Ordering::Release);
        Settlements { receipts, dropped }
    }

    pub(super) fn announce(&self, payment_hash: PaymentHash, receipt: &PaymentReceipt) {
        if !self.has_listeners.load(Ordering::Acquire) {
            return;
        }
        let mut inner = self.lock();
        inner.listeners.retain(|(sender, _)| !sender.is_closed());
        if inner.listeners.is_empty() || !inner.told.insert(payment_hash) {
            return;
        }
        inner.order.push_back(payment_hash);
        if inner.order.len() > REMEMBERED
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.told.remove(&oldest);
        }
        for (sender, dropped) in &inner.listeners {
            if sender.try_send(receipt.clone()).is_err() {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        payment::{Amount, DialectName, Network, Proof, ResolvedClient, Spend},
    };

    fn receipt(number: usize) -> PaymentReceipt {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let proof = Proof {
            dialect: DialectName::L402,
            network: Network::Regtest,
            payment_hash: PaymentHash::from_bytes(hash),
            amount: Amount::from_sat(1),
            spend: Spend::Never,
            valid_until: Timestamp::MAX,
            note: None,
        };
        let resource = (
            http::Method::GET,
            "https://api.example.com".into(),
            "/".parse().unwrap(),
        );
        let client = ResolvedClient::UNKNOWN;
        PaymentReceipt::new(proof, resource, client, Timestamp::MAX, None)
    }

    fn announce(announcer: &Announcer, number: usize) {
        let receipt = receipt(number);
        announcer.announce(receipt.payment_hash().unwrap(), &receipt);
    }

    #[tokio::test]
    async fn a_payment_is_told_once_until_many_others_came_after_it() {
        let announcer = Announcer::default();
        let settlements = announcer.listen(1);
        for number in (0..REMEMBERED).chain([0]) {
            announce(&announcer, number);
        }
        assert_eq!(
            settlements.dropped(),
            REMEMBERED as u64 - 1,
            "one fits, and none is told twice"
        );
        announce(&announcer, REMEMBERED);
        announce(&announcer, 1);
        assert_eq!(
            settlements.dropped(),
            REMEMBERED as u64,
            "only the oldest is forgotten"
        );
        announce(&announcer, 0);
        assert_eq!(settlements.dropped(), REMEMBERED as u64 + 1);
        let inner = announcer.lock();
        assert_eq!(
            (inner.told.len(), inner.order.len()),
            (REMEMBERED, REMEMBERED)
        );
    }

    #[tokio::test]
    async fn whoever_listens_no_more_is_forgotten() {
        let announcer = Announcer::default();
        drop(announcer.listen(1));
        announce(&announcer, 1);
        let mut settlements = announcer.listen(0);
        assert_eq!(announcer.lock().listeners.len(), 1);
        announce(&announcer, 1);
        assert_eq!(
            settlements.next().await.unwrap().payment_hash(),
            receipt(1).payment_hash()
        );
    }
}
