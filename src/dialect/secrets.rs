//! The ring of master secrets: what every key is derived from.

use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::Digest as _;
use zeroize::Zeroizing;

use super::strength::{self, Weakness};

use crate::lock;

/// The ring of master secrets: a shared handle that can change while the server runs.
///
/// A new secret first only verifies, and mints later. To rotate without asking anybody to pay
/// twice: [`add`](Self::add) the new secret on every replica, then [`mint_with`](Self::mint_with)
/// it on every replica, and [`remove`](Self::remove) the old one when its last token has expired. A
/// token expires some time after its invoice, which expires after 5 minutes by default. This time
/// is 24 hours for one request, 30 days for several uses, and for a duration that duration. Wait
/// for the longest time that you sell. If you remove the secret sooner, clients with an older token
/// must pay again.
#[derive(Clone)]
pub struct Secrets(Arc<RingState>);

struct RingState {
    ring: Mutex<Arc<Ring>>,
    /// Counts the changes of the ring, so that readers see without a lock whether their keys are
    /// current.
    version: AtomicU64,
    /// The file that the first secret was read from, and that secret.
    file: Option<(PathBuf, Weak<Zeroizing<Vec<u8>>>)>,
}

pub(super) struct Ring {
    pub(super) secrets: Vec<Arc<Zeroizing<Vec<u8>>>>,
    /// The index of the secret that mints.
    pub(super) minting: usize,
    demands: Demands,
}

/// What the paywalls that use a ring require of every secret in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demands {
    /// It can come from a random source, because other machines can reach a paywall.
    pub(crate) strong: bool,
    /// It is not one of [`Secrets::test_secret`], because a paywall earns real money.
    pub(crate) unknown: bool,
}

/// What is wrong with a secret, or with a change of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// A master secret must have at least 32 random bytes.
    TooShort,
    /// A master secret must be random, and this one is all zeros.
    Zero,
    /// A master secret must be random bytes, and this one is text or contains much text. Hex and
    /// base64 are text too. It is accepted if every origin is a loopback address.
    Text,
    /// A master secret must be random bytes, and this one repeats itself or counts. It is accepted
    /// if every origin is a loopback address.
    Pattern,
    /// This secret is for tests (`Secrets::test_secret`), and anybody can compute it. It is refused
    /// for real money.
    Test,
    /// The ring does not hold that secret.
    Unknown,
    /// The ring mints with that secret: mint with another one before you remove it.
    Minting,
    /// The ring already holds that secret.
    Duplicate,
}

/// How to make a secret and use it.
macro_rules! make_one {
    ($fault:literal) => {
        concat!(
            $fault,
            " make one with `(umask 077; head -c 32 /dev/urandom > master-secret)` and read it with \
             .master_secret_file(\"master-secret\")"
        )
    };
}
pub(crate) use make_one;

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => make_one!("a master secret must have at least 32 random bytes, and this one has fewer:"),
            Self::Zero => make_one!("a master secret must be random, and this one is all zeros, as if it was never filled:"),
            Self::Text => make_one!(
                "for an origin that is not a loopback address a master secret must be random bytes, and this one is text, or much of \
                 it is: convert hex with `xxd -r -p` or base64 with `base64 -d`, or"
            ),
            Self::Pattern => make_one!(
                "for an origin that is not a loopback address a master secret must be random bytes, and this one repeats itself or \
                 counts:"
            ),
            Self::Test => make_one!("this master secret is for tests (`Secrets::test_secret`), and everybody can work it out:"),
            Self::Unknown => {
                "the ring does not hold that secret: it must be byte for byte the one that was added, and one that is to mint must \
                 be added first"
            }
            Self::Minting => "the ring mints with that secret: mint with another one before it is removed",
            Self::Duplicate => "the ring holds that secret already",
        })
    }
}

impl std::error::Error for SecretError {}

impl Secrets {
    /// Creates a ring of one secret, which mints and verifies.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`] for fewer than 32 bytes, [`SecretError::Zero`] for nothing but
    /// zeros.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        Ok(Self::of(checked(secret.as_ref())?, None))
    }

    /// Creates the same ring from a secret that was read from this file.
    pub(crate) fn read(secret: &[u8], file: &Path) -> Result<Self, SecretError> {
        let secret = checked(secret)?;
        let file = (file.to_owned(), Arc::downgrade(&secret));
        Ok(Self::of(secret, Some(file)))
    }

    fn of(
        secret: Arc<Zeroizing<Vec<u8>>>,
        file: Option<(PathBuf, Weak<Zeroizing<Vec<u8>>>)>,
    ) -> Self {
        let ring = Mutex::new(Arc::new(Ring {
            secrets: vec![secret],
            minting: 0,
            demands: Demands::default(),
        }));
        Self(Arc::new(RingState {
            ring,
            version: AtomicU64::new(0),
            file,
        }))
    }

    /// Returns 32 bytes that look random but that anybody can compute: a secret for tests, a
    /// different one for each number. A paywall on mainnet refuses it ([`SecretError::Test`]).
    #[cfg(any(test, feature = "conformance"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "conformance")))]
    #[must_use]
    pub fn test_secret(number: u8) -> [u8; 32] {
        test_secret(number)
    }

    /// Adds a secret that only verifies.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`], [`SecretError::Zero`], [`SecretError::Duplicate`]. Once the ring
    /// is used by a paywall that has an origin other than a loopback address, also
    /// [`SecretError::Text`] and [`SecretError::Pattern`]. Once it is used by a paywall on mainnet,
    /// also [`SecretError::Test`].
    pub fn add(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretError> {
        let secret = checked(secret.as_ref())?;
        self.change(|ring| {
            ring.demands.check(&secret)?;
            if ring.position(&secret).is_some() {
                return Err(SecretError::Duplicate);
            }
            let secrets = ring.secrets.iter().cloned().chain([secret]).collect();
            Ok(Ring { secrets, ..*ring })
        })
    }

    /// Sets the secret that mints from now on. The ring must hold it already.
    ///
    /// # Errors
    ///
    /// [`SecretError::Unknown`].
    pub fn mint_with(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretError> {
        self.change(|ring| {
            let minting = ring.position(secret.as_ref()).ok_or(SecretError::Unknown)?;
            Ok(Ring {
                secrets: ring.secrets.clone(),
                minting,
                demands: ring.demands,
            })
        })
    }

    /// Removes a secret. From then on everything that was minted with it is refused.
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
            Ok(Ring {
                secrets,
                minting: ring.minting - usize::from(gone < ring.minting),
                demands: ring.demands,
            })
        })
    }

    /// Requires this of every secret, including those that are added later. On an error the ring
    /// stays as it was.
    ///
    /// # Errors
    ///
    /// [`SecretError::Text`], [`SecretError::Pattern`], [`SecretError::Test`], and the file that
    /// this secret was read from.
    pub(crate) fn require(&self, demands: Demands) -> Result<(), (SecretError, Option<&Path>)> {
        let mut ring = self.lock();
        let demands = Demands {
            strong: demands.strong || ring.demands.strong,
            unknown: demands.unknown || ring.demands.unknown,
        };
        for secret in &ring.secrets {
            let is_of =
                |file: &&(PathBuf, Weak<_>)| std::ptr::eq(file.1.as_ptr(), Arc::as_ptr(secret));
            let file = || {
                self.0
                    .file
                    .as_ref()
                    .filter(is_of)
                    .map(|(path, _)| path.as_path())
            };
            demands.check(secret).map_err(|error| (error, file()))?;
        }
        *ring = Arc::new(Ring {
            secrets: ring.secrets.clone(),
            minting: ring.minting,
            demands,
        });
        Ok(())
    }

    fn change(
        &self,
        next: impl FnOnce(&Ring) -> Result<Ring, SecretError>,
    ) -> Result<(), SecretError> {
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
        lock::lock(&self.0.ring)
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

impl Demands {
    fn check(self, secret: &[u8]) -> Result<(), SecretError> {
        if self.unknown && is_for_tests(secret) {
            return Err(SecretError::Test);
        }
        if self.strong {
            strength::check(secret).map_err(|weakness| match weakness {
                Weakness::Pattern => SecretError::Pattern,
                Weakness::Text => SecretError::Text,
            })
        } else {
            Ok(())
        }
    }
}

/// What [`Secrets::test_secret`] returns.
fn test_secret(number: u8) -> [u8; 32] {
    sha2::Sha256::new_with_prefix("a secret for tests")
        .chain_update([number])
        .finalize()
        .into()
}

/// Returns whether a secret contains one of the test secrets, at any place.
fn is_for_tests(secret: &[u8]) -> bool {
    let known: HashSet<[u8; 32]> = (0..=u8::MAX).map(test_secret).collect();
    secret.windows(32).any(|part| known.contains(part))
}

impl Ring {
    fn position(&self, secret: &[u8]) -> Option<usize> {
        self.secrets
            .iter()
            .position(|held| constant_time_eq::constant_time_eq(held, secret))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("count", &self.lock().secrets.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/secrets.rs"]
mod tests;
