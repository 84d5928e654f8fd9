//! The keys that are derived from the ring of master secrets: one for each purpose, origin, service and store.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{MacKey, secrets::Secrets};
use crate::payment::Network;

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

const PURPOSES: [Purpose; 4] = [Purpose::L402Counted, Purpose::L402Timed, Purpose::MppId, Purpose::X402Quote];

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
    keys: [Vec<DerivedKey>; PURPOSES.len()],
    minting: usize,
}

/// A key and the four bytes that name it.
#[derive(Debug)]
pub(crate) struct DerivedKey {
    pub(crate) id: [u8; 4],
    pub(crate) mac: MacKey,
}

impl OriginKeys {
    /// The key to mint with.
    pub(crate) fn minting(&self, purpose: Purpose) -> &DerivedKey {
        &self.keys[purpose as usize][self.minting]
    }

    /// Both kinds of L402 keys are looked up by their ids alone, so these must differ among both.
    fn have_unique_ids(&self) -> bool {
        let unique = |ids: &[[u8; 4]]| (1..ids.len()).all(|i| !ids[..i].contains(&ids[i]));
        let ids = |keys: &[Vec<DerivedKey>]| keys.iter().flatten().map(|key| key.id).collect::<Vec<_>>();
        unique(&ids(&self.keys[..2])) && self.keys[2..].iter().all(|keys| unique(&ids(std::slice::from_ref(keys))))
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
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn of_secret(secret: &[u8], network: Network, (origin, service): (&str, &str), store: &[u8; 16]) -> Self {
        let place = Place { network, origin, service, store };
        Self { keys: PURPOSES.map(|purpose| vec![derive(secret, purpose, place)]), minting: 0 }
    }
}

/// Derives the keys of each origin, again whenever the ring has changed. Reading takes no lock.
pub(crate) struct KeyRing {
    secrets: Secrets,
    network: Network,
    origins: Vec<Arc<str>>,
    service: Box<str>,
    store: [u8; 16],
    derived: ArcSwap<Derived>,
}

/// What keys are derived for. Nothing that is made under one passes for anything of another.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    network: Network,
    origin: &'a str,
    /// The label that tells services of one origin apart; empty for none.
    service: &'a str,
    store: &'a [u8; 16],
}

/// All origins' keys, and the version of the ring that they come from.
struct Derived {
    version: u64,
    keys: Vec<OriginKeys>,
}

/// The keys of all origins, as they were when they were asked for.
pub(crate) struct CurrentKeys(Guard<Arc<Derived>>);

impl CurrentKeys {
    /// Of one origin, counted as [`KeyRing::new`] was given them.
    pub(crate) fn of(&self, origin: usize) -> &OriginKeys {
        &self.0.keys[origin]
    }

    /// Of all origins.
    pub(crate) fn all(&self) -> &[OriginKeys] {
        &self.0.keys
    }

    /// The same, to be held while others are waited for: a thread has room for a few that are not.
    pub(crate) fn kept(self) -> Self {
        Self(Guard::from_inner(Guard::into_inner(self.0)))
    }
}

impl KeyRing {
    /// For one service at these origins. `None` if two keys have the same id: one of the secrets must go.
    pub(crate) fn new(
        secrets: Secrets,
        network: Network,
        (origins, service): (Vec<Arc<str>>, &str),
        store: [u8; 16],
    ) -> Option<Self> {
        let derived = ArcSwap::from_pointee(Derived { version: 0, keys: Vec::new() });
        let ring = Self { secrets, network, origins, service: service.into(), store, derived };
        let derived = ring.derive();
        let collide = derived.keys.iter().any(|keys| !keys.have_unique_ids());
        ring.derived.store(Arc::new(derived));
        (!collide).then_some(ring)
    }

    /// The keys of all origins. Where a change of the ring brings two keys of the same id, what was made with the later one is
    /// not recognised: replace that secret.
    pub(crate) fn current(&self) -> CurrentKeys {
        let derived = self.derived.load();
        if derived.version == self.secrets.version() {
            return CurrentKeys(derived);
        }
        let derived = Arc::new(self.derive());
        // Whoever stores an older ring's keys last makes the next call derive once more.
        self.derived.store(derived.clone());
        CurrentKeys(Guard::from_inner(derived))
    }

    fn derive(&self) -> Derived {
        let (ring, version) = self.secrets.ring();
        let of = |origin: &Arc<str>| {
            let place = Place { network: self.network, origin, service: &self.service, store: &self.store };
            let derive = |purpose| ring.secrets.iter().map(|secret| derive(secret, purpose, place)).collect();
            OriginKeys { keys: PURPOSES.map(derive), minting: ring.minting }
        };
        Derived { version, keys: self.origins.iter().map(of).collect() }
    }

    /// Whether a credential that is minted under one of the two rings may open the other, at some origin: one that a store
    /// counts, and one that only time ends. Compares the ids that every such credential shows.
    pub(crate) fn in_common(&self, other: &Self) -> [bool; 2] {
        let (ours, theirs) = (self.current(), other.current());
        [Purpose::L402Counted, Purpose::L402Timed].map(|purpose| {
            let mut ids = ours.0.keys.iter().flat_map(|keys| keys.all(purpose)).map(|key| key.id);
            ids.any(|id| theirs.0.keys.iter().any(|keys| keys.by_id(purpose, id).is_some()))
        })
    }

    /// The first origin.
    pub(crate) fn origin(&self) -> &str {
        self.origins.first().map_or("", |origin| origin)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("secrets", &self.secrets).field("origins", &self.origins).finish_non_exhaustive()
    }
}

impl fmt::Debug for CurrentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentKeys").field("origins", &self.0.keys.len()).finish_non_exhaustive()
    }
}

/// One key: HMAC-SHA-256 of the secret over a versioned label and all that must not be crossed, each with its length.
fn derive(secret: &[u8], purpose: Purpose, place: Place<'_>) -> DerivedKey {
    let Place { network, origin, service, store } = place;
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    let store: &[u8] = if purpose.is_counted() { store } else { &[] };
    let texts = ["tower-x402 v1", purpose.label(), network.as_str(), origin, service];
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::secrets::SecretError;

    fn ring_of(secrets: &Secrets, origin: &str, service: &str, store: u8) -> KeyRing {
        KeyRing::new(secrets.clone(), Network::Regtest, (vec![origin.into()], service), [store; 16]).unwrap()
    }

    fn ring(secrets: &Secrets, origin: &str, store: u8) -> KeyRing {
        ring_of(secrets, origin, "", store)
    }

    fn id(ring: &KeyRing, purpose: Purpose) -> [u8; 4] {
        ring.current().of(0).minting(purpose).id
    }

    #[test]
    fn no_key_crosses_origins_purposes_or_stores() {
        let secrets = Secrets::new([1; 32]).unwrap();
        let a = ring(&secrets, "https://a", 1);
        assert_ne!(id(&a, Purpose::L402Counted), id(&ring(&secrets, "https://b", 1), Purpose::L402Counted));
        assert_ne!(id(&a, Purpose::L402Counted), id(&ring(&secrets, "https://a", 2), Purpose::L402Counted));
        assert_eq!(id(&a, Purpose::L402Timed), id(&ring(&secrets, "https://a", 2), Purpose::L402Timed));
        assert_ne!(id(&a, Purpose::L402Counted), id(&a, Purpose::L402Timed));
    }

    #[test]
    fn no_key_of_any_purpose_crosses_services() {
        let secrets = Secrets::new([1; 32]).unwrap();
        let services = ["", "a", "b", "ab", "https://a", " "].map(|service| ring_of(&secrets, "https://a", service, 1));
        let moved = ring_of(&secrets, "https://aa", "", 1);
        for purpose in PURPOSES {
            let mut ids: Vec<_> = services.iter().chain([&moved]).map(|ring| id(ring, purpose)).collect();
            assert_eq!(id(&ring_of(&secrets, "https://a", "a", 1), purpose), ids[1], "a label is a label");
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 7, "{purpose:?}");
        }
    }

    #[test]
    fn rings_have_in_common_what_opens_both() {
        let secrets = Secrets::new([1; 32]).unwrap();
        let one = ring_of(&secrets, "https://a", "x", 1);
        assert_eq!(one.in_common(&ring_of(&secrets, "https://a", "x", 1)), [true; 2]);
        assert_eq!(one.in_common(&ring_of(&secrets, "https://a", "x", 2)), [false, true]);
        for other in [ring_of(&secrets, "https://a", "y", 1), ring_of(&secrets, "https://b", "x", 1)] {
            assert_eq!(one.in_common(&other), [false; 2]);
        }
        let others = Secrets::new([2; 32]).unwrap();
        let other = ring_of(&others, "https://a", "x", 1);
        assert_eq!(one.in_common(&other), [false; 2]);
        others.add([1; 32]).unwrap();
        assert_eq!(one.in_common(&other), [true; 2], "one that verifies only opens too");
    }

    #[test]
    fn a_secret_verifies_before_it_mints() {
        let secrets = Secrets::new([1; 32]).unwrap();
        let ring = ring(&secrets, "https://a", 1);
        let old = id(&ring, Purpose::MppId);
        secrets.add([2; 32]).unwrap();
        assert_eq!(id(&ring, Purpose::MppId), old);
        assert_eq!(ring.current().of(0).all(Purpose::MppId).len(), 2);
        secrets.mint_with([2; 32]).unwrap();
        assert_ne!(id(&ring, Purpose::MppId), old);
        assert!(ring.current().of(0).by_id(Purpose::MppId, old).is_some());
        assert_eq!(secrets.remove([2; 32]), Err(SecretError::Minting));
        secrets.remove([1; 32]).unwrap();
        assert!(ring.current().of(0).by_id(Purpose::MppId, old).is_none());
    }

    /// What was sold before an update must be served after it.
    #[test]
    fn keys_are_derived_alike_in_every_version() {
        let secret = std::array::from_fn::<u8, 32, _>(|at| at as u8);
        let place = ("https://api.example.com", "weather");
        let keys = OriginKeys::of_secret(&secret, Network::Regtest, place, &[9; 16]);
        for (purpose, id) in [
            (Purpose::L402Counted, "81c8c1fa"),
            (Purpose::L402Timed, "31834da4"),
            (Purpose::MppId, "5a935aad"),
            (Purpose::X402Quote, "79882d57"),
        ] {
            assert_eq!(crate::codec::hex::encode(keys.minting(purpose).id), id, "{purpose:?}");
        }
    }

    #[test]
    fn two_keys_of_one_id_are_found_where_the_id_alone_tells_them_apart() {
        let key = |id: u8| DerivedKey { id: [id; 4], mac: MacKey::new(&[id; 32]) };
        for (ids, are_unique) in [
            ([&[1_u8, 2][..], &[3, 4], &[1, 2], &[1, 2]], true),
            ([&[1, 1], &[3, 4], &[1, 2], &[1, 2]], false),
            ([&[1, 2], &[3, 1], &[1, 2], &[1, 2]], false),
            ([&[1, 2, 3], &[4, 5, 3], &[1, 2, 3], &[1, 2, 3]], false),
            ([&[1, 2], &[3, 4], &[1, 1], &[1, 2]], false),
            ([&[1, 2], &[3, 4], &[1, 2], &[2, 2]], false),
        ] {
            let keys = OriginKeys { keys: ids.map(|ids| ids.iter().map(|id| key(*id)).collect()), minting: 0 };
            assert_eq!(keys.have_unique_ids(), are_unique, "{ids:?}");
        }
    }
}
