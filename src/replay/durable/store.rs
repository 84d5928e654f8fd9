use std::path::Path;

use tokio::sync::oneshot;

use super::{
    machine::{NAME, Question, Reply, StoreMachine, kind, told},
    options::DurableOptions,
};
use crate::{
    boxed::BoxFuture,
    clock::Timestamp,
    journal::{Journal, gone},
    replay::{
        Consumption, ConsumptionKey, Durability, RecordKey, Records, ReleaseReason, ReplayStore,
        StoreError, StoreId, UseId, UseRequest,
        state::records::{Record, check_value},
    },
};

/// A store in a folder of this machine: every answer comes after its record is safe from a loss of
/// power. Both a [`ReplayStore`] and a [`Records`].
///
/// One process may open a folder at a time. All callers share one writer thread, which
/// [`open`](Self::open) starts and which syncs once for each group of them; dropping the store
/// writes what was asked before, and ends the thread. Everything that is live also stands in
/// memory, about 250 bytes for each key.
///
/// # When the disk does not take it
///
/// On a full or failing disk every call is an error, at once, until writes succeed again: the store
/// tries a small one twice a second, and where that succeeds it reads the folder anew (less often,
/// the longer it lasts). Nothing that was acknowledged is lost meanwhile, and a release of a use
/// that may have been granted is kept until it can be written.
///
/// # When the disk holds less than it should
///
/// Beside its journal the store keeps a lower bound of what it acknowledged (written with each
/// group, synced each second and when the store is closed), and in each group a sum over all
/// records. A journal that was cut short, or where bytes changed, is
/// [`StoreErrorKind::Corrupt`](crate::replay::StoreErrorKind::Corrupt) on opening, never a store
/// that has forgotten. (A group that was being written when the power was lost, so that nobody was
/// answered, is dropped.) The way out is an empty folder. It has a new [`StoreId`], so what was
/// sold for counted access before is refused, spent or not. A proof without a key of this server (a
/// paywall's `accept_foreign_proofs`, every payment that a facilitator settles) is refused if its
/// invoice was made before the new folder, or within twice the clocks' skew after that. Clients
/// that had paid and not redeemed must pay again.
///
/// **Never put back an older copy of the folder.** The side file is older too then, and nothing on
/// this machine tells that payments were spent since: each of them could be spent once more until
/// its credential expires. Only what the older copy had itself pruned stays refused. A backup of a
/// replay store is of no use; open an empty folder instead. If an older copy must be put back, then
/// only with a new master secret, and no older one in the ring: that makes every older credential
/// worthless, those that were paid for and not redeemed included. **It does nothing against proofs
/// without a key of this server**: the older copy still says when the folder was first made, so
/// each of those proofs that was spent since settles again. Keep `accept_foreign_proofs` and
/// facilitators off until every invoice from before has expired, with the skew.
///
/// ```
/// use tower_x402::replay::{ConsumptionKey, Consumption, DurableStore, UseLimits, ReplayStore, UseId, UseRequest};
/// # use std::{num::NonZeroU32, time::Duration};
/// # use tower_x402::{Network, Preimage, clock::{Clock, SystemClock}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # let key = ConsumptionKey::lightning(Network::Regtest, Preimage::from_bytes([7; 32]).payment_hash());
/// # let once = UseLimits::new(NonZeroU32::MIN, 0);
/// # let until = SystemClock::new().now().saturating_add(Duration::from_secs(3600));
/// let store = DurableStore::open(folder)?;
/// assert_eq!(store.consume(UseRequest::new(key, UseId::random()?, once, until)).await?, Consumption::Granted { remaining: 0 });
/// drop(store);
///
/// let store = DurableStore::open(folder)?;
/// assert_eq!(store.consume(UseRequest::new(key, UseId::random()?, once, until)).await?, Consumption::Spent);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DurableStore {
    journal: Journal<StoreMachine>,
    created_at: Timestamp,
}

impl DurableStore {
    /// Opens the store in `folder`, or makes one there (mode 0700), and starts its writer thread.
    /// It reads all that the folder holds, so it blocks for a while: call it before serving.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Corrupt`](crate::replay::StoreErrorKind::Corrupt) where the folder holds
    /// less than was acknowledged or was altered, and
    /// [`StoreErrorKind::Unavailable`](crate::replay::StoreErrorKind::Unavailable) where another
    /// store has it open or it cannot be read or written.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(folder, DurableOptions::new())
    }

    /// The same, with options.
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
        let created_at = machine.created_at();
        let journal = Journal::open(folder.as_ref(), new_id, machine).map_err(|error| {
            StoreError::new(
                kind(&error),
                NAME,
                format!("{}: {error}", folder.as_ref().display()),
            )
        })?;
        // if the disk does not say, nothing is young enough
        Ok(Self {
            journal,
            created_at: created_at.get().copied().unwrap_or(Timestamp::MAX),
        })
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Question) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.journal.ask(ask(reply)).map_err(|error| told(&error))?;
        answer.await.unwrap_or_else(|_| Err(told(&gone())))
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
        Box::pin(self.ask(move |reply| Question::Consume(request, reply)))
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        // each follows a consume, and those are bounded; past a bound of their own they come from
        // who heeds no refusal
        let _ = self
            .journal
            .ask_urgently(Question::Release(key, use_id, why));
    }

    fn durability(&self) -> Durability {
        Durability::Durable
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
            self.ask(|reply| Question::Put(key, Record { value, expires_at }, reply))
                .await
        })
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.ask(|reply| Question::Get(key, reply)))
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.ask(|reply| Question::Delete(key, reply)))
    }

    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        Box::pin(self.ask(|reply| Question::Scan(prefix, reply)))
    }
}
