//! The secrets that a ring holds at one moment, and which of them mints.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{demands::Demands, secret_error::SecretError};

/// The secrets that a source holds: the first is to mint.
pub(crate) struct Content {
    pub(crate) secrets: Vec<Zeroizing<Vec<u8>>>,
    /// Whether it is a list in hex. A raw secret is the whole content.
    pub(crate) is_list: bool,
}

/// Which secret of a source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first is 1.
    Listed(usize),
    Whole,
}

/// Why secrets cannot be used. There is no place for a whole list, and for a secret that the
/// application passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) error: SecretError,
    pub(crate) place: Option<Place>,
}

/// How a ring changed when its source was read again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Relisted {
    pub(crate) held: usize,
    pub(crate) added: usize,
    pub(crate) removed: usize,
    /// Whether another secret mints than before.
    pub(crate) has_turned: bool,
    pub(crate) first_mints: bool,
}

pub(super) struct Ring {
    pub(super) secrets: Vec<Held>,
    /// The index of the secret that mints.
    pub(super) minting: usize,
    pub(super) demands: Demands,
}

#[derive(Clone)]
pub(super) struct Held {
    pub(super) bytes: Arc<Zeroizing<Vec<u8>>>,
    /// `None` if the application passed it.
    place: Option<Place>,
}

/// The most secrets of one ring. A credential of MPP is compared with each of them.
pub(super) const MOST: usize = 64;

impl Content {
    /// Returns the secrets if any ring may hold them.
    pub(super) fn checked(self) -> Result<Vec<Held>, Unfit> {
        let is_list = self.is_list;
        let place = |at| match is_list {
            true => Place::Listed(at + 1),
            false => Place::Whole,
        };
        checked(self.secrets, |at| Some(place(at)))
    }
}

/// Returns the secrets if any ring may hold them. The places of the secrets are given by their indices.
pub(super) fn checked(
    secrets: impl IntoIterator<Item = Zeroizing<Vec<u8>>>,
    place: impl Fn(usize) -> Option<Place>,
) -> Result<Vec<Held>, Unfit> {
    let of_all = |error| Unfit { error, place: None };
    let mut held: Vec<Held> = Vec::new();
    for (at, secret) in secrets.into_iter().enumerate() {
        if at == MOST {
            return Err(of_all(SecretError::TooMany));
        }
        let place = place(at);
        let unfit = |error| Unfit { error, place };
        let secret = Held::new(secret, place).map_err(unfit)?;
        if position(&held, &secret.bytes).is_some() {
            return Err(unfit(SecretError::Duplicate));
        }
        held.push(secret);
    }
    if held.is_empty() {
        return Err(of_all(SecretError::Empty));
    }
    Ok(held)
}

fn position(secrets: &[Held], secret: &[u8]) -> Option<usize> {
    let is_it = |held: &Held| constant_time_eq::constant_time_eq(&held.bytes, secret);
    secrets.iter().position(is_it)
}

impl Held {
    pub(super) fn new(
        secret: Zeroizing<Vec<u8>>,
        place: Option<Place>,
    ) -> Result<Self, SecretError> {
        if secret.len() < 32 {
            return Err(SecretError::TooShort);
        }
        if secret.iter().fold(0, |all, byte| all | byte) == 0 {
            return Err(SecretError::Zero);
        }
        let bytes = Arc::new(secret);
        Ok(Self { bytes, place })
    }
}

impl Ring {
    pub(super) fn position(&self, secret: &[u8]) -> Option<usize> {
        position(&self.secrets, secret)
    }

    /// Returns how many of its secrets the other ring does not hold.
    pub(super) fn count_beyond(&self, other: &Self) -> usize {
        let is_beyond = |held: &&Held| other.position(&held.bytes).is_none();
        self.secrets.iter().filter(is_beyond).count()
    }

    pub(super) fn meet_demands(&self) -> Result<(), Unfit> {
        self.secrets.iter().try_for_each(|held| {
            let place = held.place;
            let unfit = |error| Unfit { error, place };
            self.demands.check(&held.bytes).map_err(unfit)
        })
    }
}
