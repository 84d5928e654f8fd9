use std::{
    collections::VecDeque,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Batch, JournalError,
    engine::Engine,
    folder::{self, Lock},
};

/// What decides, in order and in memory, and says what is to be written.
pub(crate) trait Machine: Send + 'static {
    /// What is asked of it.
    type Command: Send + 'static;
    /// What it decided, with whom to tell.
    type Reply;

    /// Forgets what the disk holds; [`load`](Self::load) brings it back.
    fn clear(&mut self);

    /// Takes in a record as [`apply`](Self::apply) wrote it.
    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError>;

    /// Hears that all is taken in.
    fn loaded(&mut self);

    /// Notes what the disk must hold before anything is asked: called once, when the journal was opened
    /// and all is taken in.
    fn begin(&mut self, _: &mut Batch) {}

    /// Decides, and notes what changed.
    fn apply(&mut self, command: Self::Command, batch: &mut Batch) -> Self::Reply;

    /// Tells whoever asked, once it is written, or that it was not. What is handed back is asked
    /// again later.
    fn tell(reply: Self::Reply, written: Result<(), &JournalError>) -> Option<Self::Command>;

    /// Tells whoever asked that the disk takes no writes now. What is handed back is asked again
    /// later. Memory is as the disk may be, and more than that where a write failed; whatever
    /// changes there is forgotten with the next [`clear`](Self::clear).
    fn refuse(&mut self, command: Self::Command, failure: &JournalError) -> Option<Self::Command>;
}

/// A journal with its writer thread. Dropped, it writes what was asked before, syncs, and ends the
/// thread.
pub(crate) struct Journal<M: Machine> {
    id: [u8; 16],
    queue: Option<Sender<M::Command>>,
    waiting: Arc<AtomicUsize>,
    failure: Arc<RwLock<Option<JournalError>>>,
    thread: Option<JoinHandle<()>>,
}

impl<M: Machine> Journal<M> {
    /// Opens the journal in `folder`, or makes it with `new_id`.
    pub(crate) fn open(
        folder: &Path,
        new_id: [u8; 16],
        mut machine: M,
    ) -> Result<Self, JournalError> {
        folder::create(&std::path::absolute(folder)?)?;
        let folder = folder.canonicalize()?;
        let lock = folder::lock(&folder)?;
        machine.clear();
        let mut engine = Engine::open(&folder, new_id, |key, value| machine.load(key, value))?;
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

    /// Which journal this is.
    pub(crate) const fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Asks something, if the disk takes writes and not too many are waiting already. Never blocks.
    pub(crate) fn ask(&self, command: M::Command) -> Result<(), JournalError> {
        if let Some(failure) = &*self.failure.read().unwrap_or_else(PoisonError::into_inner) {
            return Err(failure.refusal());
        }
        self.ask_within(MAX_WAITING, command)
    }

    /// Asks something that must not be lost, also where the disk takes no writes now or many are
    /// waiting. Never blocks.
    pub(crate) fn ask_urgently(&self, command: M::Command) -> Result<(), JournalError> {
        self.ask_within(MAX_URGENT, command)
    }

    fn ask_within(&self, most: usize, command: M::Command) -> Result<(), JournalError> {
        if self.waiting.load(Ordering::Relaxed) >= most {
            return Err(JournalError::refused("too many are waiting for the disk"));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.queue
            .as_ref()
            .and_then(|queue| queue.send(command).ok())
            .ok_or_else(gone)
    }
}

/// What is answered where the writer thread is no more.
pub(crate) fn gone() -> JournalError {
    JournalError::unavailable("the thread that writes it has ended")
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
    /// Whether the machine holds at least what the disk does.
    is_whole: bool,
    engine: Option<Engine>,
    /// Why there is no engine.
    failure: Arc<RwLock<Option<JournalError>>>,
    id: [u8; 16],
    folder: PathBuf,
    queue: Receiver<M::Command>,
    waiting: Arc<AtomicUsize>,
    kept: VecDeque<M::Command>,
    floor_due: Instant,
    reopen_due: Instant,
    /// How long to wait before all is read again.
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

    /// Waits for an ask, or for the time to sync or to reopen; `false` once nobody is left to ask.
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
            Ok(ask) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                (Some(ask), true)
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
        let (mut batch, mut answers) =
            (Batch::with_capacity(expected), Vec::with_capacity(expected));
        answers.extend(
            self.kept
                .drain(..)
                .chain(first)
                .map(|ask| self.machine.apply(ask, &mut batch)),
        );
        if answers.is_empty() {
            return;
        }
        self.gather(&mut answers, &mut batch);
        let written = self.commit(batch);
        self.kept.extend(
            answers
                .into_iter()
                .filter_map(|answer| M::tell(answer, written.as_ref().copied())),
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
        *self.failure.write().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn failure(&self) -> Option<JournalError> {
        self.failure
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stays awake while those who were answered together may ask again, for half the time that
    /// their sync took at most: to fall asleep and be woken takes as long as all of them need.
    /// `None` where none did. Whoever asks alone is not waited for.
    fn linger(&self) -> Option<Result<M::Command, RecvTimeoutError>> {
        let until = self.linger_until();
        while self.engine.is_some() && self.last_group > 1 && Instant::now() < until {
            match self.queue.try_recv() {
                Ok(ask) => return Some(Ok(ask)),
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

    /// Decides what is asked by now, and gives those who were answered last time to ask again:
    /// otherwise the first of them gets a sync of its own, and all others wait for that and for the
    /// next. Whoever asks alone does not wait.
    fn gather(&mut self, answers: &mut Vec<M::Reply>, batch: &mut Batch) {
        let until = self.linger_until();
        let before = answers.len();
        while answers.len() < MAX_GROUP {
            if let Ok(ask) = self.queue.try_recv() {
                answers.push(self.machine.apply(ask, batch));
            } else if answers.len() < self.last_group && Instant::now() < until {
                std::thread::yield_now();
            } else {
                break;
            }
        }
        self.waiting
            .fetch_sub(answers.len() - before, Ordering::Relaxed);
        self.last_group = answers.len();
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
        for ask in first.into_iter().chain(rest) {
            let kept = self.machine.refuse(ask, failure);
            // a machine that is whole hands back only what it holds
            if self.is_whole || self.kept.len() < MAX_URGENT {
                self.kept.extend(kept);
            }
        }
    }

    /// Reads all twice: what memory holds is given up once all of it was read, and no sooner.
    fn reopen(&mut self) {
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
                self.tell_all(Some(failure));
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

const FLOOR_EVERY: Duration = Duration::from_secs(1);
const TRY_EVERY: Duration = Duration::from_millis(500);
const MAX_PATIENCE: Duration = Duration::from_secs(30);
const MAX_LINGER: Duration = Duration::from_millis(1);
const MAX_GROUP: usize = 1024;
const MAX_WAITING: usize = 65_536;
const MAX_URGENT: usize = 4 * MAX_WAITING;

#[cfg(test)]
mod tests;
