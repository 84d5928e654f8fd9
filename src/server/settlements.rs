use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::{Semaphore, mpsc};

use super::events;
use crate::{
    lock,
    payment::{PaymentHash, PaymentReceipt},
    recent::Recent,
    trace,
};

/// How many payments are remembered as told or logged.
const REMEMBERED: usize = 65_536;

/// A stream of the receipts of payments that settle after
/// [`Paywall::settlements`](super::config::Paywall::settlements) created it.
///
/// It never delays an answer: receipts that do not fit the capacity are dropped and counted.
/// Normally a payment appears once, when it is first used. It may appear again after a restart, or
/// after many others. Use the payment hash to recognise repeats. [`PaymentReceipt::client`] tells
/// which client paid.
#[derive(Debug)]
pub struct Settlements {
    receipts: mpsc::Receiver<PaymentReceipt>,
    dropped: Arc<AtomicU64>,
}

impl Settlements {
    /// Returns how many settlements were dropped so far because they did not fit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits for the next settled payment. Returns `None` once the paywall and its layers are
    /// dropped.
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

/// Tells settled payments to the streams and the log.
#[derive(Debug)]
pub(super) struct Announcer {
    /// A stream was created. Until then nothing is locked.
    has_listeners: AtomicBool,
    inner: Mutex<Listeners>,
    /// The payments that were logged.
    logged: Mutex<Recent<PaymentHash>>,
}

impl Default for Announcer {
    fn default() -> Self {
        Self {
            has_listeners: AtomicBool::new(false),
            inner: Mutex::new(Listeners {
                listeners: Vec::new(),
                told: Recent::new(REMEMBERED),
            }),
            logged: Mutex::new(Recent::new(REMEMBERED)),
        }
    }
}

#[derive(Debug)]
struct Listeners {
    listeners: Vec<(mpsc::Sender<PaymentReceipt>, Arc<AtomicU64>)>,
    told: Recent<PaymentHash>,
}

impl Announcer {
    pub(super) fn listen(&self, capacity: usize) -> Settlements {
        let (sender, receipts) = mpsc::channel(capacity.clamp(1, Semaphore::MAX_PERMITS));
        let dropped = Arc::new(AtomicU64::new(0));
        self.lock().listeners.push((sender, dropped.clone()));
        self.has_listeners.store(true, Ordering::Release);
        Settlements { receipts, dropped }
    }

    /// Logs a settled payment, each once. Takes no lock if nobody listens at INFO.
    pub(super) fn log(&self, payment_hash: PaymentHash, receipt: &PaymentReceipt) {
        if trace::takes_info() {
            let mut logged = lock::lock(&self.logged);
            let is_new = logged.insert(payment_hash, ());
            drop(logged);
            if is_new {
                events::settled(receipt);
            }
        }
    }

    pub(super) fn announce(&self, payment_hash: PaymentHash, receipt: &PaymentReceipt) {
        if !self.has_listeners.load(Ordering::Acquire) {
            return;
        }
        let mut inner = self.lock();
        inner.listeners.retain(|(sender, _)| !sender.is_closed());
        if inner.listeners.is_empty() || !inner.told.insert(payment_hash, ()) {
            return;
        }
        for (sender, dropped) in &inner.listeners {
            if sender.try_send(receipt.clone()).is_err() {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listeners> {
        lock::lock(&self.inner)
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
        assert_eq!(announcer.lock().told.len(), REMEMBERED);
    }

    #[tokio::test]
    async fn a_listener_that_was_dropped_is_forgotten() {
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

    #[cfg(feature = "tracing")]
    #[test]
    fn a_payment_is_logged_once_until_many_others_came_after_it() {
        #[derive(Clone, Default)]
        struct Log(Arc<Mutex<Vec<u8>>>);

        impl std::io::Write for Log {
            fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(line)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let (announcer, log) = (Announcer::default(), Log::default());
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            for number in [1, 1, 2, 1]
                .into_iter()
                .chain(3..=REMEMBERED + 1)
                .chain([1])
            {
                let receipt = receipt(number);
                announcer.log(receipt.payment_hash().unwrap(), &receipt);
            }
        });
        let log = log.0.lock().unwrap();
        let lines = log.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, REMEMBERED + 2, "payment 1 twice, every other once");
    }
}
