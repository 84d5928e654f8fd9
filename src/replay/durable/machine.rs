use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::oneshot;

use super::{
    encoding::{Encoded, note_created_at, repeat_created_at},
    options::DurableOptions,
};
use crate::{
    clock::Timestamp,
    journal::{Batch, JournalError, JournalErrorKind, Machine},
    lock::lock,
    replay::{
        Consumption, ConsumptionKey, RecordKey, ReleaseReason, StoreError, StoreErrorKind, UseId,
        UseRequest,
        created_at::created_at,
        state::{
            capacity::{Capacity, Keys, OutOfCapacity},
            payments::SpentPayments,
            records::{Record, RecordTable},
            serving::ServingUses,
        },
    },
};

/// The payments and records of the durable store, which its writer thread changes.
pub(super) struct StoreMachine {
    payments: SpentPayments,
    /// Shared with the store, which ends a use without a command. No disk holds it.
    serving: Arc<Mutex<ServingUses>>,
    records: RecordTable,
    keys: Keys,
    record_bytes: Capacity,
    options: DurableOptions,
    /// When the store was made. Set once everything is loaded.
    created_at: Arc<OnceLock<Timestamp>>,
    /// Whether memory holds at least what the disk does. It does not after a load that failed half
    /// way.
    is_whole: bool,
}

/// The sender of the reply for which a caller waits.
pub(super) type ReplySender<T> = oneshot::Sender<Result<T, StoreError>>;

/// A command to the writer thread.
pub(super) enum Command {
    Consume(UseRequest, ReplySender<Consumption>),
    Delete(RecordKey, ReplySender<()>),
    Get(RecordKey, ReplySender<Option<Vec<u8>>>),
    Put(RecordKey, Record, ReplySender<bool>),
    Ready(ReplySender<()>),
    Release(ConsumptionKey, UseId, ReleaseReason),
    Scan(RecordKey, ReplySender<Vec<(RecordKey, Vec<u8>)>>),
}

/// The reply to a command, held back until its changes are written.
pub(super) enum Reply {
    Consume(UnsentReply<Consumption>),
    Delete(UnsentReply<()>),
    Get(UnsentReply<Option<Vec<u8>>>),
    Put(UnsentReply<bool>),
    Ready(UnsentReply<()>),
    /// A release has no caller who waits. This is the command to repeat if it was not written.
    Release(Option<Command>),
    Scan(UnsentReply<Vec<(RecordKey, Vec<u8>)>>),
}

/// A reply, and the caller to send it to.
pub(super) struct UnsentReply<T> {
    sender: ReplySender<T>,
    pub(super) result: Result<T, StoreError>,
}

impl StoreMachine {
    pub(super) fn new(options: DurableOptions) -> Self {
        let (keys, record_bytes) = (
            Keys::new(options.capacity),
            Capacity::new(options.record_capacity),
        );
        let (payments, records, created_at) = (
            SpentPayments::default(),
            RecordTable::default(),
            Arc::default(),
        );
        Self {
            payments,
            serving: Arc::default(),
            records,
            keys,
            record_bytes,
            options,
            created_at,
            is_whole: false,
        }
    }

    /// Returns which uses are being served.
    pub(super) fn serving(&self) -> Arc<Mutex<ServingUses>> {
        self.serving.clone()
    }

    /// Returns where to read when the store was made, once everything is loaded.
    pub(super) fn created_at(&self) -> Arc<OnceLock<Timestamp>> {
        self.created_at.clone()
    }
}

impl Machine for StoreMachine {
    const DAMAGED: &'static str = "keep the folder for investigation and open an empty one instead: the new store refuses whatever the old one may \
         have forgotten, tokens for counted access and proofs of other servers alike (never put back an older copy of the folder)";
    const OPEN_TWICE: &'static str = "close the other store or give this one a folder of its own";
    type Command = Command;
    type Reply = Reply;

    fn clear(&mut self) {
        self.is_whole = false;
        self.payments.clear();
        self.records = RecordTable::default();
        self.keys = Keys::new(self.options.capacity);
        self.record_bytes = Capacity::new(self.options.record_capacity);
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        match Encoded::read(key, value) {
            Some(Encoded::CreatedAt(at)) => {
                let _ = self.created_at.set(at);
            }
            Some(Encoded::EarlierUse(key, id, known)) => {
                self.payments.load_earlier_use(key, id, known, &self.keys)
            }
            Some(Encoded::PrunedUntil(pruned)) => {
                self.keys.prune(pruned);
            }
            Some(Encoded::Record(key, record)) => {
                self.records.load(key, record, &self.record_bytes)
            }
            Some(Encoded::Payment(key, state)) => {
                self.payments.load_payment(key, state, &self.keys)
            }
            None => {
                return Err(JournalError::corrupt(
                    "a record that this version can read was expected",
                ));
            }
        }
        Ok(())
    }

    fn loaded(&mut self) {
        self.payments.finish_load();
        self.is_whole = true;
    }

    /// A folder that does not say when it was made may have forgotten anything before now, so it
    /// counts as made now. If the clock was never set, that waits until the folder is opened again.
    fn begin(&mut self, batch: &mut Batch) {
        if self.created_at.get().is_none()
            && let Some(now) = created_at(self.options.clock.now())
        {
            let _ = self.created_at.set(now);
            note_created_at(now, batch);
        }
    }

    fn apply(&mut self, command: Command, batch: &mut Batch) -> Reply {
        let now = self.options.clock.now();
        match command {
            Command::Consume(request, sender) => {
                let result = self
                    .payments
                    .consume(&request, now, &self.keys, batch)
                    .map(|answer| lock(&self.serving).answer(&request, answer, now))
                    .map_err(|OutOfCapacity| full("key", "capacity"));
                Reply::Consume(UnsentReply { sender, result })
            }
            Command::Delete(key, sender) => {
                self.records.delete(&key, now, &self.record_bytes, batch);
                let result = Ok(());
                Reply::Delete(UnsentReply { sender, result })
            }
            Command::Get(key, sender) => {
                let result = Ok(self.records.get(&key, now));
                Reply::Get(UnsentReply { sender, result })
            }
            Command::Put(key, record, sender) => {
                let result = self
                    .records
                    .put_if_absent(&key, record, now, &self.record_bytes, batch)
                    .map_err(|OutOfCapacity| full("record", "record_capacity"));
                Reply::Put(UnsentReply { sender, result })
            }
            // Writes again what is written already: nothing changes, but a full disk shows.
            Command::Ready(sender) => {
                if let Some(at) = self.created_at.get() {
                    repeat_created_at(*at, batch);
                }
                let result = Ok(());
                Reply::Ready(UnsentReply { sender, result })
            }
            Command::Release(key, id, why) => {
                let known = self.payments.release(key, id, why, now, &self.keys, batch);
                lock(&self.serving).end(&key, id);
                Reply::Release(known.then_some(Command::Release(key, id, why)))
            }
            Command::Scan(prefix, sender) => {
                let result = Ok(self.records.scan(&prefix, now));
                Reply::Scan(UnsentReply { sender, result })
            }
        }
    }

    fn tell(reply: Reply, written: Result<(), &JournalError>) -> Option<Command> {
        match reply {
            Reply::Consume(reply) => reply.send(written),
            Reply::Delete(reply) => reply.send(written),
            Reply::Get(reply) => reply.send(written),
            Reply::Put(reply) => reply.send(written),
            Reply::Ready(reply) => reply.send(written),
            Reply::Scan(reply) => reply.send(written),
            Reply::Release(again) => return again.filter(|_| written.is_err()),
        }
        None
    }

    fn refuse(&mut self, command: Command, failure: &JournalError) -> Option<Command> {
        match command {
            Command::Consume(_, sender) => refuse(sender, failure),
            Command::Delete(_, sender) => refuse(sender, failure),
            Command::Get(_, sender) => refuse(sender, failure),
            Command::Put(_, _, sender) => refuse(sender, failure),
            Command::Ready(sender) => refuse(sender, failure),
            Command::Scan(_, sender) => refuse(sender, failure),
            // The disk may hold a use that memory does not know.
            Command::Release(..) if !self.is_whole => return Some(command),
            Command::Release(..) => {
                // Most are of uses that were refused a moment ago: those need no disk.
                if let Reply::Release(again) = self.apply(command, &mut Batch::default()) {
                    return again;
                }
            }
        }
        None
    }
}

impl<T> UnsentReply<T> {
    /// Sends the reply, or the error if it was not written. The caller may be gone.
    fn send(self, written: Result<(), &JournalError>) {
        let _ = self
            .sender
            .send(written.map_err(store_error).and(self.result));
    }
}

fn refuse<T>(sender: ReplySender<T>, failure: &JournalError) {
    let _ = sender.send(Err(store_error(&failure.refusal())));
}

pub(in crate::replay) fn store_error(error: &JournalError) -> StoreError {
    StoreError::new(kind(error), NAME, error.clone())
}

pub(super) const fn kind(error: &JournalError) -> StoreErrorKind {
    match error.kind() {
        JournalErrorKind::Corrupt => StoreErrorKind::Corrupt,
        JournalErrorKind::Refused => StoreErrorKind::Refused,
        JournalErrorKind::Unavailable => StoreErrorKind::Unavailable,
    }
}

fn full(what: &str, option: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Full,
        NAME,
        format!("no room for another {what}; `DurableOptions::{option}` allows more"),
    )
}

pub(super) const NAME: &str = "the durable store";
