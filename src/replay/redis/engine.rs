//! The store's calls to its servers, and what their answers mean.

use std::{sync::Arc, time::Duration};

use redis::Value;
use tokio::{sync::Notify, time::timeout};

use super::{
    buckets::{BUCKETS, bucket_of, slot, tag},
    cluster::Cluster,
    fault::{corrupt, unavailable},
    floors::{Change, Floors, mark},
    options::RedisOptions,
    primary::{Call, Place, Server},
    reply::{items, number},
    scripts::{self, Script},
    settings::Promise,
    url::{Host, Kind, RedisUrl},
};
use crate::{
    clock::{Clock, Timestamp},
    replay::StoreError,
    trace,
};

/// A store on its servers, once it is open.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) servers: Arc<Servers>,
    pub(super) id: [u8; 16],
    pub(super) floors: Floors,
    /// Tells the task of the store that all buckets must be marked.
    pub(super) loss: Notify,
    clock: Arc<dyn Clock>,
}

/// The servers that hold the buckets of a store.
#[derive(Debug)]
pub(super) struct Servers {
    kind: Topology,
    promise: Promise,
    /// Tells the task of the store that what was acknowledged must be checked at a server.
    pub(super) news: Arc<Notify>,
    time_limit: Duration,
    /// Promotes a replica if the primary fails.
    pub(super) fails_over: bool,
    /// The tag and the slot of each bucket, and of what is not in a bucket.
    buckets: Box<[(String, u16)]>,
    store: (String, u16),
}

#[derive(Debug)]
enum Topology {
    Cluster(Box<Cluster>),
    One(Arc<Server>),
}

/// What a script answered: two numbers, and what else it returned.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) first: u64,
    pub(super) second: u64,
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
        let (limit, fails_over) = (options.time_limit, kind != Kind::Single);
        let (news, promise) = (Arc::<Notify>::default(), Promise::default());
        let one = |place, access| {
            let shared = (news.clone(), promise.clone());
            let server = Server::new(place, access, limit, shared, true);
            Topology::One(Arc::new(server))
        };
        let kind = match kind {
            Kind::Cluster => {
                let cluster = Cluster::new(hosts, access, limit, (news.clone(), promise.clone()));
                Topology::Cluster(Box::new(cluster))
            }
            Kind::Sentinel(primary) => one(Place::Sentinel(hosts, primary), access),
            Kind::Single => one(Place::At(hosts.swap_remove(0)), access),
        };
        let placed = |tag: String| {
            let slot = slot(&tag);
            (tag, slot)
        };
        let buckets = (0..BUCKETS)
            .map(|bucket| placed(tag(&name, bucket)))
            .collect();
        Self {
            kind,
            news,
            promise,
            time_limit: limit,
            fails_over,
            buckets,
            store: placed(name),
        }
    }

    /// Runs a script on a bucket, or on what is not in a bucket.
    pub(super) async fn run(
        &self,
        script: &'static Script,
        bucket: Option<u16>,
        arguments: &[Vec<u8>],
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
        let late = || unavailable(format!("no answer came within {:?}", self.time_limit));
        timeout(self.time_limit, answer)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Returns whether all servers sync each write, and the fewest replicas that acknowledge one.
    pub(super) async fn promises(&self) -> Result<(bool, u32), StoreError> {
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
        let late = || unavailable(format!("no connection within {:?}", 5 * self.time_limit));
        let settings = timeout(5 * self.time_limit, settings)
            .await
            .unwrap_or_else(|_| Err(late()))?;
        let replicas = settings.iter().map(|server| server.replicas).min();
        let syncs = settings.iter().all(|server| server.syncs);
        let found = (syncs, replicas.unwrap_or(0));
        Ok(*self.promise.get_or_init(|| found))
    }

    /// Returns what tells apart the servers that have these buckets.
    pub(super) fn home(&self, bucket: u16) -> Option<Host> {
        match &self.kind {
            Topology::Cluster(cluster) => cluster.home(self.buckets[usize::from(bucket)].1),
            Topology::One(_) => None,
        }
    }

    /// Returns one bucket of each server.
    fn one_of_each(&self) -> Vec<u16> {
        match &self.kind {
            Topology::Cluster(cluster) => {
                let slots = self.buckets.iter().map(|(_, slot)| *slot);
                cluster.one_of_each((0..).zip(slots))
            }
            Topology::One(_) => vec![0],
        }
    }
}

impl Engine {
    pub(super) fn new(servers: Arc<Servers>, id: [u8; 16], clock: Arc<dyn Clock>) -> Self {
        let (floors, loss) = (Floors::new(), Notify::new());
        Self {
            servers,
            id,
            floors,
            loss,
            clock,
        }
    }

    /// Runs a script on the bucket of a key. `arguments` come after those that each such script has.
    pub(super) async fn ask(
        &self,
        script: &'static Script,
        key: &[u8],
        arguments: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<Answer, StoreError> {
        self.ask_bucket(script, bucket_of(key), arguments).await
    }

    pub(super) async fn ask_bucket(
        &self,
        script: &'static Script,
        bucket: u16,
        arguments: impl IntoIterator<Item = Vec<u8>>,
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
        let mut all = vec![
            self.id.to_vec(),
            decimal(newest.number),
            marks,
            mark.to_vec(),
            seconds(self.clock.now()),
        ];
        all.extend(arguments);
        let mut answer = items(self.servers.run(script, Some(bucket), &all).await?).into_iter();
        let mut next = || answer.next().as_ref().and_then(number);
        match next() {
            Some(OK) => {}
            Some(GONE | LOST) => return Err(self.lose()),
            _ => return Err(unavailable("a script gave an answer that was not expected")),
        }
        let (first, second) = (next().unwrap_or(0), next().unwrap_or(0));
        let number = next().filter(|number| *number > 0);
        let new = number.map(|number| Change { number, mark });
        self.floors.answered(bucket, &known, new);
        Ok(Answer {
            first,
            second,
            rest: answer.collect(),
        })
    }

    /// Checks that each server takes writes.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        for bucket in self.servers.one_of_each() {
            self.ask_bucket(&scripts::PROBE, bucket, []).await?;
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
         choose another `name` in the URL, and what was sold for several requests before is refused",
    )
}

pub(super) fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The seconds of a moment, at most as many as a number of the scripts holds exactly.
pub(super) fn seconds(at: Timestamp) -> Vec<u8> {
    decimal(at.as_unix_seconds().min((1 << 53) - 1))
}

const OK: u64 = 0;
const GONE: u64 = 1;
const LOST: u64 = 2;
