use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::{Semaphore, mpsc};

use crate::{
    payment::{PaymentHash, PaymentReceipt},
    recent::Recent,
};

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
#[derive(Debug)]
pub(super) struct Announcer {
    /// Somebody has listened since the start: until then nothing is locked.
    has_listeners: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    listeners: Vec<(mpsc::Sender<PaymentReceipt>, Arc<AtomicU64>)>,
    told: Recent<PaymentHash>,
}

impl Default for Announcer {
    fn default() -> Self {
        let (listeners, told) = (Vec::new(), Recent::new(REMEMBERED));
        Self {
            has_listeners: AtomicBool::new(false),
            inner: Mutex::new(Inner { listeners, told }),
        }
    }
}

impl Announcer {
    pub(super) fn listen(&self, capacity: usize) -> Settlements {
        let (sender, receipts) = mpsc::channel(capacity.clamp(1, Semaphore::MAX_PERMITS));
        let dropped = Arc::new(AtomicU64::new(0));
        self.lock().listeners.push((sender, dropped.clone()));
        self.has_listeners.store(true, Ordering::Release);
        Settlements { receipts, dropped }
    }

    pub(super) fn announce(&self, receipt: &PaymentReceipt) {
        if !self.has_listeners.load(Ordering::Acquire) {
            return;
        }
        let mut inner = self.lock();
        inner.listeners.retain(|(sender, _)| !sender.is_closed());
        if inner.listeners.is_empty() || !inner.told.insert(receipt.payment_hash(), ()) {
            return;
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
        payment::{Amount, DialectName, Network, Proof, Spend},
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
        PaymentReceipt::new(proof, resource, Timestamp::MAX, None)
    }

    #[tokio::test]
    async fn a_payment_is_told_once_until_many_others_came_after_it() {
        let announcer = Announcer::default();
        let settlements = announcer.listen(1);
        for number in (0..REMEMBERED).chain([0]) {
            announcer.announce(&receipt(number));
        }
        assert_eq!(
            settlements.dropped(),
            REMEMBERED as u64 - 1,
            "one fits, and none is told twice"
        );
        announcer.announce(&receipt(REMEMBERED));
        announcer.announce(&receipt(1));
        assert_eq!(
            settlements.dropped(),
            REMEMBERED as u64,
            "only the oldest is forgotten"
        );
        announcer.announce(&receipt(0));
        assert_eq!(settlements.dropped(), REMEMBERED as u64 + 1);
        assert_eq!(announcer.lock().told.len(), REMEMBERED);
    }

    #[tokio::test]
    async fn whoever_listens_no_more_is_forgotten() {
        let announcer = Announcer::default();
        drop(announcer.listen(1));
        announcer.announce(&receipt(1));
        let mut settlements = announcer.listen(0);
        assert_eq!(announcer.lock().listeners.len(), 1);
        announcer.announce(&receipt(1));
        assert_eq!(
            settlements.next().await.unwrap().payment_hash(),
            receipt(1).payment_hash()
        );
    }
}
