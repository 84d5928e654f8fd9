//! Free requests: a number a day for each client with a known address.

use std::{
    error::Error,
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::{
    day_counts::{DayCounts, DayLimits, Holder},
    numbered::{DAY_SECONDS, NumberedRequests, Unrecorded, is_name},
};
use crate::{
    clock::Timestamp,
    lock::lock,
    replay::{Records, StoreError},
    server::address::ClientKey,
};

/// How many clients are counted in one day. Further ones get no free requests.
const CLIENTS: usize = 100_000;

/// How many records one process writes in a day.
const RECORDS: usize = 100_000;

/// Free requests: so many a day for each client, over all charges that share this allowance,
/// whatever they cost.
///
/// Clones share one count. Give a clone to each charge
/// ([`Charge::free_allowance`](crate::server::Charge::free_allowance)), in any number of layers and
/// paywalls of this process. To share it among processes, and to keep it over a restart, say
/// [`kept_in`](Self::kept_in).
///
/// ```
/// use std::{num::NonZeroU32, sync::Arc};
///
/// use tower_x402::{Amount, Charge, FreeAllowance, MemoryStore, RouteTable};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::new()?); // in production: replay::connect(..)
/// let free = FreeAllowance::per_day(NonZeroU32::new(20).unwrap()).kept_in(store.clone(), "api");
/// let table = RouteTable::new()
///     .charge("GET /weather/{city}", Charge::new(Amount::from_sat(10)).free_allowance(free.clone()))
///     .charge("GET /archive/{*path}", Charge::new(Amount::from_sat(500)).free_allowance(free));
/// # let _ = table;
/// # Ok(())
/// # }
/// ```
///
/// # What counts
///
/// - A day ends at midnight UTC. Then each client has its whole number again. The 402 of a client
///   that has used up its number tells when that is (`free_again_at` in the body).
/// - A client is an IPv4 address or an IPv6 network of 64 bits. All clients of one IPv6 network of
///   56 bits together get four times as many, those of one of 48 bits sixteen times as many. A
///   client whose address is unknown gets none.
/// - A request counts if it passes for free by the allowance: without a credential, or with a
///   refused one, whatever the handler answers. `HEAD` counts like `GET`. The allowance comes
///   before the price function, so it also counts requests that the function would make free.
/// - At most 100,000 clients a day are counted. Further ones get no free request that day, and one
///   IPv6 network takes at most 1/64 of these places.
#[derive(Clone)]
#[must_use]
pub struct FreeAllowance(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: DayLimits,
    kept: Option<NumberedRequests>,
    records_per_day: Option<usize>,
    counts: Mutex<DayCounts>,
}

impl FreeAllowance {
    /// Creates an allowance of so many requests a day for each client, counted in memory. A
    /// restart forgets what was taken.
    pub fn per_day(requests: NonZeroU32) -> Self {
        Self(Arc::new(Shared {
            limits: DayLimits {
                per_day: requests.get(),
                clients: CLIENTS,
                records: None,
            },
            kept: None,
            records_per_day: None,
            counts: Mutex::default(),
        }))
    }

    /// Keeps it in these records under this name (1 to 32 printable ASCII characters), so that it
    /// survives a restart and processes can share it. Call it before you clone.
    ///
    /// All allowances of one name in one store share their counts, also those of other paywalls.
    /// Each free request is a record of its own, which only one request can write. So no client
    /// gets more than its number, over all processes and restarts, as long as the store keeps the
    /// contract of [`Records`]. That is exact for the networks around an IPv6 client too. A client
    /// may get fewer: a request that is dropped while the store is asked may use one up. Processes
    /// whose clocks differ begin a day at different moments, and each day's number is still exact.
    /// Each process counts the 100,000 clients for itself.
    ///
    /// A free request waits until its record is written, which in a `DurableStore` takes an fsync.
    /// If the store fails, is full, or does not answer within
    /// [`time_limit`](crate::server::PaywallBuilder::time_limit), the request is not free: the
    /// client gets the usual 402, and the log says why.
    ///
    /// A record takes about 200 bytes, and three are written for an IPv6 client. They contain the
    /// address of the client, and expire at the end of the next day (UTC).
    pub fn kept_in(self, records: impl Records, name: impl Into<String>) -> Self {
        let kept = NumberedRequests {
            records: Arc::new(records),
            name: name.into().into(),
        };
        self.with(|shared| {
            shared.kept = Some(kept);
            shared.limits.records = Some(shared.records_per_day.unwrap_or(RECORDS));
        })
    }

    /// Sets how many records one process may write in a day (default 100,000), so that an allowance
    /// leaves room for other records, such as revocations. One IPv6 network of 56 or 48 bits may write
    /// 1/64 of them. After that nothing is free until the day ends, and the log says
    /// so. Call it before you clone.
    pub fn max_records_per_day(self, records: usize) -> Self {
        self.with(|shared| {
            shared.records_per_day = Some(records);
            shared.limits.records = shared.kept.is_some().then_some(records);
        })
    }

    /// Changes the settings. Earlier clones stay as they are.
    fn with(self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Shared {
            limits: self.0.limits,
            kept: self.0.kept.clone(),
            records_per_day: self.0.records_per_day,
            counts: Mutex::default(),
        };
        change(&mut shared);
        Self(Arc::new(shared))
    }

    /// Returns a mistake in the settings, with the fix.
    pub(in crate::server) fn mistake(&self) -> Option<&'static str> {
        match &self.0.kept {
            None if self.0.records_per_day.is_some() => Some(
                "only an allowance in a store writes records: call .kept_in(..), or leave out .max_records_per_day(..)",
            ),
            Some(_) if self.0.records_per_day == Some(0) => {
                Some("without records nothing is free: .max_records_per_day(..) must be at least 1")
            }
            Some(kept) if !is_name(&kept.name) => {
                Some("the name of a free allowance must have 1 to 32 printable ASCII characters")
            }
            _ => None,
        }
    }

    /// Takes one free request. Returns false if none is left. Unknown clients have none.
    pub(crate) async fn take(
        &self,
        client: ClientKey,
        now: Timestamp,
        time_limit: Duration,
    ) -> Result<bool, NotCounted> {
        if client == ClientKey::Unknown {
            return Ok(false);
        }
        let shared = &*self.0;
        let Some(kept) = &shared.kept else {
            return Ok(shared.begin(now).take(client, shared.limits));
        };
        let Some(mut taken) = shared.reserve(client, now)? else {
            return Ok(false);
        };
        match tokio::time::timeout(time_limit, taken.record(kept)).await {
            Ok(is_free) => is_free.map_err(NotCounted::Store),
            Err(_) => Err(NotCounted::TimedOut(time_limit)),
        }
    }

    /// Returns when a known client has its whole number again.
    pub(crate) fn resets_at(&self, client: ClientKey, now: Timestamp) -> Option<Timestamp> {
        let day = self.0.begin(now).day;
        let next = day.saturating_add(1).saturating_mul(DAY_SECONDS);
        (client != ClientKey::Unknown).then(|| Timestamp::from_unix_seconds(next))
    }
}

impl Shared {
    fn begin(&self, now: Timestamp) -> MutexGuard<'_, DayCounts> {
        let mut counts = lock(&self.counts);
        counts.begin(now.as_unix_seconds() / DAY_SECONDS);
        counts
    }

    /// Takes a free request in memory, which is to be recorded.
    fn reserve(
        &self,
        client: ClientKey,
        now: Timestamp,
    ) -> Result<Option<Unrecorded<'_>>, NotCounted> {
        let mut counts = self.begin(now);
        let (most, more) = (
            self.records_per_day.unwrap_or(RECORDS),
            Holder::all(client).count(),
        );
        if counts.records.saturating_add(more) > most {
            return Err(NotCounted::ManyRecords(most));
        }
        if !counts.take(client, self.limits) {
            return Ok(None);
        }
        counts.records += more;
        // The client is last, so it comes first.
        let number = |holder| (holder, counts.number(holder));
        let numbers = Holder::all(client).rev().map(number).collect();
        Ok(Some(Unrecorded {
            counts: &self.counts,
            limits: self.limits,
            day: counts.day,
            numbers,
        }))
    }
}

/// Why a free request could not be counted, and so was not free.
#[derive(Debug)]
pub(crate) enum NotCounted {
    ManyRecords(usize),
    Store(StoreError),
    TimedOut(Duration),
}

impl fmt::Display for NotCounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyRecords(most) => write!(
                f,
                "it wrote its {most} records of today: .max_records_per_day(..) allows more, if the store has room for two days"
            ),
            Self::Store(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(
                f,
                "its records did not answer within {limit:?}: check the store, or set a longer .time_limit(..)"
            ),
        }
    }
}

impl Error for NotCounted {}

impl fmt::Debug for FreeAllowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreeAllowance")
            .field("per_day", &self.0.limits.per_day)
            .field("kept", &self.0.kept)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use futures_util::FutureExt as _;

    use super::*;

    impl FreeAllowance {
        /// The same, for so many clients.
        fn for_clients(self, clients: usize) -> Self {
            self.with(|shared| shared.limits.clients = clients)
        }
    }

    const NOON: u64 = 20_000 * DAY_SECONDS + DAY_SECONDS / 2;

    fn client(n: u8) -> ClientKey {
        ClientKey::V4(Ipv4Addr::new(192, 0, 2, n))
    }

    fn taken(allowance: &FreeAllowance, client: ClientKey, now: u64) -> usize {
        let now = Timestamp::from_unix_seconds(now);
        let take = || allowance.take(client, now, Duration::from_secs(10));
        let in_memory = || take().now_or_never().expect("no store is asked").unwrap();
        (0..10).filter(|_| in_memory()).count()
    }

    #[test]
    fn each_client_has_so_many_a_day_and_no_more() {
        let allowance = FreeAllowance::per_day(NonZeroU32::new(3).unwrap());
        assert_eq!(taken(&allowance, client(1), NOON), 3);
        assert_eq!(taken(&allowance, client(1), NOON + 10), 0);
        assert_eq!(taken(&allowance, client(2), NOON), 3);
        assert_eq!(taken(&allowance, client(1), NOON + DAY_SECONDS), 3);
        assert_eq!(taken(&allowance, client(1), NOON), 0);
        assert_eq!(taken(&allowance, client(1), NOON + DAY_SECONDS), 0);
        assert_eq!(taken(&allowance, client(1), NOON - 5 * DAY_SECONDS), 3);
    }

    #[test]
    fn unknown_clients_and_those_beyond_the_table_have_none() {
        let allowance = FreeAllowance::per_day(NonZeroU32::MIN).for_clients(2);
        assert_eq!(taken(&allowance, ClientKey::Unknown, NOON), 0);
        assert_eq!(
            (1..9)
                .map(|n| taken(&allowance, client(n), NOON))
                .sum::<usize>(),
            2
        );
        assert_eq!(taken(&allowance, client(9), NOON + DAY_SECONDS), 1);
    }

    /// The allowances that so many networks of 64 bits get, which follow one another from this one
    /// on.
    fn of_networks(allowance: &FreeAllowance, first: u64, count: u64) -> usize {
        let network = |n: u64| ClientKey::of(Ipv6Addr::from(u128::from(first + n) << 64).into());
        (0..count).map(|n| taken(allowance, network(n), NOON)).sum()
    }

    #[test]
    fn the_networks_of_one_household_or_site_share_its_allowance() {
        const SITE: u64 = 0x2001_0db8_0001_0000;
        let allowance = FreeAllowance::per_day(NonZeroU32::new(3).unwrap());
        assert_eq!(of_networks(&allowance, SITE, 1), 3);
        assert_eq!(
            of_networks(&allowance, SITE, 256),
            9,
            "four clients' worth for 56 bits"
        );
        assert_eq!(
            of_networks(&allowance, SITE, 65_536),
            36,
            "sixteen clients' worth for 48 bits"
        );
        assert_eq!(of_networks(&allowance, SITE + 65_536, 1), 3);
        assert_eq!(taken(&allowance, client(1), NOON), 3);
    }

    #[test]
    fn one_network_cannot_fill_the_table() {
        let allowance = FreeAllowance::per_day(NonZeroU32::MAX).for_clients(128);
        assert_eq!(of_networks(&allowance, 1 << 32, 128), 20);
        assert_eq!(of_networks(&allowance, 2 << 32, 1), 10);
    }

    #[test]
    fn racing_requests_of_one_client_share_its_allowance() {
        let allowance = FreeAllowance::per_day(NonZeroU32::new(50).unwrap());
        let taken: usize = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| taken(&allowance, client(1), NOON)))
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).sum()
        });
        assert_eq!(taken, 50);
    }
}
