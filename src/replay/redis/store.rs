use std::{fmt, sync::Arc};

use tokio::time::timeout_at;

use super::{
    engine::{Engine, Servers},
    fault::{NAME, refused},
    opening,
    options::RedisOptions,
    tasks::Tasks,
    together::Together,
    url::RedisUrl,
};
use crate::{
    boxed::BoxFuture,
    clock::Timestamp,
    replay::{
        Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, Serving, StoreError,
        StoreId, UseId, UseRequest, end::End,
    },
    trace,
};

/// A store on Redis 7 or Valkey 8 that any number of processes share. Both a [`ReplayStore`] and a
/// [`Records`](crate::replay::Records).
///
/// | URL | servers |
/// |---|---|
/// | `redis://127.0.0.1:6379/0` | one server, and the number of its database |
/// | `redis+sentinel://a:26379,b:26379/main` | the server that these Sentinels call `main` |
/// | `redis+cluster://a:6379,b:6379` | a cluster, of which these servers are a part |
///
/// With `rediss` in place of `redis` the connections use TLS; `cert` names the file (PEM) of the
/// only authority whose certificates are trusted. Without TLS, anyone on the way can read and
/// change what is stored: use that on this machine or in a private network. A user and a password
/// stand before the host (`redis://user:password@host`), percent-encoded. Or `password_file` names
/// a file with the password, or `password_env` an environment variable. These win over a password
/// before the host, and the last one counts. Sentinels get no password.
///
/// The user needs the rights `+@read +@write +@scripting +@transaction +info +role +wait
/// +config|get` (in a cluster also `+cluster|slots +asking`), and the keys `~{NAME}*` and `~{NAME/*`
/// for the `name` of the store.
///
/// `name` names the store on its servers, 1 to 64 letters, digits, `-` or `_`. The default is
/// `x402`. Services that do not share their payments need different names.
///
/// # Durability
///
/// The configuration of the servers is read at each connection. The store is
/// [`Durable`](Durability::Durable) if each server has `appendonly yes`, `appendfsync always` and
/// `no-appendfsync-on-rewrite no`: then it answers after its record is safe from a loss of power.
/// If a server has `min-replicas-to-write N`, each write also waits until N replicas have it, and
/// is an error if they do not in time.
///
/// Sentinels and clusters may replace a server with any of its replicas. **There the store is
/// durable only if N is at least 1, and at least the number of replicas that are connected to the
/// server.** While one replica of two is away, one connected replica passes for all of them. So set
/// N to the number of all replicas.
///
/// Otherwise the store is [`Volatile`](Durability::Volatile), also if the configuration cannot be
/// read. The log says what was found, and warns with what to change. If a later connection finds less than the store was opened
/// with, it is refused. So a replica that may take over needs the same settings. Raise N before you
/// add a replica.
///
/// `maxmemory-policy` must be `noeviction`, or the store is not opened. If memory is full, consumes
/// are an error ([`StoreErrorKind::Full`](crate::replay::StoreErrorKind::Full)), and releases are
/// still carried out. `maxmemory` is the limit of the store. A payment takes 210 to 300 bytes, less if many
/// come together.
///
/// # When a server forgets
///
/// A replica that takes the place of a server may lack its last writes. The store detects that:
/// each change has a number and a random mark, and each call sends the newest ones that this
/// process was answered. If the server does not have them, the store logs an error. It marks itself
/// on its servers, on each as soon as that takes writes. From then on every call of every process
/// is [`StoreErrorKind::Corrupt`](crate::replay::StoreErrorKind::Corrupt). A server that comes back
/// empty has the same effect. When a process connects to a restarted server or to another one, it
/// checks all that it was answered, and repeats what was not answered. To continue, choose another
/// `name` and start the processes again. What was sold for counted access before is then refused,
/// spent or not.
///
/// What is not detected:
///
/// - Changes that only another process was answered, until that process connects. Until then a lost
///   use may be granted again. So let each process call `Paywall::ready` every few seconds.
/// - A loss while no process runs. Also a loss in a part of the store that got many later changes
///   before that process asks again: 65,536 for the payments of one server, and 64 for each of the
///   1,024 parts of everything else. `appendfsync always` rules out a loss at a restart. A
///   `min-replicas-to-write` that is the number of all replicas rules it out when one takes over.
/// - **Never put back an older copy of the data.** Choose another `name` instead.
///
/// # When a server is out of reach
///
/// Each call ends within the time limit ([`RedisOptions::time_limit`]), also if the server hangs.
/// To open the store or to scan records takes several calls. The store connects again on demand, at
/// most every 2 seconds while that fails. In between each call is
/// [`StoreErrorKind::Refused`](crate::replay::StoreErrorKind::Refused) at once. Releases are kept,
/// and carried out when the server is back. While 32,768 of them wait, no use is taken: each
/// consume is refused.
///
/// # How it works
///
/// A payment is always in the same bucket. The keys of a bucket have one hash tag, so they are in one
/// slot of a cluster. A store that is made on a cluster spreads payments over 1,024 buckets. A store
/// that is made on one server has all payments in one. One script takes uses, in one round trip. It
/// gets the time from this process. Uses of a bucket that come while a script is under way go
/// together: the next script takes up to 128. Other calls go together too, in one transaction (in a
/// cluster: one write to each server). So a server that syncs before it answers does so once for
/// many callers. A payment may be kept up to 256 seconds longer than it must be. While a slot of a
/// cluster is moved to another server, calls for its payments may be refused.
///
/// The client is the crate `redis`, which is widely used and well maintained. It also talks to
/// Valkey, and its TLS is rustls. One connection carries the calls of many callers, so no pool is
/// needed. It was tested with Redis 7.0 of Debian 12, which has no Valkey. The same tests run with
/// Valkey if it is installed. The store has four connections to a server. (`fred` and `rustis` have
/// more of their own: pools and reconnects, which would hide from the store which server answered.)
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_x402::replay::RedisStore;
///
/// let store = RedisStore::connect("redis://127.0.0.1:6379?name=weather").await?;
/// # Ok(())
/// # }
/// ```
pub struct RedisStore {
    together: Arc<Together>,
    tasks: Tasks,
    id: StoreId,
    created_at: Timestamp,
    durability: Durability,
}

impl RedisStore {
    /// Connects to the servers that a URL names, and opens the store there or makes it. The
    /// connections and the task for releases live on the runtime that this is called on. It must
    /// run as long as the store is used: without it every call is an error. Other runtimes may call
    /// the store too.
    ///
    /// # Errors
    ///
    /// - [`StoreErrorKind::Setup`](crate::replay::StoreErrorKind::Setup) if the URL is wrong, or if
    ///   a server is too old, or may evict keys.
    /// - [`StoreErrorKind::Corrupt`](crate::replay::StoreErrorKind::Corrupt) if the servers have
    ///   forgotten a part of the store.
    /// - Another kind if a server cannot be reached, or accepts no writes. Its text names the host and
    ///   the port.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, RedisOptions::new()).await
    }

    /// Connects as [`connect`](Self::connect) does, with options.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: RedisOptions) -> Result<Self, StoreError> {
        let servers = Arc::new(Servers::new(RedisUrl::parse(url)?, &options));
        let durability = match servers.promises().await? {
            None => Durability::Durable,
            Some(fix) => {
                trace::warn(format_args!(
                    "{NAME} is not durable, so it may forget which payments are spent, and mainnet is refused: {fix}"
                ));
                Durability::Volatile
            }
        };
        let (id, created_at, layout) = opening::open(&servers, &*options.clock).await?;
        let engine = Arc::new(Engine::new(servers, *id.as_bytes(), layout, options.clock));
        let together = Arc::new(Together::new(engine));
        let tasks = Tasks::start(together.clone());
        Ok(Self {
            together,
            tasks,
            id,
            created_at,
            durability,
        })
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.together.engine
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("id", &self.id)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl ReplayStore for RedisStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move {
            if self.tasks.are_too_many() {
                return Err(refused(
                    "too many releases wait to be carried out: the server is too slow, or out of reach",
                ));
            }
            let (key, deadline) = (request.key(), self.engine().servers.deadline());
            let late = || refused("an earlier use of this payment is still being ended");
            timeout_at(deadline, self.tasks.done_for(&key))
                .await
                .map_err(|_| late())?;
            self.together.take(deadline, &request).await
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.tasks.ask(End {
            key,
            use_id,
            release: Some(why),
        });
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine().probe())
    }

    /// Ends at once if the store's runtime has ended.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.tasks.done())
    }

    fn serving(&self) -> Option<&dyn Serving> {
        Some(self)
    }
}

impl Serving for RedisStore {
    fn served(&self, key: ConsumptionKey, use_id: UseId) {
        self.tasks.ask(End {
            key,
            use_id,
            release: None,
        });
    }
}
