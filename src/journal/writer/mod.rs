//! The writer thread: it takes commands from all callers and writes their changes in groups.

use std::{
    collections::VecDeque,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Batch, JournalError,
    engine::{Engine, deleted},
    folder::{self, Lock},
    machine::Machine,
};

use crate::lock;

/// A journal with its writer thread. Dropping it writes what was asked before, syncs, and ends the
/// thread.
pub(crate) struct Journal<M: Machine> {
    id: [u8; 16],
    queue: Option<Sender<M::Command>>,
    waiting: Arc<AtomicUsize>,
    failure: Arc<RwLock<Option<JournalError>>>,
    thread: Option<JoinHandle<()>>,
}

impl<M: Machine> Journal<M> {
    /// Opens the journal in `folder`, or creates it with `new_id`.
    pub(crate) fn open(
        folder: &Path,
        new_id: [u8; 16],
        mut machine: M,
    ) -> Result<Self, JournalError> {
        folder::create(&std::path::absolute(folder)?)?;
        let folder = folder.canonicalize()?;
        let lock = folder::lock(&folder, M::OPEN_TWICE)?;
        machine.clear();
        let engine = Engine::open(&folder, new_id, |key, value| machine.load(key, value));
        let mut engine = engine.map_err(|error| error.advised(M::DAMAGED))?;
        machine.loaded();
        let mut first = Batch::default();
        machine.begin(&mut first);
        if !first.is_empty() {
            engine.commit(first)?;
        }
        let id = engine.id();
        let (sender, receiver) = mpsc::channel();
        let (waiting, failure) = (Arc::new(AtomicUsize::new(0)), Arc::new(RwLock::new(None)));
        let writer = Writer {
            machine,
            is_whole: true,
            engine: Some(engine),
            failure: failure.clone(),
            id,
            folder,
            queue: receiver,
            waiting: waiting.clone(),
            kept: VecDeque::new(),
            floor_due: Instant::now() + FLOOR_EVERY,
            reopen_due: Instant::now(),
            patience: TRY_EVERY,
            last_group: 1,
            last_commit: Duration::ZERO,
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("x402-journal".into())
            .spawn(|| writer.run())?;
        Ok(Self {
            id,
            queue: Some(sender),
            waiting,
            failure,
            thread: Some(thread),
        })
    }

    /// Returns the id of this journal.
    pub(crate) const fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Queues a command. Returns an error if the disk takes no writes now, or if too many commands
    /// wait already. Never blocks.
    pub(crate) fn ask(&self, command: M::Command) -> Result<(), JournalError> {
        if let Some(failure) = &*lock::read(&self.failure) {
            return Err(failure.refusal());
        }
        self.ask_within(MAX_WAITING, command)
    }

    /// Queues a command that must not be lost, even if the disk takes no writes now or many
    /// commands wait. Never blocks.
    pub(crate) fn ask_urgently(&self, command: M::Command) -> Result<(), JournalError> {
        self.ask_within(MAX_URGENT, command)
    }

    fn ask_within(&self, most: usize, command: M::Command) -> Result<(), JournalError> {
        if self.waiting.load(Ordering::Relaxed) >= most {
            return Err(JournalError::refused("too many commands wait for the disk"));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.queue
            .as_ref()
            .and_then(|queue| queue.send(command).ok())
            .ok_or_else(gone)
    }
}

/// Returns the error for callers whose writer thread has ended.
pub(crate) fn gone() -> JournalError {
    JournalError::unavailable("the writer thread has ended")
}

impl<M: Machine> Drop for Journal<M> {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<M: Machine> fmt::Debug for Journal<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

struct Writer<M: Machine> {
    machine: M,
    /// Whether the machine holds at least what the disk does. It does not after a load that failed.
    is_whole: bool,
    engine: Option<Engine>,
    /// Why there is no engine. Callers read it too.
    failure: Arc<RwLock<Option<JournalError>>>,
    id: [u8; 16],
    folder: PathBuf,
    queue: Receiver<M::Command>,
    waiting: Arc<AtomicUsize>,
    /// Commands to apply again once the disk takes writes.
    kept: VecDeque<M::Command>,
    floor_due: Instant,
    reopen_due: Instant,
    /// How long to wait before the next attempt to open the engine again.
    patience: Duration,
    last_group: usize,
    last_commit: Duration,
    _lock: Lock,
}

impl<M: Machine> Writer<M> {
    fn run(mut self) {
        loop {
            let (mut first, open) = self.wait();
            if let Some(failure) = self.failure() {
                self.refuse(first.take(), &failure);
                if !open || Instant::now() >= self.reopen_due {
                    self.reopen();
                }
            }
            if self.engine.is_some() {
                self.write_group(first);
            }
            self.sync_floor(!open);
            if !open {
                return;
            }
        }
    }

    /// Waits for a command, or for the time to sync or to reopen. Returns `false` once no caller is
    /// left.
    fn wait(&self) -> (Option<M::Command>, bool) {
        let received = self.linger().unwrap_or_else(|| match self.next_due() {
            Some(due) => self
                .queue
                .recv_timeout(due.saturating_duration_since(Instant::now())),
            None => self
                .queue
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        });
        match received {
            Ok(command) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                (Some(command), true)
            }
            Err(RecvTimeoutError::Timeout) => (None, true),
            Err(RecvTimeoutError::Disconnected) => (None, false),
        }
    }

    fn next_due(&self) -> Option<Instant> {
        match &self.engine {
            None => Some(self.reopen_due),
            Some(engine) => engine.is_floor_unsynced().then_some(self.floor_due),
        }
    }

    fn write_group(&mut self, first: Option<M::Command>) {
        let expected = self.last_group.max(self.kept.len() + 1);
        let (mut batch, mut replies) =
            (Batch::with_capacity(expected), Vec::with_capacity(expected));
        replies.extend(
            self.kept
                .drain(..)
                .chain(first)
                .map(|command| self.machine.apply(command, &mut batch)),
        );
        if replies.is_empty() {
            return;
        }
        self.gather(&mut replies, &mut batch);
        let written = self.commit(batch);
        self.kept.extend(
            replies
                .into_iter()
                .filter_map(|reply| M::tell(reply, written.as_ref().copied())),
        );
        if let Err(failure) = written {
            self.fail(failure);
        }
    }

    fn fail(&mut self, failure: JournalError) {
        self.engine = None;
        self.reopen_due = Instant::now() + self.patience;
        self.tell_all(Some(failure));
    }

    fn tell_all(&self, failure: Option<JournalError>) {
        *lock::write(&self.failure) = failure;
    }

    fn failure(&self) -> Option<JournalError> {
        lock::read(&self.failure).clone()
    }

    /// Polls the queue while the callers of the last group may ask again, for half the time that
    /// their sync took at most: falling asleep and waking up takes as long as all of them need.
    /// Returns `None` if no command came. It does not wait for a single caller.
    fn linger(&self) -> Option<Result<M::Command, RecvTimeoutError>> {
        let until = self.linger_until();
        while self.engine.is_some() && self.last_group > 1 && Instant::now() < until {
            match self.queue.try_recv() {
                Ok(command) => return Some(Ok(command)),
                Err(TryRecvError::Disconnected) => {
                    return Some(Err(RecvTimeoutError::Disconnected));
                }
                Err(TryRecvError::Empty) => std::thread::yield_now(),
            }
        }
        None
    }

    fn linger_until(&self) -> Instant {
        Instant::now() + (self.last_commit / 2).min(MAX_LINGER)
    }

    /// Applies the commands that are queued by now, and waits shortly for the callers of the last
    /// group to ask again. Otherwise the first of them would get a sync of its own, and the others
    /// would wait for that sync and the next. A single caller does not wait.
    fn gather(&mut self, replies: &mut Vec<M::Reply>, batch: &mut Batch) {
        let until = self.linger_until();
        let before = replies.len();
        while replies.len() < MAX_GROUP {
            if let Ok(command) = self.queue.try_recv() {
                replies.push(self.machine.apply(command, batch));
            } else if replies.len() < self.last_group && Instant::now() < until {
                std::thread::yield_now();
            } else {
                break;
            }
        }
        self.waiting
            .fetch_sub(replies.len() - before, Ordering::Relaxed);
        self.last_group = replies.len();
    }

    fn commit(&mut self, batch: Batch) -> Result<(), JournalError> {
        let Some(engine) = self.engine.as_mut().filter(|_| !batch.is_empty()) else {
            return Ok(());
        };
        let start = Instant::now();
        let written = engine.commit(batch);
        self.last_commit = start.elapsed();
        if written.is_ok() {
            self.patience = TRY_EVERY;
        }
        written
    }

    fn refuse(&mut self, first: Option<M::Command>, failure: &JournalError) {
        let rest = self.queue.try_iter().take(MAX_URGENT).inspect(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        });
        for command in first.into_iter().chain(rest) {
            let kept = self.machine.refuse(command, failure);
            // A machine that is whole returns only commands about what it holds.
            if self.is_whole || self.kept.len() < MAX_URGENT {
                self.kept.extend(kept);
            }
        }
    }

    /// Opens the engine again. It reads everything twice: memory is cleared only after all could be
    /// read once.
    fn reopen(&mut self) {
        if !self.folder.join("floor").exists() {
            // A journal that began anew would know nothing of what was acknowledged.
            self.reopen_due = Instant::now() + TRY_EVERY;
            return self.tell_all(Some(deleted()));
        }
        if let Err(failure) = folder::try_write(&self.folder) {
            self.reopen_due = Instant::now() + TRY_EVERY;
            return self.tell_all(Some(failure.into()));
        }
        self.patience = (self.patience * 2).min(MAX_PATIENCE);
        let opened = folder::write_journals_again(&self.folder.join("journal"))
            .map_err(JournalError::from)
            .and_then(|()| Engine::open(&self.folder, self.id, |_, _| Ok(())))
            .and_then(|engine| self.load(&engine).map(|()| engine));
        match opened {
            Ok(engine) => {
                self.engine = Some(engine);
                self.tell_all(None);
            }
            Err(failure) => {
                self.reopen_due = Instant::now() + self.patience;
                self.tell_all(Some(failure.advised(M::DAMAGED)));
            }
        }
    }

    fn load(&mut self, engine: &Engine) -> Result<(), JournalError> {
        self.is_whole = false;
        self.machine.clear();
        engine.read(|key, value| self.machine.load(key, value))?;
        self.machine.loaded();
        self.is_whole = true;
        Ok(())
    }

    fn sync_floor(&mut self, now: bool) {
        if !now && Instant::now() < self.floor_due {
            return;
        }
        self.floor_due = Instant::now() + FLOOR_EVERY;
        if let Some(engine) = &mut self.engine
            && let Err(failure) = engine.sync_floor()
        {
            self.fail(failure);
        }
    }
}

/// How often the bound in the side file is synced.
const FLOOR_EVERY: Duration = Duration::from_secs(1);
/// How often a failing disk is tried.
const TRY_EVERY: Duration = Duration::from_millis(500);
/// The longest time between two attempts to read everything again.
const MAX_PATIENCE: Duration = Duration::from_secs(30);
/// The longest time that the thread polls for more commands.
const MAX_LINGER: Duration = Duration::from_millis(1);
/// The most commands that share a sync.
const MAX_GROUP: usize = 1024;
/// The most commands that wait for the disk.
const MAX_WAITING: usize = 65_536;
/// The same with urgent commands.
const MAX_URGENT: usize = 4 * MAX_WAITING;

#[cfg(test)]
mod tests;
