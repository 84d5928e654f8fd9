//! The keys of all origins, derived again when the ring of secrets changes.

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use super::derive::{OriginKeys, Place, Purpose};
use crate::{dialect::secrets::Secrets, payment::Network};

/// Derives the keys of each origin, again whenever the ring changes. Reading takes no lock.
pub(crate) struct KeyRing {
    secrets: Secrets,
    purposes: Vec<Purpose>,
    network: Network,
    origins: Vec<Arc<str>>,
    service: Box<str>,
    store: [u8; 16],
    derived: ArcSwap<Derived>,
}

/// The keys of all origins, and the version of the ring that they are derived from.
struct Derived {
    version: u64,
    keys: Vec<OriginKeys>,
}

/// The keys of all origins at the moment of the call.
pub(crate) struct CurrentKeys(Guard<Arc<Derived>>);

impl CurrentKeys {
    /// Returns the keys of one origin, by its index in what [`KeyRing::new`] was given.
    pub(crate) fn of(&self, origin: usize) -> &OriginKeys {
        &self.0.keys[origin]
    }

    /// Returns the keys of all origins.
    pub(crate) fn all(&self) -> &[OriginKeys] {
        &self.0.keys
    }

    /// Returns the same, to be held across waits: only a few borrowed ones per thread are cheap.
    pub(crate) fn kept(self) -> Self {
        Self(Guard::from_inner(Guard::into_inner(self.0)))
    }
}

impl KeyRing {
    /// Creates the keys of one service at these origins. `None` if two keys have the same id: one
    /// of the secrets must be replaced.
    pub(crate) fn new(
        secrets: Secrets,
        purposes: Vec<Purpose>,
        network: Network,
        (origins, service): (Vec<Arc<str>>, &str),
        store: [u8; 16],
    ) -> Option<Self> {
        let derived = ArcSwap::from_pointee(Derived {
            version: 0,
            keys: Vec::new(),
        });
        let ring = Self {
            secrets,
            purposes,
            network,
            origins,
            service: service.into(),
            store,
            derived,
        };
        let derived = ring.derive();
        let collide = derived.keys.iter().any(|keys| !keys.have_unique_ids());
        ring.derived.store(Arc::new(derived));
        (!collide).then_some(ring)
    }

    /// Returns the keys of all origins. If a change of the ring gives two keys the same id, the
    /// later key recognises nothing: replace that secret.
    pub(crate) fn current(&self) -> CurrentKeys {
        let derived = self.derived.load();
        if derived.version == self.secrets.version() {
            return CurrentKeys(derived);
        }
        let derived = Arc::new(self.derive());
        // If two threads derive at once and the older keys are stored last, the next call derives
        // once more.
        self.derived.store(derived.clone());
        CurrentKeys(Guard::from_inner(derived))
    }

    fn derive(&self) -> Derived {
        let (ring, version) = self.secrets.ring();
        let of = |origin: &Arc<str>| {
            let place = Place {
                network: self.network,
                origin,
                service: &self.service,
                store: &self.store,
            };
            OriginKeys::derive(&ring, &self.purposes, place)
        };
        Derived {
            version,
            keys: self.origins.iter().map(of).collect(),
        }
    }

    /// Returns whether a credential minted under one ring may be accepted under the other at some
    /// origin: for credentials that a store counts, and for those that end only by time. Compares
    /// the key ids that every such credential shows.
    pub(crate) fn in_common(&self, other: &Self) -> [bool; 2] {
        let (ours, theirs) = (self.current(), other.current());
        let share = |purpose: Purpose| {
            let mut ids = ours
                .0
                .keys
                .iter()
                .flat_map(|keys| keys.all(purpose))
                .map(|key| key.id);
            ids.any(|id| {
                theirs
                    .0
                    .keys
                    .iter()
                    .any(|keys| keys.by_id(purpose, id).is_some())
            })
        };
        [true, false].map(|is_counted| {
            let mut purposes = self.purposes.iter();
            purposes.any(|purpose| purpose.is_counted == is_counted && share(*purpose))
        })
    }

    /// Returns the first origin.
    pub(crate) fn origin(&self) -> &str {
        self.origins.first().map_or("", |origin| origin)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("secrets", &self.secrets)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CurrentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentKeys")
            .field("origins", &self.0.keys.len())
            .finish_non_exhaustive()
    }
}
