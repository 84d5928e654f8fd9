//! A handle of a store that another process has open. Each request is a line on that process's
//! standard input, and each answer a line on its standard output that starts with [`MARK`].

use std::{
    collections::HashMap,
    fmt,
    io::{BufRead as _, BufReader, Write as _},
    num::NonZeroU32,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use tokio::sync::{mpsc::unbounded_channel, oneshot};

use super::{
    handles::LATER,
    subject::{PATIENCE, Setup},
};
use crate::{
    boxed::BoxFuture,
    clock::Timestamp,
    codec::hex,
    lock::lock,
    replay::{
        Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, Serving, StoreError,
        StoreErrorKind, StoreId, UseId, UseLimits, UseRequest,
    },
};

/// The environment variable that tells the child the name of the store.
const NAME: &str = "TOWER_X402_OTHER_PROCESS";
/// Tells answers apart from anything else that the child prints.
const MARK: &str = "> ";

/// The store of another process.
pub(super) struct Remote {
    child: Mutex<Child>,
    requests: Mutex<ChildStdin>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Option<Consumption>>>>>,
    asked: AtomicU64,
    id: StoreId,
    created_at: Timestamp,
    durability: Durability,
    knows_serving: bool,
}

impl Remote {
    /// Starts the child and waits until it has the store open.
    pub(super) fn start(mut command: Command, setup: &Setup) -> Self {
        command
            .env(NAME, setup.name.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("a child that starts");
        let requests = Mutex::new(child.stdin.take().expect("a pipe"));
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let waiting = Arc::<Mutex<HashMap<u64, oneshot::Sender<_>>>>::default();
        let (opened, open) = mpsc::channel();
        let asking = waiting.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Some(line) = line.strip_prefix(MARK) else {
                    continue;
                };
                let words: Vec<&str> = line.split(' ').collect();
                match words[..] {
                    ["open", id, created_at, durability, serving] => {
                        let id = hex::decode_lower(id)
                            .map(StoreId::from_bytes)
                            .expect("an id");
                        let durability = if durability == "durable" {
                            Durability::Durable
                        } else {
                            Durability::Volatile
                        };
                        let knows_serving = serving == "serving";
                        let _ = opened.send((id, timestamp(created_at), durability, knows_serving));
                    }
                    [number, answer] => {
                        let asked = lock(&asking).remove(&number.parse().expect("a number"));
                        let granted = answer
                            .parse()
                            .ok()
                            .map(|remaining| Consumption::Granted { remaining });
                        let answer = match answer {
                            "in_use" => Some(Consumption::InUse),
                            "spent" => Some(Consumption::Spent),
                            _ => granted,
                        };
                        let _ = asked.map(|asked| asked.send(answer));
                    }
                    _ => panic!("the other process says {line:?}"),
                }
            }
            lock(&asking).clear();
        });
        let (id, created_at, durability, knows_serving) = open.recv_timeout(6 * PATIENCE).expect(
            "the other process must open the store: does it call `conformance::other_process`?",
        );
        Self {
            child: Mutex::new(child),
            requests,
            waiting,
            asked: AtomicU64::new(0),
            id,
            created_at,
            durability,
            knows_serving,
        }
    }

    fn say(&self, line: impl fmt::Display) {
        let mut requests = lock(&self.requests);
        writeln!(requests, "{line}")
            .and_then(|()| requests.flush())
            .expect("a process that listens");
    }
}

impl ReplayStore for Remote {
    fn id(&self) -> StoreId {
        self.id
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move {
            let (asked, answer) = oneshot::channel();
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            lock(&self.waiting).insert(number, asked);
            let (key, use_id) = (request.key(), request.use_id());
            self.say(format_args!(
                "consume {number} {} {} {} {} {} {}",
                hex::encode(key.as_bytes()),
                hex::encode(use_id.as_bytes()),
                request.limits().uses,
                request.limits().restores,
                request.retain_until().as_unix_seconds(),
                request
                    .serving_until()
                    .map_or(0, Timestamp::as_unix_seconds)
            ));
            let failed = || {
                StoreError::new(
                    StoreErrorKind::Unavailable,
                    "the store of the other process",
                    "it failed there",
                )
            };
            answer.await.ok().flatten().ok_or_else(failed)
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        let why = if why == ReleaseReason::Failed {
            "failed"
        } else {
            "not_served"
        };
        self.say(format_args!(
            "release {} {} {why}",
            hex::encode(key.as_bytes()),
            hex::encode(use_id.as_bytes())
        ));
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn serving(&self) -> Option<&dyn Serving> {
        self.knows_serving.then_some(self as &dyn Serving)
    }
}

impl Serving for Remote {
    fn served(&self, key: ConsumptionKey, use_id: UseId) {
        self.say(format_args!(
            "served {} {}",
            hex::encode(key.as_bytes()),
            hex::encode(use_id.as_bytes())
        ));
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Serves the store in the child. Returns `false` if this process is not the child.
pub(super) async fn serve<S: ReplayStore>(open: impl AsyncFn(Setup) -> S) -> bool {
    let Some(name) = std::env::var(NAME).ok().and_then(|name| name.parse().ok()) else {
        return false;
    };
    let setup = Setup {
        name,
        is_open: true,
        ..Setup::new()
    };
    setup.clock.advance(LATER);
    let store = Arc::new(open(setup).await);
    let durability = if store.durability() == Durability::Durable {
        "durable"
    } else {
        "volatile"
    };
    answer(format_args!(
        "open {} {} {durability} {}",
        hex::encode(store.id().as_bytes()),
        store.created_at().as_unix_seconds(),
        store.serving().map_or("-", |_| "serving")
    ));
    let (requests, mut asked) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = requests.send(line);
        }
    });
    while let Some(line) = asked.recv().await {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [
                "consume",
                number,
                key,
                use_id,
                uses,
                restores,
                until,
                serving_until,
            ] => {
                let (key, use_id, until) = (key_of(key), use_id_of(use_id), timestamp(until));
                let limits = UseLimits::new(
                    uses.parse::<NonZeroU32>().expect("uses"),
                    restores.parse().expect("restores"),
                );
                let mut request = UseRequest::new(key, use_id, limits, until);
                if serving_until != "0" {
                    request = request.with_serving_until(timestamp(serving_until));
                }
                let (store, number) = (store.clone(), number.to_owned());
                tokio::spawn(async move {
                    match store.consume(request).await {
                        Ok(Consumption::Granted { remaining }) => {
                            answer(format_args!("{number} {remaining}"))
                        }
                        Ok(Consumption::InUse) => answer(format_args!("{number} in_use")),
                        Ok(Consumption::Spent) => answer(format_args!("{number} spent")),
                        Err(_) => answer(format_args!("{number} failed")),
                    }
                });
            }
            ["release", key, use_id, why] => {
                let why = if why == "failed" {
                    ReleaseReason::Failed
                } else {
                    ReleaseReason::NotServed
                };
                store.release(key_of(key), use_id_of(use_id), why);
            }
            ["served", key, use_id] => {
                if let Some(serving) = store.serving() {
                    serving.served(key_of(key), use_id_of(use_id));
                }
            }
            _ => panic!("the first process says {line:?}"),
        }
    }
    true
}

/// Prints an answer in one write and on a line of its own.
fn answer(line: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "\n{MARK}{line}\n").and_then(|()| out.flush());
}

fn key_of(text: &str) -> ConsumptionKey {
    hex::decode_vec(text)
        .and_then(|bytes| ConsumptionKey::from_bytes(&bytes))
        .expect("a key")
}

fn use_id_of(text: &str) -> UseId {
    hex::decode_lower(text)
        .map(UseId::from_bytes)
        .expect("a use id")
}

fn timestamp(text: &str) -> Timestamp {
    text.parse()
        .map(Timestamp::from_unix_seconds)
        .expect("a moment")
}
