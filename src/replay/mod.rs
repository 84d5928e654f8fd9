//! Stores that remember which payments are spent.
//!
//! A [`ReplayStore`] counts the uses of each payment, and [`Records`] keep small values that
//! expire, such as revocations and free requests. [`MemoryStore`], `DurableStore` (feature
//! `replay-durable`), `RedisStore` (feature `replay-redis`) and `PostgresStore` (feature
//! `replay-postgres`) implement both traits, and [`connect`] opens the one that a URL names. To
//! write a store of your own, read the contract of [`ReplayStore`] and run the suites in
//! `conformance` (feature `conformance`).

#[cfg(feature = "conformance")]
pub mod conformance;
mod connect;
mod created_at;
#[cfg(feature = "replay-durable")]
mod durable;
#[cfg(any(feature = "replay-postgres", feature = "replay-redis"))]
mod end;
mod error;
mod ids;
#[cfg(feature = "server")]
mod lease;
#[cfg(any(feature = "replay-postgres", feature = "replay-redis"))]
mod mark;
mod memory;
#[cfg(feature = "replay-postgres")]
mod postgres;
mod records;
#[cfg(feature = "replay-redis")]
mod redis;
mod request;
mod revoked;
mod serving;
mod state;

use std::{fmt, sync::Arc};

#[cfg(feature = "replay-durable")]
pub use self::durable::{DurableOptions, DurableStore};
#[cfg(feature = "replay-postgres")]
pub use self::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "replay-redis")]
pub use self::redis::{RedisOptions, RedisStore};
pub use self::{
    connect::{Store, connect},
    error::{StoreError, StoreErrorKind},
    ids::{ConsumptionKey, StoreId, UseId},
    memory::MemoryStore,
    records::{RecordKey, Records},
    request::{UseLimits, UseRequest},
    revoked::Revocations,
    serving::Serving,
};
#[cfg(feature = "server")]
pub(crate) use self::{
    created_at::{check_created_at, vouches_from},
    lease::{Lease, Leased},
};
pub use crate::boxed::{BoxError, BoxFuture};
use crate::clock::Timestamp;

/// A store that remembers which payments are spent.
///
/// # Contract
///
/// - For one key, grants minus releases never exceed [`UseLimits::uses`], and the releases that
///   count ([`ReleaseReason::Failed`]) never exceed [`UseLimits::restores`]. This holds across
///   tasks, across processes that share the store, and across restarts of a durable store, until
///   `retain_until`.
/// - `consume` is one atomic step, and idempotent in its [`UseId`]: a repeated request for a
///   granted use gets the same answer and takes nothing more. The store remembers a use id for ten
///   minutes at least, or until 1,024 later uses of its payment. (A refusal takes nothing, so the
///   store need not remember it.)
/// - If `consume` fails or its future is dropped, the outcome is unknown and the caller must call
///   `release`. Only [`StoreErrorKind::Refused`] says that this call took nothing.
/// - `release` returns at once, never blocks, and may be called from `Drop`; the store carries it
///   out itself. It is idempotent, and does nothing to a use that was never granted. It also
///   cancels a `consume` of the same use that is still under way or that comes later.
/// - A later `consume` of a key may extend its `retain_until`, and never shortens it. The store
///   never evicts a live key: a full store returns an error.
/// - The store remembers the greatest `retain_until` that it pruned, and answers
///   [`Consumption::Spent`] for an unknown key whose `retain_until` is at or below it. (A store in
///   several parts may do so for each part, if a key is always in the same part.)
/// - [`created_at`](Self::created_at) is the moment at which the store was made, never an earlier
///   one, and it does not change. All handles of a store return the same moment. So if several
///   handles may have the store open, the store itself keeps the moment.
/// - The cost of one use does not grow with [`UseLimits::uses`].
/// - A durable store answers after its record is safe from a loss of power.
///
/// # Keys
///
/// Use [`ConsumptionKey::as_bytes`] as the key of what you keep: at most 64 bytes that mean nothing
/// to a store, for example a binary column or a part of a Redis key. Do not key by a payment hash
/// or by a network: payments of other rails, which may be added, have neither. The bytes of a
/// payment never change, so they may be kept. Payment hashes and use ids are random: no client can
/// choose one that belongs to another payment.
///
/// # How to write your own
///
/// This example keeps the contract, but it is slow: each call looks at every key. It also lacks two
/// limits that yours needs, because clients could fill its memory: `uses` and `released_early` grow
/// without end. Remember a use id for ten minutes, or until 1,024 later uses of its payment, and an
/// early release for ten minutes. Test yours with `conformance::replay_store` (feature
/// `conformance`), as the last lines do. If your store is on a server, do the atomic step there, in
/// a script or in one statement that reads and writes. Hand the releases to a task of the store.
/// Also run `conformance::two_handles` and `conformance::two_processes`, and for a store on a server
/// `many_processes`, `clocks_that_differ` and `interrupted`.
///
/// ```
/// use std::{
///     collections::{HashMap, HashSet},
///     sync::{Arc, Mutex},
/// };
///
/// use tower_x402::{
///     clock::{Clock, Timestamp},
///     replay::{
///         BoxFuture, Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore,
///         StoreError, StoreErrorKind, StoreId, UseId, UseRequest,
///     },
/// };
///
/// #[derive(Debug)]
/// struct OneMutex<C> {
///     id: StoreId,
///     created_at: Timestamp,
///     clock: C,
///     spent: Mutex<Spent>,
/// }
///
/// #[derive(Debug, Default)]
/// struct Spent {
///     payments: HashMap<ConsumptionKey, Payment>,
///     released_early: HashSet<(ConsumptionKey, UseId)>,
///     pruned_until: Option<Timestamp>,
/// }
///
/// #[derive(Debug)]
/// struct Payment {
///     retain_until: Timestamp,
///     taken: u32,
///     restores_left: u32,
///     /// What each use was answered, until it is released.
///     uses: HashMap<UseId, Option<Consumption>>,
/// }
///
/// impl<C: Clock> OneMutex<C> {
///     fn new(clock: C) -> Self {
///         let (id, created_at) = (StoreId::random().expect("randomness"), clock.now());
///         Self { id, created_at, clock, spent: Mutex::default() }
///     }
/// }
///
/// impl Spent {
///     fn prune(&mut self, now: Timestamp) {
///         let (payments, pruned_until) = (&mut self.payments, &mut self.pruned_until);
///         payments.retain(|_, payment| {
///             let live = now <= payment.retain_until;
///             if !live {
///                 *pruned_until = (*pruned_until).max(Some(payment.retain_until));
///             }
///             live
///         });
///     }
///
///     fn consume(&mut self, request: &UseRequest) -> Consumption {
///         let (key, id, limits) = (request.key(), request.use_id(), request.limits());
///         let retain_until = request.retain_until();
///         let unknown = !self.payments.contains_key(&key);
///         if unknown && Some(retain_until) <= self.pruned_until {
///             return Consumption::Spent;
///         }
///         let payment = self.payments.entry(key).or_insert_with(|| Payment {
///             retain_until,
///             taken: 0,
///             restores_left: limits.restores,
///             uses: HashMap::new(),
///         });
///         payment.retain_until = payment.retain_until.max(retain_until);
///         if let Some(known) = payment.uses.get(&id) {
///             return known.unwrap_or(Consumption::Spent);
///         }
///         if payment.taken >= limits.uses.get() || self.released_early.contains(&(key, id)) {
///             return Consumption::Spent;
///         }
///         payment.taken += 1;
///         let granted = Consumption::Granted { remaining: limits.uses.get() - payment.taken };
///         payment.uses.insert(id, Some(granted));
///         granted
///     }
///
///     fn release(&mut self, key: ConsumptionKey, id: UseId, why: ReleaseReason) {
///         let payment = self.payments.get_mut(&key);
///         let Some(payment) = payment.filter(|payment| payment.uses.contains_key(&id)) else {
///             self.released_early.insert((key, id));
///             return;
///         };
///         if payment.uses.insert(id, None) == Some(None) {
///             return;
///         }
///         match why {
///             ReleaseReason::NotServed => {}
///             ReleaseReason::Failed if payment.restores_left > 0 => payment.restores_left -= 1,
///             _ => return,
///         }
///         payment.taken -= 1;
///     }
/// }
///
/// impl<C: Clock> ReplayStore for OneMutex<C> {
///     fn id(&self) -> StoreId {
///         self.id
///     }
///
///     fn created_at(&self) -> Timestamp {
///         self.created_at
///     }
///
///     fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
///         Box::pin(async move {
///             let mut spent = self.spent.lock().expect("no holder panics");
///             spent.prune(self.clock.now());
///             if spent.payments.len() >= 100_000 && !spent.payments.contains_key(&request.key()) {
///                 let (kind, name) = (StoreErrorKind::Full, "the store of one mutex");
///                 return Err(StoreError::new(kind, name, "100,000 keys are live"));
///             }
///             Ok(spent.consume(&request))
///         })
///     }
///
///     fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
///         self.spent.lock().expect("no holder panics").release(key, use_id, why);
///     }
///
///     fn durability(&self) -> Durability {
///         Durability::Volatile
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use tower_x402::replay::conformance;
///
/// conformance::replay_store(async |setup| OneMutex::new(setup.clock)).await;
/// let open = Mutex::new(HashMap::new());
/// conformance::two_handles(async |setup| {
///     let store = || Arc::new(OneMutex::new(setup.clock));
///     open.lock().expect("no holder panics").entry(setup.name).or_insert_with(store).clone()
/// })
/// .await;
/// # }
/// ```
pub trait ReplayStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the id of this store. Create the id together with the store. Keep it in the store if
    /// the store is durable or if several handles may have it open. Keys of counted tokens are
    /// derived from the id, so that no token can be spent at a store that does not remember it.
    fn id(&self) -> StoreId;

    /// Returns the moment at which this store was made, by its own clock. It never changes and is
    /// the same for all handles: keep it in the store if the store is durable or if several handles
    /// may have it open. (Only a store that lives in a single value, and ends with it, may return
    /// the moment at which that value was made.)
    ///
    /// An earlier store may have consumed a proof without a key of this server: an x402 proof that
    /// another server quoted, or a facilitator's payment. So such a proof is refused if its invoice
    /// was made before this moment, or within twice the clocks' skew after it.
    ///
    /// **The clock must be right when a store is made**, within the skew (60 s). If it is behind,
    /// proofs that an earlier store consumed are accepted again. If it is ahead, no such proof is
    /// accepted until that time. So make a store only after the machine has set its clock. Under
    /// systemd, `After=time-sync.target` ensures that. A clock that was never set is detected: if
    /// it shows a time before 2020-09-13, the stores of this crate return [`Timestamp::MAX`]. If
    /// such a durable store is opened again with the right time, it counts as made at that moment.
    /// A clock that was set but is behind is not detected. A paywall with `accept_foreign_proofs`
    /// and a facilitator cannot be built with a store that was made in the future.
    fn created_at(&self) -> Timestamp;

    /// Takes one use of a payment, or answers that none is left.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. After any error but [`StoreErrorKind::Refused`] the use may have
    /// been taken, and the caller must call [`release`](Self::release).
    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>>;

    /// Gives a use back. A use whose id is no longer remembered stays taken. The stores of this
    /// crate remember the last five uses of a payment as long as the payment. They remember the
    /// 1,024 before the last one for ten minutes.
    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason);

    /// Returns whether what was consumed outlives this process.
    fn durability(&self) -> Durability;

    /// Checks that the store can take a use, without taking one. `Paywall::ready` calls it. The
    /// default says that it can. Override it if the store can be out of reach or unable to write.
    ///
    /// # Errors
    ///
    /// If `consume` would fail now.
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    /// Waits until the releases that were asked for are written. Call it before the process ends:
    /// what is not written by then stays taken. Bound it with a time limit, because it may wait as
    /// long as the store is out of reach. The default returns at once. Override it if
    /// [`release`](Self::release) returns before it has written. A store around another one must
    /// call that one's.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Returns the store as one that knows which uses are being served, or `None`, the default, if
    /// it does not. Then a client whose use another process is serving is refused as if its payment
    /// was spent, and asked to pay again. A store around another one should return that one's answer, if it
    /// passes requests on unchanged.
    fn serving(&self) -> Option<&dyn Serving> {
        None
    }
}

impl<T: ReplayStore + ?Sized> ReplayStore for Arc<T> {
    fn id(&self) -> StoreId {
        (**self).id()
    }

    fn created_at(&self) -> Timestamp {
        (**self).created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        (**self).consume(request)
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        (**self).release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        (**self).durability()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).ready()
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        (**self).flush()
    }

    fn serving(&self) -> Option<&dyn Serving> {
        (**self).serving()
    }
}

fn _is_dyn_compatible(_: &dyn ReplayStore, _: &dyn Records, _: &dyn Serving) {}

/// The answer of a store to [`consume`](ReplayStore::consume).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "serve only what was granted"]
#[non_exhaustive]
pub enum Consumption {
    /// The use was taken for this request.
    Granted {
        /// The number of uses that are left after this one.
        remaining: u32,
    },
    /// No use is left, and at least one is being served right now. Only for a request with
    /// [`serving_until`](UseRequest::serving_until).
    InUse,
    /// No use is left, or the store has forgotten too much to know that one is left.
    Spent,
}

/// Why a use is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseReason {
    /// The inner service was called and failed. [`UseLimits::restores`] limits how often this gives
    /// a use back.
    Failed,
    /// The inner service was never called. This always gives the use back.
    NotServed,
}

/// Whether what was consumed outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// It outlives the process, and a loss of power.
    Durable,
    /// It ends with the process.
    Volatile,
}
