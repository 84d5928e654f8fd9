//! One server: a few connections to it, each made on demand.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Cmd, RedisError, Value, aio::MultiplexedConnection};
use tokio::{runtime::Handle, sync::Notify, time::Instant};

use super::{
    fault::{has_ended, not_connected, not_sent, refused, setup},
    gathering::{Gathering, Sent},
    options::RedisOptions,
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

/// What the servers of a store share.
#[derive(Clone, Debug)]
pub(super) struct Common {
    access: Access,
    pub(super) time_limit: Duration,
    /// The runtime on which the store was opened. Connections and what sends on them live there, so
    /// that they do not end with a runtime that only calls the store.
    pub(super) runtime: Handle,
    /// What all servers of the store together promise, once it is open.
    pub(super) promise: Promise,
    /// Tells the store that another run of a server was connected, or another server.
    pub(super) news: Arc<Notify>,
}

impl Common {
    /// Must be called on a runtime.
    pub(super) fn new(access: Access, options: &RedisOptions) -> Self {
        Self {
            access,
            time_limit: options.time_limit,
            runtime: Handle::current(),
            promise: Promise::default(),
            news: Arc::default(),
        }
    }
}

/// A server, and a few connections to it. Each connection carries the calls of many callers at
/// once, so there is no pool to borrow from. One batch of gathered calls is under way at a time, on
/// the next connection each. So a server that waits for replicas delays all callers.
#[derive(Debug)]
pub(super) struct Server {
    place: Place,
    pub(super) common: Common,
    lanes: [Lane; LANES],
    turn: AtomicUsize,
    pub(super) gathering: Gathering<Cmd, Sent>,
    /// Whether calls with keys of several slots may be one transaction.
    pub(super) is_alone: bool,
    /// The run of the server that was connected last.
    run: Mutex<String>,
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
    pub(super) arguments: &'a [&'a [u8]],
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
    pub(super) fn new(place: Place, common: Common, is_alone: bool) -> Self {
        Self {
            place,
            common,
            lanes: Default::default(),
            turn: AtomicUsize::new(0),
            gathering: Gathering::default(),
            is_alone,
            run: Mutex::default(),
        }
    }

    /// Connects, if that was not done before, and returns what the server promises.
    pub(super) async fn settings(self: &Arc<Self>) -> Result<Arc<Settings>, StoreError> {
        Ok(self.connected(&self.lanes[0]).await?.settings)
    }

    /// Runs a command that changes nothing.
    pub(super) async fn query(self: &Arc<Self>, command: &Cmd) -> Result<Value, StoreError> {
        let lane = &self.lanes[0];
        let mut connected = self.connected(lane).await?;
        let answer = connected.connection.send_packed_command(command).await;
        answer.and_then(Value::extract_error).map_err(|error| {
            self.close_after(&error, connected.number);
            not_sent(&error)
        })
    }

    pub(super) async fn next_connection(self: &Arc<Self>) -> Result<Connected, StoreError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.connected(&self.lanes[turn % LANES]).await
    }

    async fn connected(self: &Arc<Self>, lane: &Lane) -> Result<Connected, StoreError> {
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
        let server = self.clone();
        let connecting = async move { server.connect().await };
        let connecting = self.common.runtime.spawn(connecting);
        match connecting.await.unwrap_or_else(|_| Err(has_ended())) {
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
        let host = self.host().await?;
        let connected = self.connect_to(&host).await;
        connected.map_err(|error| error.at(&host))
    }

    async fn connect_to(&self, host: &Host) -> Result<Connected, StoreError> {
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        let client = self.common.access.client(host);
        let client = client.map_err(|error| setup(error.to_string()))?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&self.config())
            .await
            .map_err(|error| not_connected(&error, self.common.access.tls))?;
        let settings = settings::read(&mut connection).await?;
        let (promise, summary) = (self.common.promise.get(), &settings.summary);
        if promise.is_some_and(|promise| settings.promised.is_less_than(*promise)) {
            return Err(refused(format!(
                "the server promises less than when this process started ({summary}): restore its configuration, or start again"
            )));
        }
        if std::mem::replace(&mut *lock(&self.run), settings.run.clone()) != settings.run {
            trace::info(format_args!(
                "replay store on {} at {host}: {summary}",
                settings.version
            ));
            self.common.news.notify_one();
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
        let client = self.common.access.sentinel(sentinel)?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&self.config())
            .await?;
        settings::primary_of(&mut connection, name).await
    }

    /// Closes the connections after one failed, or if the server takes no writes any more: the
    /// others are to the same server.
    pub(super) fn close_after(&self, error: &RedisError, number: usize) {
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
        let limit = Some(self.common.time_limit * 3 / 4);
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
