use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::sync::oneshot;

use super::{
    machine::{Command, NAME, ReplySender, StoreMachine, kind, store_error},
    options::DurableOptions,
};
use crate::{
    boxed::BoxFuture,
    clock::Timestamp,
    journal::{Journal, gone},
    lock::lock,
    replay::{
        Consumption, ConsumptionKey, Durability, RecordKey, Records, ReleaseReason, ReplayStore,
        Serving, StoreError, StoreId, UseId, UseRequest,
        state::{
            records::{Record, check_value},
            serving::ServingUses,
        },
    },
};

/// A store in a folder of this machine. Every answer comes after its record is safe from a loss of
/// power. Both a [`ReplayStore`] and a [`Records`].
///
/// One process may open a folder at a time. All callers share one writer thread, which
/// [`open`](Self::open) starts and which syncs once for each group of callers. Dropping the store
/// writes what was requested before, and ends the thread. Everything that is live is also held in
/// memory, about 250 bytes for each key.
///
/// # When writing fails
///
/// On a full or failing disk every call returns an error at once, until writes succeed again. The
/// store tries a small write twice a second. If that succeeds, it reads the folder again. The
/// longer the failure lasts, the less often it reads. Nothing that was acknowledged is lost
/// meanwhile. If a use may have been granted, the store keeps its release until it can be written.
///
/// # When the folder is damaged
///
/// Each group in the journal contains a checksum over all records of the store. A side file in the
/// folder holds the number of a group that the journal must at least contain. The store writes the
/// side file with each group, and syncs it each second and when the store is closed. So if the
/// journal was cut short or changed, opening it returns
/// [`StoreErrorKind::Corrupt`](crate::replay::StoreErrorKind::Corrupt), and the store never forgets
/// silently. (A group that was being written when the power was lost is dropped: none of its
/// callers was answered.)
///
/// To continue, open an empty folder. Clients that had paid and not redeemed must then pay again:
///
/// - The new folder has a new [`StoreId`]. So what was sold for counted access before is refused,
///   spent or not.
/// - A proof without a key of this server needs an invoice that is younger than the new folder, by
///   more than twice the skew. Such proofs are those of `accept_foreign_proofs`, and all payments
///   that a facilitator settles.
///
/// # Never restore a backup
///
/// **Never put back an older copy of the folder.** The side file in the copy is older too, so
/// nothing shows that payments were spent since. Each of them could be spent again until its
/// credential expires. Only payments that the older copy had already pruned stay refused. Open an
/// empty folder instead.
///
/// If an older copy must be put back, also set a new master secret, with no older one in the ring.
/// That makes every older credential worthless, including those that were paid for and not
/// redeemed. **It does nothing against proofs without a key of this server**: the older copy still
/// says when the folder was first made. So each such proof that was spent since settles again. Keep
/// `accept_foreign_proofs` and facilitators off until every earlier invoice has been expired for
/// longer than the skew.
///
/// ```
/// use tower_x402::replay::{
///     Consumption, ConsumptionKey, DurableStore, ReplayStore, UseId, UseLimits, UseRequest,
/// };
/// # use std::{num::NonZeroU32, time::Duration};
/// # use tower_x402::{Network, Preimage, clock::{Clock, SystemClock}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # let payment_hash = Preimage::from_bytes([7; 32]).payment_hash();
/// # let key = ConsumptionKey::lightning(Network::Regtest, payment_hash);
/// # let once = UseLimits::new(NonZeroU32::MIN, 0);
/// # let until = SystemClock::new().now().saturating_add(Duration::from_secs(3600));
/// let store = DurableStore::open(folder)?;
/// let first = UseRequest::new(key, UseId::random()?, once, until);
/// assert_eq!(store.consume(first).await?, Consumption::Granted { remaining: 0 });
/// drop(store);
///
/// let store = DurableStore::open(folder)?;
/// let second = UseRequest::new(key, UseId::random()?, once, until);
/// assert_eq!(store.consume(second).await?, Consumption::Spent);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DurableStore {
    journal: Journal<StoreMachine>,
    created_at: Timestamp,
    serving: Arc<Mutex<ServingUses>>,
}

impl DurableStore {
    /// Opens the store in `folder`, or creates one there (mode 0700), and starts its writer thread.
    /// It reads all that the folder holds, so it blocks for a while: call it before serving.
    ///
    /// # Errors
    ///
    /// - [`StoreErrorKind::Corrupt`](crate::replay::StoreErrorKind::Corrupt) if the folder holds
    ///   less than was acknowledged, or was changed.
    /// - [`StoreErrorKind::Unavailable`](crate::replay::StoreErrorKind::Unavailable) if another
    ///   store has it open, or if it cannot be read or written.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(folder, DurableOptions::new())
    }

    /// Opens the store in `folder` as [`open`](Self::open) does, with options.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_with(
        folder: impl AsRef<Path>,
        options: DurableOptions,
    ) -> Result<Self, StoreError> {
        let new_id = *StoreId::random()?.as_bytes();
        let machine = StoreMachine::new(options);
        let (created_at, serving) = (machine.created_at(), machine.serving());
        let journal = Journal::open(folder.as_ref(), new_id, machine).map_err(|error| {
            StoreError::new(
                kind(&error),
                NAME,
                format!("{}: {error}", folder.as_ref().display()),
            )
        })?;
        // If the disk does not say when, no proof without a key of ours is young enough.
        Ok(Self {
            journal,
            created_at: created_at.get().copied().unwrap_or(Timestamp::MAX),
            serving,
        })
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(ReplySender<T>) -> Command,
    ) -> Result<T, StoreError> {
        let (sender, reply) = oneshot::channel();
        self.journal
            .ask(command(sender))
            .map_err(|error| store_error(&error))?;
        reply.await.unwrap_or_else(|_| Err(store_error(&gone())))
    }
}

impl ReplayStore for DurableStore {
    fn id(&self) -> StoreId {
        StoreId::from_bytes(self.journal.id())
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(self.ask(move |sender| Command::Consume(request, sender)))
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        // Each release follows a consume, and those are bounded. This queue overflows only if a
        // caller ignores refusals.
        let _ = self
            .journal
            .ask_urgently(Command::Release(key, use_id, why));
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    /// Writes a few bytes and syncs them.
    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.ask(Command::Ready))
    }

    /// Releases come before what is asked later.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { drop(self.ready().await) })
    }

    fn serving(&self) -> Option<&dyn Serving> {
        Some(self)
    }
}

/// In memory alone: it costs no write, and a process that died serves nothing.
impl Serving for DurableStore {
    fn served(&self, key: ConsumptionKey, use_id: UseId) {
        lock(&self.serving).end(&key, use_id);
    }
}

impl Records for DurableStore {
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            check_value(&value, NAME)?;
            self.ask(|sender| Command::Put(key, Record { value, expires_at }, sender))
                .await
        })
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.ask(|sender| Command::Get(key, sender)))
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.ask(|sender| Command::Delete(key, sender)))
    }

    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        Box::pin(self.ask(|sender| Command::Scan(prefix, sender)))
    }
}
