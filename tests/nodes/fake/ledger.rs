//! The invoices and payments of a fake node, which signs with a key of its own and pays itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bitcoin::hashes::{Hash as _, sha256};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use secp256k1::{Message, SECP256K1, SecretKey};
use sha2::{Digest as _, Sha256};
use tower_x402::{
    Invoice, PaymentHash, Preimage,
    clock::{Clock as _, SystemClock},
};

/// A false answer to the request for an invoice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lie {
    Amount,
    Network,
    Payee,
    NoInvoice,
}

/// What happens to payments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Pays {
    #[default]
    Succeed,
    Fail,
    StayInFlight,
    /// Success, with the preimage of another payment.
    WrongPreimage,
    /// Success without a preimage.
    NoPreimage,
    /// Success, with the invoice in the preimage's place.
    InvoiceAsPreimage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outgoing {
    Failed,
    InFlight,
    Paid,
}

pub(crate) struct Entry {
    pub(crate) invoice: Invoice,
    pub(crate) preimage: String,
    /// The number of the invoice, from 1.
    pub(crate) made: u64,
    /// The number of the settlement, from 1.
    pub(crate) settled: Option<u64>,
    pub(crate) settled_at: u64,
    pub(crate) outgoing: Option<Outgoing>,
}

#[derive(Clone, Default)]
pub(crate) struct Ledger(pub(crate) Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) entries: HashMap<PaymentHash, Entry>,
    pub(crate) lie: Option<Lie>,
    pub(crate) pays: Pays,
    /// Names the hash of another payment beside each invoice and payment.
    pub(crate) names_another: bool,
    /// How often money left.
    pub(crate) payments: u64,
    /// How many seconds the node's clock is behind.
    pub(crate) clock_is_behind: u64,
    made: u64,
    settlements: u64,
}

pub(crate) enum What {
    Hash([u8; 32]),
    Text(String),
}

impl Ledger {
    pub(crate) fn lie(&self, lie: Lie) {
        self.0.lock().unwrap().lie = Some(lie);
    }

    pub(crate) fn pays(&self, pays: Pays) {
        self.0.lock().unwrap().pays = pays;
    }

    pub(crate) fn payments(&self) -> u64 {
        self.0.lock().unwrap().payments
    }

    /// Tells the truth from now on, and ends the payments that are in flight.
    pub(crate) fn honest(&self) {
        let mut state = self.0.lock().unwrap();
        (state.lie, state.pays, state.names_another) = (None, Pays::Succeed, false);
        let in_flight = state
            .entries
            .iter()
            .filter(|(_, entry)| entry.outgoing == Some(Outgoing::InFlight));
        let hashes: Vec<_> = in_flight.map(|(hash, _)| *hash).collect();
        for hash in hashes {
            state.settle(hash);
        }
    }

    pub(crate) fn names_another(&self) {
        self.0.lock().unwrap().names_another = true;
    }

    /// The payment hash that the fake node names.
    pub(crate) fn named(&self, hash: PaymentHash) -> PaymentHash {
        match self.0.lock().unwrap().names_another {
            true => PaymentHash::from_bytes([0xab; 32]),
            false => hash,
        }
    }

    pub(crate) fn has_expired(&self, hash: PaymentHash) -> bool {
        let state = self.0.lock().unwrap();
        let is_over = |entry: &Entry| SystemClock::new().now() >= entry.invoice.expires_at();
        state.entries.get(&hash).is_some_and(is_over)
    }

    /// Makes an invoice and returns its text.
    pub(crate) fn make(&self, msat: u64, what: What, expiry: u64) -> String {
        let mut state = self.0.lock().unwrap();
        let lie = state.lie;
        state.made += 1;
        let preimage: [u8; 32] =
            Sha256::digest(format!("{:?} {}", SystemTime::now(), state.made)).into();
        let key =
            SecretKey::from_slice(&[if lie == Some(Lie::Payee) { 8 } else { 7 }; 32]).unwrap();
        let currency = match lie {
            Some(Lie::Network) => Currency::Bitcoin,
            _ => Currency::Regtest,
        };
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let builder = InvoiceBuilder::new(currency);
        let builder = match what {
            What::Hash(hash) => builder.description_hash(sha256::Hash::from_byte_array(hash)),
            What::Text(text) => builder.description(text),
        };
        let invoice = builder
            .payment_hash(sha256::Hash::hash(&preimage))
            .payment_secret(PaymentSecret([9; 32]))
            .amount_milli_satoshis(msat + u64::from(lie == Some(Lie::Amount)) * 1_000)
            .duration_since_epoch(Duration::from_secs(now.as_secs()))
            .expiry_time(Duration::from_secs(expiry))
            .min_final_cltv_expiry_delta(18)
            .build_raw()
            .unwrap()
            .sign::<_, ()>(|hash| {
                let message = Message::from_digest(*hash.as_ref());
                Ok(SECP256K1.sign_ecdsa_recoverable(&message, &key))
            })
            .unwrap()
            .to_string();
        let parsed = Invoice::parse(&invoice).unwrap();
        let entry = Entry {
            invoice: parsed.clone(),
            preimage: Preimage::from_bytes(preimage).expose_hex(),
            made: state.made,
            settled: None,
            settled_at: 0,
            outgoing: None,
        };
        state.entries.insert(parsed.payment_hash(), entry);
        match lie {
            Some(Lie::NoInvoice) => "lnbcrt1".to_owned(),
            _ => invoice,
        }
    }

    /// Pays an invoice of this ledger, unless a payment of it exists. Returns whether it began. The
    /// payee refuses an invoice that has expired.
    pub(crate) fn pay(&self, hash: PaymentHash) -> bool {
        let has_expired = self.has_expired(hash);
        let mut state = self.0.lock().unwrap();
        let pays = state.pays;
        let Some(entry) = state.entries.get_mut(&hash) else {
            return false;
        };
        if matches!(entry.outgoing, Some(Outgoing::InFlight | Outgoing::Paid)) {
            return false;
        }
        match pays {
            _ if has_expired => entry.outgoing = Some(Outgoing::Failed),
            Pays::Fail => entry.outgoing = Some(Outgoing::Failed),
            Pays::StayInFlight => entry.outgoing = Some(Outgoing::InFlight),
            _ => state.settle(hash),
        }
        true
    }

    /// The preimage that the fake node tells after a payment.
    pub(crate) fn told_preimage(&self, hash: PaymentHash) -> Option<String> {
        let state = self.0.lock().unwrap();
        let entry = state.entries.get(&hash)?;
        match state.pays {
            Pays::NoPreimage => None,
            Pays::WrongPreimage => Some("ab".repeat(32)),
            Pays::InvoiceAsPreimage => Some(entry.invoice.to_string()),
            _ => Some(entry.preimage.clone()),
        }
    }
}

impl State {
    fn settle(&mut self, hash: PaymentHash) {
        let entry = self.entries.get_mut(&hash).unwrap();
        self.settlements += 1;
        self.payments += 1;
        entry.outgoing = Some(Outgoing::Paid);
        entry.settled = Some(self.settlements);
        let now = SystemClock::new().now().as_unix_seconds();
        entry.settled_at = now - self.clock_is_behind;
    }
}
