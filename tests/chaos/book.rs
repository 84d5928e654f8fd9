//! What the clients know: each payment, and what became of the requests that used it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::HeaderMap;
use tower_x402::{DialectName, PaymentHash};

/// What a client buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    L402,
    L402Thrice,
    Mpp,
    X402,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::L402, Self::L402Thrice, Self::Mpp, Self::X402];

    pub(crate) const fn uses(self) -> u64 {
        match self {
            Self::L402Thrice => 3,
            _ => 1,
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::L402Thrice => "/thrice",
            _ => "/once",
        }
    }

    pub(crate) const fn dialect(self) -> DialectName {
        match self {
            Self::L402 | Self::L402Thrice => DialectName::L402,
            Self::Mpp => DialectName::Mpp,
            Self::X402 => DialectName::X402,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::L402 => "L402, 1 use",
            Self::L402Thrice => "L402, 3 uses",
            Self::Mpp => "MPP",
            Self::X402 => "x402",
        }
    }
}

/// A payment and its credential.
#[derive(Debug)]
pub(crate) struct Payment {
    pub(crate) kind: Kind,
    pub(crate) credential: HeaderMap,
    /// How many answers of the handler its client got.
    pub(crate) received: u64,
    /// The requests whose connections broke before an answer.
    pub(crate) broken: Vec<Broken>,
    /// The processes that answered 5xx, and when.
    pub(crate) failed: Vec<(u64, Instant)>,
}

impl Payment {
    /// Returns whether its client got all that it paid for.
    pub(crate) fn is_complete(&self) -> bool {
        self.received >= self.kind.uses()
    }
}

/// A request to a process, when it was sent, and when its connection broke or the time for an
/// answer was over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken {
    pub(crate) process: u64,
    pub(crate) sent: Instant,
    pub(crate) at: Instant,
}

/// What became of a request with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Try {
    Served,
    /// No use is left, or another request is being served.
    Refused,
    /// The server could not tell, the connection broke, or no process was there.
    Failed,
}

/// All payments.
#[derive(Debug, Default)]
pub(crate) struct Book {
    payments: Mutex<BTreeMap<PaymentHash, Payment>>,
    /// How many requests were refused whose payment had been served for all its uses.
    pub(crate) refused_again: AtomicU64,
}

impl Book {
    pub(crate) fn payments(&self) -> MutexGuard<'_, BTreeMap<PaymentHash, Payment>> {
        self.payments.lock().unwrap()
    }

    pub(crate) fn add(&self, hash: PaymentHash, kind: Kind, credential: HeaderMap) {
        let payment = Payment {
            kind,
            credential,
            received: 0,
            broken: Vec::new(),
            failed: Vec::new(),
        };
        let before = self.payments().insert(hash, payment);
        assert!(before.is_none(), "each payment has a hash of its own");
    }

    /// Notes what became of a request with this payment's credential.
    pub(crate) fn note(&self, hash: PaymentHash, change: impl FnOnce(&mut Payment)) {
        change(self.payments().get_mut(&hash).expect("it was added"));
    }

    /// Returns whether the client got all that it paid for.
    pub(crate) fn is_complete(&self, hash: PaymentHash) -> bool {
        self.payments()[&hash].is_complete()
    }

    /// Returns how far it is, in words.
    pub(crate) fn in_words(&self) -> String {
        let payments = self.payments();
        let received: u64 = payments.values().map(|payment| payment.received).sum();
        let uses: u64 = payments.values().map(|payment| payment.kind.uses()).sum();
        let broken: usize = payments.values().map(|payment| payment.broken.len()).sum();
        let failed: usize = payments.values().map(|payment| payment.failed.len()).sum();
        let paid = payments.len();
        format!(
            "{paid} payments, {received} of {uses} uses answered; {broken} connections broken, {failed} answers 5xx"
        )
    }

    pub(crate) fn count_refused_again(&self) {
        self.refused_again.fetch_add(1, Ordering::Relaxed);
    }
}
