//! The ring of master secrets and what is derived from it.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::MacKey;
use crate::payment::Network;

/// The ring of master secrets: a shared handle that can change while the server runs.
///
/// A secret verifies before it mints. To rotate without asking anybody to pay twice: [`add`](Self::add) the new secret on
/// every replica, then [`mint_with`](Self::mint_with) it on every replica, and [`remove`](Self::remove) the old one when its
/// last token has ended.
#[derive(Clone)]
pub struct Secrets(Arc<RwLock<Arc<Ring>>>);

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
    /// [`SecretError::TooShort`] for fewer than 32 bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        let secrets = vec![checked(secret.as_ref())?];
        Ok(Self(Arc::new(RwLock::new(Arc::new(Ring { secrets, minting: 0 })))))
    }

    /// Adds a secret that verifies only.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`], [`SecretError::Duplicate`].
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
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *ring = Arc::new(next(&ring)?);
        Ok(())
    }

    fn is(&self, ring: &Arc<Ring>) -> bool {
        Arc::ptr_eq(&self.0.read().unwrap_or_else(PoisonError::into_inner), ring)
    }

    fn ring(&self) -> Arc<Ring> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn checked(secret: &[u8]) -> Result<Arc<Zeroizing<Vec<u8>>>, SecretError> {
    if secret.len() < 32 {
        return Err(SecretError::TooShort);
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
        f.debug_struct("Secrets").field("count", &self.ring().secrets.len()).finish_non_exhaustive()
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

/// Derives the keys of each origin, again whenever the ring has changed.
pub(crate) struct KeyRing {
    secrets: Secrets,
    network: Network,
    origins: Vec<Arc<str>>,
    store: [u8; 16],
    derived: RwLock<(Arc<Ring>, Arc<[OriginKeys]>)>,
}

impl KeyRing {
    /// `None` where two keys have the same id: one of the secrets must go.
    pub(crate) fn new(secrets: Secrets, network: Network, origins: Vec<Arc<str>>, store: [u8; 16]) -> Option<Self> {
        let ring = secrets.ring();
        let keys = derive_all(&ring, network, &origins, &store);
        let collide = keys.iter().any(|keys| !keys.have_unique_ids());
        (!collide).then_some(Self { secrets, network, origins, store, derived: RwLock::new((ring, keys)) })
    }

    /// The keys of all origins, in the order that `new` was given. Where a change of the ring brings two keys of the same id,
    /// what was made with the later one is not recognised: replace that secret.
    pub(crate) fn current(&self) -> Arc<[OriginKeys]> {
        {
            let derived = self.derived.read().unwrap_or_else(PoisonError::into_inner);
            if self.secrets.is(&derived.0) {
                return derived.1.clone();
            }
        }
        let ring = self.secrets.ring();
        let mut derived = self.derived.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&derived.0, &ring) {
            derived.1 = derive_all(&ring, self.network, &self.origins, &self.store);
            derived.0 = ring;
        }
        derived.1.clone()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("secrets", &self.secrets).field("origins", &self.origins).finish_non_exhaustive()
    }
}

fn derive_all(ring: &Ring, network: Network, origins: &[Arc<str>], store: &[u8; 16]) -> Arc<[OriginKeys]> {
    let of = |origin: &Arc<str>| {
        let keys =
            PURPOSES.map(|purpose| ring.secrets.iter().map(|secret| derive(secret, purpose, network, origin, store)).collect());
        OriginKeys { keys, minting: ring.minting }
    };
    origins.iter().map(of).collect()
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
        ring.current()[0].minting(purpose).id
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
        assert_eq!(ring.current()[0].all(Purpose::MppId).len(), 2);
        secrets.mint_with([2; 32]).unwrap();
        assert_ne!(id(&ring, Purpose::MppId), old);
        assert!(ring.current()[0].by_id(Purpose::MppId, old).is_some());
        assert_eq!(secrets.remove([2; 32]), Err(SecretError::Minting));
        secrets.remove([1; 32]).unwrap();
        assert!(ring.current()[0].by_id(Purpose::MppId, old).is_none());
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
