//! The ring of master secrets and what is derived from it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::MacKey;
use crate::payment::Network;

/// The ring of master secrets: a shared handle that can change while the server runs.
///
/// A secret verifies before it mints. To rotate without asking anybody to pay twice: [`add`](Self::add) the new secret on
/// every replica, then [`mint_with`](Self::mint_with) it on every replica, and [`remove`](Self::remove) the old one when its
/// last token has ended: after the invoice's life (default 5 minutes) and the longest of what follows it, which is 24 hours for one
/// request, 30 days for several uses, and the longest duration that you sell. Whoever comes later with one is asked to pay again.
#[derive(Clone)]
pub struct Secrets(Arc<Shared>);

struct Shared {
    ring: Mutex<Arc<Ring>>,
    /// Counts the rings, so that readers see without a lock whether theirs is the last one.
    version: AtomicU64,
}

struct Ring {
    secrets: Vec<Arc<Zeroizing<Vec<u8>>>>,
    minting: usize,
}

/// What is wrong with a secret, or with a change of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// A master secret must have at least 32 random bytes.
    TooShort,
    /// A master secret must be random, and this one is nothing but zeros.
    Zero,
    /// The ring does not hold that secret.
    Unknown,
    /// The ring mints with that secret: mint with another one before it is removed.
    Minting,
    /// The ring holds that secret already.
    Duplicate,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "a master secret must have at least 32 random bytes",
            Self::Zero => "a master secret must be random, and this one is nothing but zeros: was it never filled?",
            Self::Unknown => "the ring does not hold that secret: add it first",
            Self::Minting => "the ring mints with that secret: mint with another one before it is removed",
            Self::Duplicate => "the ring holds that secret already",
        })
    }
}

impl std::error::Error for SecretError {}

impl Secrets {
    /// A ring of one secret, which mints and verifies.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`] for fewer than 32 bytes, [`SecretError::Zero`] for nothing but zeros.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        let secrets = vec![checked(secret.as_ref())?];
        let ring = Mutex::new(Arc::new(Ring { secrets, minting: 0 }));
        Ok(Self(Arc::new(Shared { ring, version: AtomicU64::new(0) })))
    }

    /// Adds a secret that verifies only.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`], [`SecretError::Zero`], [`SecretError::Duplicate`].
    pub fn add(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretError> {
        let secret = checked(secret.as_ref())?;
        self.change(|ring| {
            if ring.position(&secret).is_some() {
                return Err(SecretError::Duplicate);
            }
            let secrets = ring.secrets.iter().cloned().chain([secret]).collect();
            Ok(Ring { secrets, minting: ring.minting })
        })
    }

    /// Mints with a secret that the ring holds.
    ///
    /// # Errors
    ///
    /// [`SecretError::Unknown`].
    pub fn mint_with(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretError> {
        self.change(|ring| {
            let minting = ring.position(secret.as_ref()).ok_or(SecretError::Unknown)?;
            Ok(Ring { secrets: ring.secrets.clone(), minting })
        })
    }

    /// Removes a secret: what was minted with it is worth nothing from now on.
    ///
    /// # Errors
    ///
    /// [`SecretError::Unknown`], [`SecretError::Minting`].
    pub fn remove(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretError> {
        self.change(|ring| {
            let gone = ring.position(secret.as_ref()).ok_or(SecretError::Unknown)?;
            if gone == ring.minting {
                return Err(SecretError::Minting);
            }
            let mut secrets = ring.secrets.clone();
            secrets.remove(gone);
            Ok(Ring { secrets, minting: ring.minting - usize::from(gone < ring.minting) })
        })
    }

    fn change(&self, next: impl FnOnce(&Ring) -> Result<Ring, SecretError>) -> Result<(), SecretError> {
        let mut ring = self.lock();
        *ring = Arc::new(next(&ring)?);
        self.0.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// The ring and its version.
    fn ring(&self) -> (Arc<Ring>, u64) {
        let ring = self.lock();
        (ring.clone(), self.version())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Ring>> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn checked(secret: &[u8]) -> Result<Arc<Zeroizing<Vec<u8>>>, SecretError> {
    if secret.len() < 32 {
        return Err(SecretError::TooShort);
    }
    if secret.iter().fold(0, |all, byte| all | byte) == 0 {
        return Err(SecretError::Zero);
    }
    Ok(Arc::new(Zeroizing::new(secret.to_vec())))
}

impl Ring {
    fn position(&self, secret: &[u8]) -> Option<usize> {
        self.secrets.iter().position(|held| constant_time_eq::constant_time_eq(held, secret))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("count", &self.lock().secrets.len()).finish_non_exhaustive()
    }
}

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
    pub(crate) fn of_secret(secret: &[u8], network: Network, origin: &str, store: &[u8; 16]) -> Self {
        Self { keys: PURPOSES.map(|purpose| vec![derive(secret, purpose, network, origin, store)]), minting: 0 }
    }
}

/// Derives the keys of each origin, again whenever the ring has changed. Reading takes no lock.
pub(crate) struct KeyRing {
    secrets: Secrets,
    network: Network,
    origins: Vec<Arc<str>>,
    store: [u8; 16],
    derived: ArcSwap<Derived>,
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
    /// `None` where two keys have the same id: one of the secrets must go.
    pub(crate) fn new(secrets: Secrets, network: Network, origins: Vec<Arc<str>>, store: [u8; 16]) -> Option<Self> {
        let derived = Derived::new(&secrets, network, &origins, &store);
        let collide = derived.keys.iter().any(|keys| !keys.have_unique_ids());
        (!collide).then(|| Self { secrets, network, origins, store, derived: ArcSwap::from_pointee(derived) })
    }

    /// The keys of all origins. Where a change of the ring brings two keys of the same id, what was made with the later one is
    /// not recognised: replace that secret.
    pub(crate) fn current(&self) -> CurrentKeys {
        let derived = self.derived.load();
        if derived.version == self.secrets.version() {
            return CurrentKeys(derived);
        }
        let derived = Arc::new(Derived::new(&self.secrets, self.network, &self.origins, &self.store));
        // Whoever stores an older ring's keys last makes the next call derive once more.
        self.derived.store(derived.clone());
        CurrentKeys(Guard::from_inner(derived))
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

impl Derived {
    fn new(secrets: &Secrets, network: Network, origins: &[Arc<str>], store: &[u8; 16]) -> Self {
        let (ring, version) = secrets.ring();
        let of = |origin: &Arc<str>| {
            let derive = |purpose| ring.secrets.iter().map(|secret| derive(secret, purpose, network, origin, store)).collect();
            OriginKeys { keys: PURPOSES.map(derive), minting: ring.minting }
        };
        Self { version, keys: origins.iter().map(of).collect() }
    }
}

/// One key: HMAC-SHA-256 of the secret over a versioned label and all that must not be crossed, each with its length.
fn derive(secret: &[u8], purpose: Purpose, network: Network, origin: &str, store: &[u8; 16]) -> DerivedKey {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    let store: &[u8] = if purpose.is_counted() { store } else { &[] };
    for part in ["tower-x402 v1".as_bytes(), purpose.label().as_bytes(), network.as_str().as_bytes(), origin.as_bytes(), store] {
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

    fn ring(secrets: &Secrets, origin: &str, store: u8) -> KeyRing {
        KeyRing::new(secrets.clone(), Network::Regtest, vec![origin.into()], [store; 16]).unwrap()
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

    #[test]
    fn short_and_unknown_secrets_are_refused() {
        assert_eq!(Secrets::new([1; 31]).unwrap_err(), SecretError::TooShort);
        let secrets = Secrets::new([1; 32]).unwrap();
        assert_eq!(secrets.add([1; 32]), Err(SecretError::Duplicate));
        assert_eq!(secrets.mint_with([2; 32]), Err(SecretError::Unknown));
        assert_eq!(format!("{secrets:?}"), "Secrets { count: 1, .. }");
    }
}
