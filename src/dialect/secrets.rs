//! The ring of master secrets: what every key is derived from.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::held::{Held, MOST, Ring, checked};
pub use super::secret_error::SecretError;
pub(crate) use super::{
    demands::Demands,
    held::{Content, Place, Relisted, Unfit},
    secret_error::make_one,
};
use zeroize::Zeroizing;

use crate::lock;

/// The ring of master secrets: a shared handle that can change while the server runs.
///
/// One secret of the ring mints, and all verify. **No secret may mint on one replica before every
/// replica verifies with it.** Otherwise a replica refuses what another one has just sold. So a
/// rotation has three steps:
///
/// | step | with a file, see [`reload`](Self::reload) | by calls |
/// |---|---|---|
/// | 1. Every replica learns the new secret. | Add its line at the end of the file, and reload every replica. | [`add`](Self::add) |
/// | 2. It mints, on one replica after the other. | Move its line to the top, and reload every replica. | [`mint_with`](Self::mint_with) |
/// | 3. The old secret is removed. | Delete its line, and reload every replica. | [`remove`](Self::remove) |
///
/// Begin a step only after the step before it succeeded on every replica. Removing a secret refuses
/// everything that was minted with it. So before step 3 wait until the last token of the old secret
/// has expired. A token expires some time after its invoice, which expires after 5 minutes by
/// default. This time is 24 hours for one request, 30 days for several uses, and for a duration that
/// duration. Wait for the longest time that you sell.
///
/// A server that reads its secrets only at its start, for example from the environment, rotates in
/// the same three steps: restart every replica in place of each reload.
#[derive(Clone)]
pub struct Secrets(Arc<RingState>);

struct RingState {
    ring: Mutex<Arc<Ring>>,
    /// Counts the changes of the ring, so that readers see without a lock whether their keys are
    /// current.
    version: AtomicU64,
    /// `None` if the application passed the secrets.
    source: Option<Source>,
    /// Held while the source is read again, so that what is read last counts.
    reloading: Mutex<()>,
}

/// What the secrets of a ring were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    /// The name of an environment variable.
    Variable(String),
}

impl Secrets {
    /// Creates a ring of one secret, which mints and verifies.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`] for fewer than 32 bytes, [`SecretError::Zero`] for nothing but
    /// zeros.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        Self::from_list([secret])
    }

    /// Creates a ring of several secrets. The first mints, and all verify.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] for no secret, [`SecretError::TooMany`] for more than 64,
    /// [`SecretError::Duplicate`] for two equal ones, and the errors of [`new`](Self::new).
    pub fn from_list(
        secrets: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Self, SecretError> {
        let secrets = secrets.into_iter().map(|secret| owned(secret.as_ref()));
        let held = checked(secrets, |_| None).map_err(|unfit| unfit.error)?;
        Ok(Self::of(held, None))
    }

    /// Creates a ring from what a source holds.
    pub(crate) fn read(content: Content, source: Source) -> Result<Self, Unfit> {
        Ok(Self::of(content.checked()?, Some(source)))
    }

    fn of(secrets: Vec<Held>, source: Option<Source>) -> Self {
        let ring = Mutex::new(Arc::new(Ring {
            secrets,
            minting: 0,
            demands: Demands::default(),
        }));
        Self(Arc::new(RingState {
            ring,
            version: AtomicU64::new(0),
            source,
            reloading: Mutex::default(),
        }))
    }

    /// Returns 32 bytes that look random but that anybody can compute: a secret for tests, a
    /// different one for each number. A paywall on mainnet refuses it ([`SecretError::Test`]).
    #[cfg(any(test, feature = "conformance"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "conformance")))]
    #[must_use]
    pub fn test_secret(number: u8) -> [u8; 32] {
        super::demands::test_secret(number)
    }

    /// Adds a secret that only verifies.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`], [`SecretError::Zero`], [`SecretError::Duplicate`],
    /// [`SecretError::TooMany`]. Once the ring is used by a paywall that has an origin other than a
    /// loopback address, also [`SecretError::Text`] and [`SecretError::Pattern`]. Once it is used by a
    /// paywall on mainnet, also [`SecretError::Test`].
    pub fn add(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretError> {
        let secret = Held::new(owned(secret.as_ref()), None)?;
        self.change(|ring| {
            ring.demands.check(&secret.bytes)?;
            if ring.position(&secret.bytes).is_some() {
                return Err(SecretError::Duplicate);
            }
            if ring.secrets.len() >= MOST {
                return Err(SecretError::TooMany);
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

    /// Replaces the ring by what its source holds now. On an error the ring stays as it was.
    ///
    /// The first secret mints from now on, if the ring held it before. If not, other replicas may
    /// not know it either: it verifies, and the secret that minted before still mints.
    ///
    /// # Errors
    ///
    /// [`SecretError::Minting`] if the secret that mints now is missing, and what is wrong with a
    /// secret.
    pub(crate) fn replace(&self, content: Content) -> Result<Relisted, Unfit> {
        let secrets = content.checked()?;
        let mut ring = self.lock();
        let mut next = Ring {
            secrets,
            minting: 0,
            demands: ring.demands,
        };
        next.meet_demands()?;
        let minted = &ring.secrets[ring.minting].bytes;
        let first_mints = ring.position(&next.secrets[0].bytes).is_some();
        let still = next.position(minted).ok_or(Unfit {
            error: SecretError::Minting,
            place: None,
        })?;
        next.minting = if first_mints { 0 } else { still };
        let relisted = Relisted {
            held: next.secrets.len(),
            added: next.count_beyond(&ring),
            removed: ring.count_beyond(&next),
            has_turned: next.minting != still,
            first_mints,
        };
        *ring = Arc::new(next);
        self.0.version.fetch_add(1, Ordering::Release);
        Ok(relisted)
    }

    /// Returns what the secrets were read from.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.0.source.as_ref()
    }

    /// Waits until no other thread reads the source again.
    pub(crate) fn begin_reload(&self) -> MutexGuard<'_, ()> {
        lock::lock(&self.0.reloading)
    }

    /// Requires this of every secret, including those that are added later. On an error the ring
    /// stays as it was.
    ///
    /// # Errors
    ///
    /// [`SecretError::Text`], [`SecretError::Pattern`], [`SecretError::Test`].
    pub(crate) fn require(&self, demands: Demands) -> Result<(), Unfit> {
        let mut ring = self.lock();
        let demanding = Ring {
            secrets: ring.secrets.clone(),
            minting: ring.minting,
            demands: ring.demands.and(demands),
        };
        demanding.meet_demands()?;
        *ring = Arc::new(demanding);
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

fn owned(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(secret.to_vec())
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
