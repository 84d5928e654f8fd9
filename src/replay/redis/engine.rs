//! The store's calls to its servers, and what their answers mean.

use std::sync::Arc;

use redis::Value;
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use super::{
    buckets::{BUCKETS, Layout, MOST_BUCKETS, bucket_of, marks_of, slot, tag},
    cluster::Cluster,
    fault::{corrupt, not_expected, unavailable},
    floors::{Change, Floors},
    options::RedisOptions,
    primary::{Call, Common, Place, Server},
    reply::{items, number},
    scripts::{self, Script},
    settings::Promised,
    url::{Host, Kind, RedisUrl},
};
use crate::{
    clock::{Clock, Timestamp},
    replay::{StoreError, mark::mark},
    trace,
};

/// A store on its servers, once it is open.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) servers: Arc<Servers>,
    pub(super) id: [u8; 16],
    pub(super) layout: Layout,
    pub(super) floors: Floors,
    /// Tells the task of the store that all buckets must be marked.
    pub(super) loss: Notify,
    pub(super) clock: Arc<dyn Clock>,
}

/// The servers that hold the buckets of a store.
#[derive(Debug)]
pub(super) struct Servers {
    kind: Topology,
    pub(super) common: Common,
    /// Promotes a replica if the primary fails.
    pub(super) fails_over: bool,
    /// The tag and the slot of each bucket that a store may have, and of what is not in a bucket.
    buckets: Box<[(String, u16)]>,
    store: (String, u16),
}

#[derive(Debug)]
enum Topology {
    Cluster(Box<Cluster>),
    One(Arc<Server>),
}

/// What a script answered: a number, and what else it returned.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) first: u64,
    pub(super) rest: Vec<Value>,
}

impl Servers {
    pub(super) fn new(url: RedisUrl, options: &RedisOptions) -> Self {
        let RedisUrl {
            kind,
            mut hosts,
            name,
            access,
        } = url;
        let (common, fails_over) = (Common::new(access, options), kind != Kind::Single);
        let one = |place| Topology::One(Arc::new(Server::new(place, common.clone(), true)));
        let kind = match kind {
            Kind::Cluster => Topology::Cluster(Box::new(Cluster::new(hosts, common.clone()))),
            Kind::Sentinel(primary) => one(Place::Sentinel(hosts, primary)),
            Kind::Single => one(Place::At(hosts.swap_remove(0))),
        };
        let placed = |tag: String| {
            let slot = slot(&tag);
            (tag, slot)
        };
        let buckets = (0..MOST_BUCKETS)
            .map(|bucket| placed(tag(&name, bucket)))
            .collect();
        Self {
            kind,
            common,
            fails_over,
            buckets,
            store: placed(name),
        }
    }

    /// Returns the layout for a new store. To spread payments gains nothing on one server.
    pub(super) const fn layout(&self) -> Layout {
        match self.kind {
            Topology::Cluster(_) => Layout::Spread,
            Topology::One(_) => Layout::Together,
        }
    }

    /// Returns by when a call that begins now must end.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.common.time_limit
    }

    /// Runs a script on a bucket, or on what is not in a bucket.
    pub(super) async fn run(
        &self,
        script: &'static Script,
        bucket: Option<u16>,
        arguments: &[Vec<u8>],
    ) -> Result<Value, StoreError> {
        let arguments: Vec<_> = arguments.iter().map(Vec::as_slice).collect();
        self.run_by(self.deadline(), script, bucket, &arguments)
            .await
    }

    async fn run_by(
        &self,
        deadline: Instant,
        script: &'static Script,
        bucket: Option<u16>,
        arguments: &[&[u8]],
    ) -> Result<Value, StoreError> {
        let (tag, slot) = bucket.map_or(&self.store, |bucket| &self.buckets[usize::from(bucket)]);
        let call = Call {
            script,
            tag,
            arguments,
            asking: false,
        };
        let answer = async {
            match &self.kind {
                Topology::Cluster(cluster) => cluster.run(*slot, call).await,
                Topology::One(server) => server.run(&call).await.map_err(|failure| failure.error),
            }
        };
        self.by(deadline, answer).await
    }

    /// Waits for an answer, until the deadline at most.
    pub(super) async fn by<T>(
        &self,
        deadline: Instant,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let late = || {
            let limit = self.common.time_limit;
            unavailable(format!("no answer came within {limit:?}"))
        };
        timeout_at(deadline, answer)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Notes what all servers promise. None may promise less from then on. Returns what to change if
    /// that does not make the store durable.
    pub(super) async fn promises(&self) -> Result<Option<String>, StoreError> {
        let settings = async {
            match &self.kind {
                Topology::Cluster(cluster) => {
                    let mut found = Vec::new();
                    for server in cluster.primaries().await? {
                        found.push(server.settings().await?);
                    }
                    Ok(found)
                }
                Topology::One(server) => Ok(vec![server.settings().await?]),
            }
        };
        let limit = 5 * self.common.time_limit;
        let late = || unavailable(format!("no connection within {limit:?}"));
        let settings = timeout(limit, settings)
            .await
            .unwrap_or_else(|_| Err(late()))?;
        let all = settings.iter().map(|server| server.promised);
        let mut found = all.reduce(Promised::and).unwrap_or_default();
        // Only a store that is durable over a failover depends on it.
        found.all_replicas &= found.syncs && self.fails_over;
        let promised = *self.common.promise.get_or_init(|| found);
        let mut fixes = settings.iter().filter_map(|server| server.to_sync.clone());
        Ok(match fixes.next() {
            None if self.fails_over && !promised.all_replicas => Some(
                "set `min-replicas-to-write` of each server to the number of its replicas, at least 1".to_owned(),
            ),
            fix => fix,
        })
    }

    /// Returns what tells apart the servers that have these buckets.
    pub(super) fn home(&self, bucket: u16) -> Option<Host> {
        match &self.kind {
            Topology::Cluster(cluster) => cluster.home(self.buckets[usize::from(bucket)].1),
            Topology::One(_) => None,
        }
    }

    /// Returns one bucket of each server. If the server has any with payments, it is one of these.
    fn one_of_each(&self, layout: Layout) -> Vec<u16> {
        match &self.kind {
            Topology::Cluster(cluster) => {
                let with_slot = |bucket: u16| (bucket, self.buckets[usize::from(bucket)].1);
                cluster.one_of_each(layout.payments().chain(0..BUCKETS).map(with_slot))
            }
            Topology::One(_) => vec![layout.payments().start],
        }
    }
}

impl Engine {
    pub(super) fn new(
        servers: Arc<Servers>,
        id: [u8; 16],
        layout: Layout,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (floors, loss) = (Floors::new(), Notify::new());
        Self {
            servers,
            id,
            layout,
            floors,
            loss,
            clock,
        }
    }

    /// Runs a script on the bucket of a key. `arguments` come after those that each such script
    /// has.
    pub(super) async fn ask(
        &self,
        script: &'static Script,
        key: &[u8],
        arguments: &[Vec<u8>],
    ) -> Result<Answer, StoreError> {
        self.ask_bucket(script, bucket_of(key), arguments).await
    }

    pub(super) async fn ask_bucket(
        &self,
        script: &'static Script,
        bucket: u16,
        arguments: &[Vec<u8>],
    ) -> Result<Answer, StoreError> {
        self.ask_by(self.servers.deadline(), script, bucket, arguments)
            .await
    }

    /// Runs a script on a bucket. Ends by the deadline.
    pub(super) async fn ask_by(
        &self,
        deadline: Instant,
        script: &'static Script,
        bucket: u16,
        arguments: &[Vec<u8>],
    ) -> Result<Answer, StoreError> {
        if self.floors.is_lost() {
            return Err(lost());
        }
        let (known, mark) = (self.floors.of(bucket), mark()?);
        let newest = known.first().copied().unwrap_or_default();
        let mut marks = newest.mark.to_vec();
        for change in known.iter().skip(1) {
            marks.extend(change.number.to_be_bytes());
            marks.extend(change.mark);
        }
        let (floor, now) = (decimal(newest.number), seconds(self.clock.now()));
        let ring = decimal(marks_of(bucket).into());
        let mut all: Vec<&[u8]> = vec![&self.id, &floor, &marks, &mark, &now, &ring];
        all.extend(arguments.iter().map(Vec::as_slice));
        let ran = self.servers.run_by(deadline, script, Some(bucket), &all);
        let mut answer = items(ran.await?).into_iter();
        let mut next = || answer.next().as_ref().and_then(number);
        match next() {
            Some(OK) => {}
            Some(GONE | LOST) => return Err(self.lose()),
            _ => return Err(not_expected()),
        }
        let first = next().unwrap_or(0);
        let number = next().filter(|number| *number > 0);
        let new = number.map(|number| Change { number, mark });
        self.floors.answered(bucket, &known, new);
        Ok(Answer {
            first,
            rest: answer.collect(),
        })
    }

    /// Checks that each server takes writes.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        let deadline = self.servers.deadline();
        for bucket in self.servers.one_of_each(self.layout) {
            self.ask_by(deadline, &scripts::PROBE, bucket, &[]).await?;
        }
        Ok(())
    }

    fn lose(&self) -> StoreError {
        let error = lost();
        if self.floors.note_lost() {
            trace::error(format_args!("{error}"));
            self.loss.notify_one();
        }
        error
    }
}

fn lost() -> StoreError {
    corrupt(
        "the server has forgotten what it acknowledged, so payments may be unspent there that were spent: \
         choose another `name` in the URL, and start all processes again; what was sold before for one request or several \
         is refused then, and durations stay valid",
    )
}

pub(super) fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// Returns the seconds of a moment as decimal text: see [`exact`].
pub(super) fn seconds(at: Timestamp) -> Vec<u8> {
    decimal(exact(at))
}

/// Returns the seconds of a moment, at most as many as a number of the scripts holds exactly.
pub(super) fn exact(at: Timestamp) -> u64 {
    at.as_unix_seconds().min((1 << 53) - 1)
}

const OK: u64 = 0;
const GONE: u64 = 1;
const LOST: u64 = 2;

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Duration};

    use super::*;
    use crate::{clock::SystemClock, replay::StoreErrorKind};

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_by_the_deadline_that_it_was_given() {
        // It takes connections, and answers nothing.
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", server.local_addr().unwrap());
        let (url, options) = (RedisUrl::parse(&url).unwrap(), RedisOptions::new());
        let servers = Arc::new(Servers::new(url, &options));
        let engine = Engine::new(
            servers,
            [7; 16],
            Layout::Spread,
            Arc::new(SystemClock::new()),
        );
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let asked = engine.ask_by(begun + second, &scripts::PROBE, 0, &[]);
        let error = asked.await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        let took = begun.elapsed();
        assert!((second..second * 11 / 10).contains(&took), "{took:?}");
    }
}
