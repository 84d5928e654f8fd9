//! Unpaid invoices counted over all instances: each counts under a number, which is a record that
//! one instance alone can write.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    claimant::Claimant,
    claims::Claim,
    limits::UnpaidLimits,
    pace::USUAL,
    places::Places,
    state::{Full, LimiterState, TooMany},
};
use crate::{
    clock::Timestamp,
    lock::lock,
    payment::SKEW,
    recent::Recent,
    replay::{RecordKey, Records, StoreError, StoreErrorKind},
    server::address::ClientKey,
};

/// How many numbers are tried for one invoice.
const TRIES: usize = 4;

/// How many clients are remembered for which no number was found.
const REFUSED: usize = 16_384;

/// The numbers that instances share.
pub(crate) struct SharedNumbers {
    records: Arc<dyn Records>,
    /// Separates these numbers from others in the same records.
    name: Box<str>,
    salt: Box<[u8]>,
    random: RandomState,
    picked: AtomicU64,
    /// Until when the records are not asked again for a client.
    refused: Mutex<Recent<ClientKey, Timestamp>>,
}

/// Why there is no number for another invoice.
#[derive(Debug)]
pub(crate) enum Unclaimed {
    TooMany(TooMany),
    Store(StoreError),
}

impl SharedNumbers {
    /// Shares numbers in these records. Clients are spread over the numbers by the salt, which must
    /// be the same for all instances.
    pub(crate) fn new(records: Arc<dyn Records>, name: Box<str>, salt: &[u8]) -> Self {
        Self {
            records,
            name,
            salt: salt.into(),
            random: RandomState::new(),
            picked: AtomicU64::new(0),
            refused: Mutex::new(Recent::new(REFUSED)),
        }
    }

    /// Claims a number for the invoice of a slot, which lives for so long. Asks the records once,
    /// and once more for each number that turns out to be taken. It asks them nothing if the client
    /// has a number of an invoice that it paid.
    pub(super) async fn claim(
        &self,
        state: &Mutex<LimiterState>,
        limits: &UnpaidLimits,
        slot: u64,
        (now, life): (Timestamp, Duration),
    ) -> Result<(), Unclaimed> {
        let Some((claimant, parts)) = self.begin(state, limits, slot, now) else {
            return Ok(());
        };
        let client = claimant.client;
        if self.was_refused(client, now) {
            return Err(too_many(client));
        }
        let reusable_until = now.saturating_add(match claimant.has_paid {
            true => life,
            false => life.min(SKEW),
        });
        let expires_at = reusable_until.saturating_add(life).saturating_add(SKEW);
        let mut tried = Vec::with_capacity(TRIES);
        for attempt in 0..TRIES {
            // The first half of the tries is for the first part.
            let part = &parts[attempt * parts.len() / TRIES];
            let Some(number) = self.unclaimed(state, part, &tried, now) else {
                continue;
            };
            tried.push(number);
            let key = self.key(number).map_err(Unclaimed::Store)?;
            let put = self.records.put_if_absent(key, Vec::new(), expires_at);
            if put.await.map_err(Unclaimed::Store)? {
                let claim = Claim {
                    client,
                    slot: Some(slot),
                    reusable_until,
                    expires_at,
                };
                let mut state = lock(state);
                state.claims.add(number, claim, now);
                state.bind(slot, number);
                return Ok(());
            }
        }
        if client != ClientKey::Unknown {
            *lock(&self.refused).entry(client) = now.saturating_add(USUAL);
        }
        Err(too_many(client))
    }

    /// Returns who claims, and from which numbers. `None` if the slot has a number now.
    fn begin(
        &self,
        state: &Mutex<LimiterState>,
        limits: &UnpaidLimits,
        slot: u64,
        now: Timestamp,
    ) -> Option<(Claimant, Vec<Places>)> {
        let claimant = {
            let mut state = lock(state);
            state.forget(now);
            state.claimant(slot, limits)?
        };
        let client = claimant.client;
        let open = Places::open(client, claimant.most, limits, &self.salt);
        let reserved = claimant
            .has_paid
            .then(|| Places::reserved(client, limits, &self.salt));
        let parts: Vec<_> = open.into_iter().chain(reserved.flatten()).collect();
        if client != ClientKey::Unknown {
            let mut state = lock(state);
            let mut numbers = parts.iter().flat_map(Places::numbers);
            let again = numbers.find(|number| state.claims.take_again(*number, client, slot, now));
            if let Some(number) = again {
                state.bind(slot, number);
                return None;
            }
        }
        Some((claimant, parts))
    }

    /// Returns a random number of an arc that this process has not claimed and not tried.
    fn unclaimed(
        &self,
        state: &Mutex<LimiterState>,
        part: &Places,
        tried: &[u64],
        now: Timestamp,
    ) -> Option<u64> {
        let count = self.picked.fetch_add(1, Ordering::Relaxed);
        let begin = self.random.hash_one(count) % part.own;
        let state = lock(state);
        (0..part.own)
            .map(|at| part.number(begin + at))
            .find(|number| !tried.contains(number) && !state.claims.holds(*number, now))
    }

    fn was_refused(&self, client: ClientKey, now: Timestamp) -> bool {
        let until = lock(&self.refused).get(&client).copied();
        until.is_some_and(|until| now < until)
    }

    fn key(&self, number: u64) -> Result<RecordKey, StoreError> {
        let name = self.name.as_bytes();
        let length = [u8::try_from(name.len()).unwrap_or(u8::MAX)];
        let key = [PREFIX, &length, name, &number.to_be_bytes()].concat();
        RecordKey::new(&key).ok_or_else(|| {
            let why = "the name of the shared limits is too long";
            StoreError::new(StoreErrorKind::Unavailable, "the shared limits", why)
        })
    }
}

fn too_many(client: ClientKey) -> Unclaimed {
    Unclaimed::TooMany(TooMany {
        retry_after: USUAL,
        full: Full::Shared(client),
    })
}

impl fmt::Debug for SharedNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedNumbers")
            .field("records", &self.records)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

const PREFIX: &[u8] = b"unpaid/";
