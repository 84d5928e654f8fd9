//! One server: a few connections to it, each made on demand.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Cmd, RedisError, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    fault::{after_sending, not_sent, refused, setup, unavailable},
    gathering::{Gathering, Sent, Waiting},
    scripts::Script,
    settings::{self, Promise, Settings},
    url::{Access, Host},
};
use crate::{lock::lock, replay::StoreError, trace};

/// How to find a server.
#[derive(Clone, Debug)]
pub(super) enum Place {
    At(Host),
    /// These Sentinels know it by this name.
    Sentinel(Vec<Host>, String),
}

/// A server, and a few connections to it. Each connection carries the calls of many callers at once,
/// so there is no pool to borrow from. With several, a server that waits for replicas delays only
/// some of the callers.
#[derive(Debug)]
pub(super) struct Server {
    place: Place,
    access: Access,
    pub(super) time_limit: Duration,
    lanes: [Lane; LANES],
    turn: AtomicUsize,
    gathering: Gathering,
    /// Whether calls with keys of several slots may be one transaction.
    pub(super) is_alone: bool,
    /// What the first connection found. A later one may not promise less.
    promised: Mutex<Option<(bool, u32)>>,
    /// What all servers of the store together promise.
    of_store: Promise,
    /// The run of the server that was connected last.
    run: Mutex<String>,
    /// Tells the task of the store that another run was connected.
    news: Arc<Notify>,
}

/// One connection, if there is one.
#[derive(Debug, Default)]
struct Lane {
    open: Mutex<Option<Connected>>,
    opening: tokio::sync::Mutex<Backoff>,
}

#[derive(Clone)]
pub(super) struct Connected {
    pub(super) connection: MultiplexedConnection,
    pub(super) settings: Arc<Settings>,
    /// Tells this connection apart from a later one of its lane.
    pub(super) number: usize,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connected")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// When the next attempt may be made, and why the last one failed.
#[derive(Debug, Default)]
struct Backoff {
    not_before: Option<Instant>,
    delay: Duration,
    why: Option<String>,
}

/// A script to run, with the tag of its keys.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) script: &'static Script,
    pub(super) tag: &'a str,
    pub(super) arguments: &'a [Vec<u8>],
    /// The slot is moving here: a cluster sent the caller on.
    pub(super) asking: bool,
}

/// Why a call failed: the error, and where to go instead.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    pub(super) cause: Option<RedisError>,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, cause: None }
    }
}

impl Server {
    pub(super) fn new(
        place: Place,
        access: Access,
        time_limit: Duration,
        (news, of_store): (Arc<Notify>, Promise),
        is_alone: bool,
    ) -> Self {
        let (lanes, turn, promised) = (Default::default(), AtomicUsize::new(0), Mutex::default());
        Self {
            place,
            access,
            time_limit,
            lanes,
            turn,
            gathering: Gathering::default(),
            is_alone,
            promised,
            of_store,
            run: Mutex::default(),
            news,
        }
    }

    /// Connects, if that was not done before, and returns what the server promises.
    pub(super) async fn settings(&self) -> Result<Arc<Settings>, StoreError> {
        Ok(self.connected(&self.lanes[0]).await?.settings)
    }

    /// Runs a command that changes nothing.
    pub(super) async fn query(&self, command: &Cmd) -> Result<Value, StoreError> {
        let lane = &self.lanes[0];
        let mut connected = self.connected(lane).await?;
        let answer = connected.connection.send_packed_command(command).await;
        answer.and_then(Value::extract_error).map_err(|error| {
            self.close_after(&error, connected.number);
            not_sent(&error)
        })
    }

    /// Runs a script, and waits for the replicas that must acknowledge it.
    pub(super) async fn run(self: &Arc<Self>, call: &Call<'_>) -> Result<Value, Failure> {
        let mut sent = if call.asking {
            self.send_alone(call, false).await?
        } else {
            self.gather(call).await?
        };
        if let Err(error) = &sent.value
            && error.code() == Some("NOSCRIPT")
        {
            sent = self.send_alone(call, true).await?;
        }
        let value = sent.value.map_err(|error| {
            self.close_after(&error, sent.connection);
            Failure {
                error: after_sending(&error),
                cause: Some(error),
            }
        })?;
        let (acknowledged, wanted) = (sent.acknowledged, sent.wanted);
        if acknowledged < i64::from(wanted) {
            return Err(unavailable(format!(
                "{acknowledged} of {wanted} replicas acknowledged the write in time"
            ))
            .into());
        }
        Ok(value)
    }

    /// Sends a script with those of other callers.
    async fn gather(self: &Arc<Self>, call: &Call<'_>) -> Result<Sent, StoreError> {
        let (answer, answered) = oneshot::channel();
        let script = call.command(false);
        if self.gathering.add(Waiting { script, answer }) {
            let server = self.clone();
            tokio::spawn(async move {
                while let Some(calls) = server.gathering.next().await {
                    server.send_all(calls).await;
                }
            });
        }
        answered
            .await
            .unwrap_or_else(|_| Err(unavailable("the runtime has ended")))
    }

    async fn send_all(&self, calls: Vec<Waiting>) {
        match self.next_connection().await {
            Ok(mut connected) => {
                let (scripts, answers): (Vec<_>, Vec<_>) = calls
                    .into_iter()
                    .map(|call| (call.script, call.answer))
                    .unzip();
                let sent = self.send(&mut connected, scripts, false).await;
                for (answer, sent) in answers.into_iter().zip(sent) {
                    // The caller may have gone.
                    let _ = answer.send(Ok(sent));
                }
            }
            Err(error) => {
                for call in calls {
                    let _ = call.answer.send(Err(error.again()));
                }
            }
        }
    }

    async fn send_alone(&self, call: &Call<'_>, whole: bool) -> Result<Sent, StoreError> {
        let mut connected = self.next_connection().await?;
        let script = vec![call.command(whole)];
        let sent = self.send(&mut connected, script, call.asking).await;
        let none = || unavailable("no answer came");
        sent.into_iter().next().ok_or_else(none)
    }

    async fn next_connection(&self) -> Result<Connected, StoreError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.connected(&self.lanes[turn % LANES]).await
    }

    async fn connected(&self, lane: &Lane) -> Result<Connected, StoreError> {
        if let Some(connected) = &*lock(&lane.open) {
            return Ok(connected.clone());
        }
        let mut backoff = lane.opening.lock().await;
        if let Some(connected) = &*lock(&lane.open) {
            return Ok(connected.clone());
        }
        if let Err(refused) = backoff.begin() {
            // Another connection to the server may be there again before this one.
            let mut open = self.lanes.iter().map(|lane| lock(&lane.open).clone());
            return open.find_map(|open| open).ok_or(refused);
        }
        match self.connect().await {
            Ok(connected) => {
                *backoff = Backoff::default();
                *lock(&lane.open) = Some(connected.clone());
                Ok(connected)
            }
            Err(error) => {
                backoff.why = Some(error.to_string());
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Connected, StoreError> {
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        let host = self.host().await?;
        let client = self
            .access
            .client(&host)
            .map_err(|error| setup(error.to_string()))?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&self.config())
            .await
            .map_err(|error| not_sent(&error))?;
        let settings = settings::read(&mut connection).await?;
        let mut promised = lock(&self.promised);
        let mut least = promised.iter().chain(self.of_store.get());
        if least.any(|least| settings.is_less_than(*least)) {
            return Err(refused(format!(
                "the server promises less than when this process started ({}): restore its configuration, or start again",
                settings.summary
            )));
        }
        if promised.is_none() {
            trace::info(format_args!(
                "replay store on {} at {host}: {}",
                settings.version, settings.summary
            ));
            *promised = Some((settings.syncs, settings.replicas));
        }
        if std::mem::replace(&mut *lock(&self.run), settings.run.clone()) != settings.run {
            self.news.notify_one();
        }
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Ok(Connected {
            connection,
            settings: Arc::new(settings),
            number,
        })
    }

    /// Returns the address that the server has now.
    async fn host(&self) -> Result<Host, StoreError> {
        let (sentinels, name) = match &self.place {
            Place::At(host) => return Ok(host.clone()),
            Place::Sentinel(sentinels, name) => (sentinels, name),
        };
        let mut why = format!("no Sentinel knows a server by the name {name}");
        for sentinel in sentinels {
            match self.ask_sentinel(sentinel, name).await {
                Ok(Some((host, port))) => return Ok(Host(host, port)),
                Ok(None) => {}
                Err(error) => why = format!("the Sentinel at {sentinel}: {error}"),
            }
        }
        Err(refused(why))
    }

    async fn ask_sentinel(
        &self,
        sentinel: &Host,
        name: &str,
    ) -> Result<Option<(String, u16)>, RedisError> {
        let client = self.access.sentinel(sentinel)?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&self.config())
            .await?;
        settings::primary_of(&mut connection, name).await
    }

    /// Closes the connections after one failed, or if the server takes no writes any more: the others
    /// are to the same server.
    fn close_after(&self, error: &RedisError, number: usize) {
        let is_over = error.is_io_error()
            || error.is_unrecoverable_error()
            || error.code() == Some("READONLY");
        let is_current = |lane: &Lane| {
            let open = lock(&lane.open);
            open.as_ref()
                .is_some_and(|connected| connected.number == number)
        };
        if is_over && self.lanes.iter().any(is_current) {
            for lane in &self.lanes {
                *lock(&lane.open) = None;
            }
        }
    }

    fn config(&self) -> AsyncConnectionConfig {
        // Less than the time limit of the call, so that a server that hangs is found out.
        let limit = Some(self.time_limit * 3 / 4);
        AsyncConnectionConfig::new()
            .set_connection_timeout(limit)
            .set_response_timeout(limit)
    }
}

impl Backoff {
    /// Begins an attempt, if it may be made now. It counts as failed until it succeeds, so that a
    /// caller who goes meanwhile changes nothing.
    fn begin(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        if self.not_before.is_some_and(|not_before| now < not_before) {
            let why = self.why.as_deref().unwrap_or("it did not answer in time");
            return Err(refused(format!("it was out of reach a moment ago: {why}")));
        }
        self.delay = (self.delay * 2).clamp(FIRST_DELAY, LAST_DELAY);
        self.not_before = Some(now + self.delay);
        Ok(())
    }
}

const LANES: usize = 4;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LAST_DELAY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_are_made_ever_less_often_and_in_between_the_answer_comes_at_once() {
        let mut backoff = Backoff::default();
        for delay in [50, 100, 200, 400, 800, 1_600, 2_000, 2_000] {
            assert!(backoff.begin().is_ok() && backoff.begin().is_err());
            tokio::time::advance(Duration::from_millis(delay - 1)).await;
            assert!(backoff.begin().is_err(), "{delay} ms have not passed");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }
}
