//! One key: what it is for, and how it comes from a secret.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    dialect::{MacKey, secrets::Ring},
    payment::Network,
};

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Root keys of L402 tokens whose uses are counted in one particular store.
    L402Counted,
    /// Root keys of L402 tokens that only time ends.
    L402Timed,
    /// Ids of MPP challenges.
    MppId,
    /// Quotes in x402's `extra`.
    X402Quote,
}

pub(super) const PURPOSES: [Purpose; 4] = [
    Purpose::L402Counted,
    Purpose::L402Timed,
    Purpose::MppId,
    Purpose::X402Quote,
];

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::L402Counted => "l402/counted",
            Self::L402Timed => "l402/timed",
            Self::MppId => "mpp/id",
            Self::X402Quote => "x402/quote",
        }
    }

    /// Whether what is made with the key is worth a use that one store counts.
    const fn is_counted(self) -> bool {
        !matches!(self, Self::L402Timed)
    }
}

/// The keys of one origin, derived from one state of the ring.
#[derive(Debug)]
pub(crate) struct OriginKeys {
    pub(super) keys: [Vec<DerivedKey>; PURPOSES.len()],
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
    pub(super) fn derive(ring: &Ring, place: Place<'_>) -> Self {
        let derive = |purpose| {
            ring.secrets
                .iter()
                .map(|secret| derive(secret, purpose, place))
                .collect()
        };
        Self {
            keys: PURPOSES.map(derive),
            minting: ring.minting,
        }
    }

    /// The key to mint with.
    pub(crate) fn minting(&self, purpose: Purpose) -> &DerivedKey {
        &self.keys[purpose as usize][self.minting]
    }

    /// Both kinds of L402 keys are looked up by their ids alone, so these must differ among both.
    pub(super) fn have_unique_ids(&self) -> bool {
        let unique = |ids: &[[u8; 4]]| (1..ids.len()).all(|i| !ids[..i].contains(&ids[i]));
        let ids =
            |keys: &[Vec<DerivedKey>]| keys.iter().flatten().map(|key| key.id).collect::<Vec<_>>();
        unique(&ids(&self.keys[..2]))
            && self.keys[2..]
                .iter()
                .all(|keys| unique(&ids(std::slice::from_ref(keys))))
    }

    /// The key of this id.
    pub(crate) fn by_id(&self, purpose: Purpose, id: [u8; 4]) -> Option<&DerivedKey> {
        self.keys[purpose as usize].iter().find(|key| key.id == id)
    }

    /// All keys, for a dialect whose credentials carry no key id.
    pub(crate) fn all(&self, purpose: Purpose) -> &[DerivedKey] {
        &self.keys[purpose as usize]
    }

    /// Keys of one secret outside any ring, for vectors, benches and tests.
    #[cfg(any(test, feature = "__internals"))]
    pub(crate) fn of_secret(
        secret: &[u8],
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
            keys: PURPOSES.map(|purpose| vec![derive(secret, purpose, place)]),
            minting: 0,
        }
    }
}

/// What keys are derived for. Nothing that is made under one passes for anything of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) network: Network,
    pub(super) origin: &'a str,
    /// The label that tells services of one origin apart; empty for none.
    pub(super) service: &'a str,
    pub(super) store: &'a [u8; 16],
}

/// One key: HMAC-SHA-256 of the secret over a versioned label and all that must not be crossed,
/// each with its length.
fn derive(secret: &[u8], purpose: Purpose, place: Place<'_>) -> DerivedKey {
    let Place {
        network,
        origin,
        service,
        store,
    } = place;
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    let store: &[u8] = if purpose.is_counted() { store } else { &[] };
    let texts = [
        "tower-x402 v1",
        purpose.label(),
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
