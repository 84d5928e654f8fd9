//! The money of the wallets behind a service: invoices of one key, and what became of them.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use secp256k1::{
    PublicKey, SECP256K1, SecretKey,
    hashes::{Hash as _, sha256},
};
use tokio::sync::watch;
use tower_x402::{
    Invoice, PaymentHash, Preimage,
    clock::{Clock as _, SystemClock},
};

/// What becomes of payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payments {
    Succeed,
    Fail,
    StayInFlight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Open,
    Failed,
    InFlight,
    Settled,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) invoice: Invoice,
    pub(super) preimage: Preimage,
    pub(super) status: Status,
}

pub(super) struct Ledger {
    key: SecretKey,
    inner: Mutex<Inner>,
    /// The settled invoices, in order.
    pub(super) settled: watch::Sender<Vec<PaymentHash>>,
}

struct Inner {
    entries: HashMap<PaymentHash, Entry>,
    payments: Payments,
}

pub(super) enum What {
    Hash([u8; 32]),
    Text(String),
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            key: SecretKey::from_slice(&[7; 32]).unwrap(),
            inner: Mutex::new(Inner {
                entries: HashMap::new(),
                payments: Payments::Succeed,
            }),
            settled: watch::Sender::default(),
        }
    }

    pub(super) fn public_key(&self) -> [u8; 33] {
        PublicKey::from_secret_key(SECP256K1, &self.key).serialize()
    }

    pub(super) fn payments(&self, payments: Payments) {
        self.inner.lock().unwrap().payments = payments;
    }

    pub(super) fn make(
        &self,
        currency: Currency,
        msat: u64,
        what: What,
        expiry: Duration,
    ) -> Entry {
        let mut inner = self.inner.lock().unwrap();
        let number = u64::try_from(inner.entries.len()).unwrap();
        let preimage = sha256::Hash::hash(&number.to_be_bytes()).to_byte_array();
        let builder = InvoiceBuilder::new(currency)
            .amount_milli_satoshis(msat)
            .payment_hash(sha256::Hash::hash(&preimage))
            .payment_secret(PaymentSecret(preimage))
            .duration_since_epoch(SystemTime::UNIX_EPOCH.elapsed().unwrap())
            .expiry_time(expiry)
            .min_final_cltv_expiry_delta(18);
        let signed = |hash: &secp256k1::Message| SECP256K1.sign_ecdsa_recoverable(hash, &self.key);
        let invoice = match what {
            What::Hash(hash) => builder
                .description_hash(sha256::Hash::from_byte_array(hash))
                .build_signed(signed),
            What::Text(text) => builder.description(text).build_signed(signed),
        };
        let invoice = Invoice::parse(&invoice.unwrap().to_string()).unwrap();
        let entry = Entry {
            invoice: invoice.clone(),
            preimage: Preimage::from_bytes(preimage),
            status: Status::Open,
        };
        inner.entries.insert(invoice.payment_hash(), entry.clone());
        entry
    }

    pub(super) fn entry(&self, hash: PaymentHash) -> Option<Entry> {
        self.inner.lock().unwrap().entries.get(&hash).cloned()
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.inner
            .lock()
            .unwrap()
            .entries
            .values()
            .cloned()
            .collect()
    }

    pub(super) fn pay(&self, hash: PaymentHash) -> Entry {
        let mut inner = self.inner.lock().unwrap();
        let status = match inner.payments {
            Payments::Succeed => Status::Settled,
            Payments::Fail => Status::Failed,
            Payments::StayInFlight => Status::InFlight,
        };
        let entry = inner
            .entries
            .get_mut(&hash)
            .expect("an invoice of this ledger");
        assert_ne!(entry.status, Status::Settled, "paid twice");
        // The payee refuses a payment that begins after the invoice has expired.
        let begins = entry.status != Status::InFlight;
        let over = begins && SystemClock::new().now() >= entry.invoice.expires_at();
        let status = if over { Status::Failed } else { status };
        entry.status = status;
        let entry = entry.clone();
        drop(inner);
        if status == Status::Settled {
            self.settled.send_modify(|settled| settled.push(hash));
        }
        entry
    }

    /// Makes payments succeed, and those that are in flight too.
    pub(super) fn honest(&self) {
        self.payments(Payments::Succeed);
        for entry in self.entries() {
            if entry.status == Status::InFlight {
                self.pay(entry.invoice.payment_hash());
            }
        }
    }

    pub(super) fn settle(&self, hash: PaymentHash) {
        self.payments(Payments::Succeed);
        self.pay(hash);
    }
}
