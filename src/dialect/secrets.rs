//! The ring of master secrets: what every key is derived from.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use zeroize::Zeroizing;

use super::strength;

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
    /// A paywall that others than this machine can reach uses the ring. Changed and read under the ring's lock.
    must_be_strong: AtomicBool,
}

pub(super) struct Ring {
    pub(super) secrets: Vec<Arc<Zeroizing<Vec<u8>>>>,
    /// Which of them mints.
    pub(super) minting: usize,
}

/// What is wrong with a secret, or with a change of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// A master secret must have at least 32 random bytes.
    TooShort,
    /// A master secret must be random, and this one is nothing but zeros.
    Zero,
    /// A master secret must be random bytes, and this one is text; hex and base64 are text too. On loopback it will do.
    Text,
    /// A master secret must be random bytes, and this one repeats itself or counts. On loopback it will do.
    Pattern,
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
            Self::Text => {
                "off loopback a master secret must be random bytes, and this one is text (hex and base64 too): make one with \
                 `head -c 32 /dev/urandom > master-secret` and read it with .master_secret_file(\"master-secret\")"
            }
            Self::Pattern => {
                "off loopback a master secret must be random bytes, and this one repeats itself or counts: make one with \
                 `head -c 32 /dev/urandom > master-secret` and read it with .master_secret_file(\"master-secret\")"
            }
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
        Ok(Self(Arc::new(Shared { ring, version: AtomicU64::new(0), must_be_strong: AtomicBool::new(false) })))
    }

    /// Returns 32 bytes that look random and that everybody can work out: a secret for tests, another one for each number.
    #[cfg(any(test, feature = "conformance"))]
    #[must_use]
    pub fn test_secret(number: u8) -> [u8; 32] {
        use sha2::Digest as _;
        sha2::Sha256::new_with_prefix("a secret for tests").chain_update([number]).finalize().into()
    }

    /// Adds a secret that verifies only.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`], [`SecretError::Zero`], [`SecretError::Duplicate`]; and, once a paywall with an origin off
    /// loopback uses the ring, [`SecretError::Text`] and [`SecretError::Pattern`].
    pub fn add(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretError> {
        let secret = checked(secret.as_ref())?;
        self.change(|ring| {
            if self.0.must_be_strong.load(Ordering::Relaxed) {
                strength::check(&secret)?;
            }
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

    /// Makes sure that every secret can be a random one, those that are added later too.
    ///
    /// # Errors
    ///
    /// [`SecretError::Text`], [`SecretError::Pattern`]: the ring is then as it was.
    pub(crate) fn require_strong(&self) -> Result<(), SecretError> {
        let ring = self.lock();
        ring.secrets.iter().try_for_each(|secret| strength::check(secret))?;
        self.0.must_be_strong.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn change(&self, next: impl FnOnce(&Ring) -> Result<Ring, SecretError>) -> Result<(), SecretError> {
        let mut ring = self.lock();
        *ring = Arc::new(next(&ring)?);
        self.0.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    pub(super) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// The ring and its version.
    pub(super) fn ring(&self) -> (Arc<Ring>, u64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_must_be_strong_stays_so_in_all_its_handles() {
        let weak = Secrets::new([1; 32]).unwrap();
        assert_eq!(weak.require_strong(), Err(SecretError::Pattern));
        weak.add([2; 32]).unwrap();
        let strong = Secrets::new(Secrets::test_secret(1)).unwrap();
        strong.add(Secrets::test_secret(2)).unwrap();
        let handle = strong.clone();
        strong.require_strong().unwrap();
        assert_eq!(handle.add([3; 32]), Err(SecretError::Pattern));
        assert_eq!(handle.add(b"a sentence of more than thirty-two letters"), Err(SecretError::Text));
        handle.add(Secrets::test_secret(3)).unwrap();
        assert_eq!(format!("{strong:?}"), "Secrets { count: 3, .. }");
        let mixed = Secrets::new(Secrets::test_secret(1)).unwrap();
        mixed.add([2; 32]).unwrap();
        assert_eq!(mixed.require_strong(), Err(SecretError::Pattern), "one that verifies only counts too");
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
