//! One key: what it is for, and how it is derived from a secret.

use std::collections::HashSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    dialect::{MacKey, held::Ring},
    payment::Network,
};

/// What a derived key is for. Each dialect names its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    /// `dialect/what for`: part of what the key is derived from, and no two have the same.
    pub(crate) label: &'static str,
    /// Whether what is made with the key is worth a use that one store counts. The key is then of
    /// that store alone.
    pub(crate) is_counted: bool,
}

/// The keys of one origin, derived from one state of the ring.
#[derive(Debug)]
pub(crate) struct OriginKeys {
    pub(super) keys: Vec<(Purpose, Vec<DerivedKey>)>,
    pub(super) minting: usize,
}

/// A key and the four bytes that name it.
#[derive(Debug)]
pub(crate) struct DerivedKey {
    pub(crate) id: [u8; 4],
    pub(crate) mac: MacKey,
}

impl OriginKeys {
    /// Of each purpose, one key for each secret of a ring.
    pub(super) fn derive(ring: &Ring, purposes: &[Purpose], place: Place<'_>) -> Self {
        let secrets = || ring.secrets.iter();
        let derived = |purpose: &Purpose| {
            let keys = secrets().map(|secret| derive(&secret.bytes, *purpose, place));
            (*purpose, keys.collect())
        };
        Self {
            keys: purposes.iter().map(derived).collect(),
            minting: ring.minting,
        }
    }

    /// Returns the key to mint with.
    pub(crate) fn minting(&self, purpose: Purpose) -> &DerivedKey {
        &self.all(purpose)[self.minting]
    }

    /// A dialect looks its keys up by their ids alone, so these must differ.
    pub(super) fn have_unique_ids(&self) -> bool {
        let mut seen = HashSet::new();
        self.keys.iter().all(|(purpose, keys)| {
            let dialect = purpose.label.split('/').next();
            keys.iter().all(|key| seen.insert((dialect, key.id)))
        })
    }

    /// Returns the key with this id.
    pub(crate) fn by_id(&self, purpose: Purpose, id: [u8; 4]) -> Option<&DerivedKey> {
        self.all(purpose).iter().find(|key| key.id == id)
    }

    /// Returns all keys, for a dialect whose credentials carry no key id.
    pub(crate) fn all(&self, purpose: Purpose) -> &[DerivedKey] {
        let own = self.keys.iter().find(|(known, _)| *known == purpose);
        own.map_or(&[], |(_, keys)| keys)
    }

    /// Derives the keys of one secret outside any ring, for vectors, benches and tests.
    #[cfg(any(test, feature = "__internals"))]
    pub(crate) fn of_secret(
        secret: &[u8],
        purposes: &[Purpose],
        network: Network,
        (origin, service): (&str, &str),
        store: &[u8; 16],
    ) -> Self {
        let place = Place {
            network,
            origin,
            service,
            store,
        };
        Self {
            keys: purposes
                .iter()
                .map(|purpose| (*purpose, vec![derive(secret, *purpose, place)]))
                .collect(),
            minting: 0,
        }
    }
}

/// What keys are derived for. What is made with one key is never accepted for another purpose,
/// origin, service or store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) network: Network,
    pub(super) origin: &'a str,
    /// The label that tells services of one origin apart. Empty if there is none.
    pub(super) service: &'a str,
    pub(super) store: &'a [u8; 16],
}

/// Derives one key: HMAC-SHA-256 of the secret over a versioned label and everything that must be
/// kept apart, each with its length.
fn derive(secret: &[u8], purpose: Purpose, place: Place<'_>) -> DerivedKey {
    let Place {
        network,
        origin,
        service,
        store,
    } = place;
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    let store: &[u8] = if purpose.is_counted { store } else { &[] };
    let texts = [
        "tower-x402 v1",
        purpose.label,
        network.as_str(),
        origin,
        service,
    ];
    for part in texts.map(str::as_bytes).into_iter().chain([store]) {
        hmac.update(&(part.len() as u64).to_be_bytes());
        hmac.update(part);
    }
    let key = Zeroizing::new(<[u8; 32]>::from(hmac.finalize().into_bytes()));
    let mac = MacKey::new(&key);
    let mut id = [0; 4];
    id.copy_from_slice(&mac.mac(b"key id")[..4]);
    DerivedKey { id, mac }
}
