use std::{fmt, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    connections::{Connections, Statement},
    consumes::Consumes,
    ends::Ends,
    error::{NAME, refused, setup, unavailable},
    open::open,
    options::PostgresOptions,
    statements::Statements,
    url::Database,
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

/// A store in a PostgreSQL database (version 15 or later), which many processes share. Both a
/// [`ReplayStore`] and a [`Records`](crate::replay::Records).
///
/// # The URL
///
/// `postgres://user:password@host:port/database?field=value`, with the fields of `libpq` that
/// [tokio-postgres](https://docs.rs/tokio-postgres) knows, and these:
///
/// | field | meaning |
/// |---|---|
/// | `password_file` | a file with the password, instead of a password in the URL; if every user of the machine may read it, the log warns |
/// | `password_env` | the environment variable with the password, instead of a password in the URL |
/// | `ca_file` | a file with the certificates (PEM) to trust, instead of the well-known authorities |
/// | `connections` | how many connections this process may open; by default 8 |
/// | `schema` | the schema of the store; by default `tower_x402` |
///
/// TLS is required to any host but this machine, unless the URL says `sslmode=disable`. To this
/// machine it is used if the URL says `sslmode=require`. Other values are `prefer`, which is the
/// default. The server's certificate and name are
/// always checked. If the URL names several hosts (`host1:5432,host2:5432`), the store uses the one
/// that accepts writes. No error and no log line contains the password.
///
/// # What is in the database
///
/// [`connect`](Self::connect) makes one schema, with one table and the functions that the store
/// calls, if they are not there. Any number of processes may do that at once. The role needs the
/// right to create a schema, or must own one of that name. It remembers each use for ten minutes,
/// and the last five of a payment as long as the payment. Each call is one statement without a
/// name, and nothing depends on the session. So it also works behind PgBouncer in transaction mode.
/// While all connections are busy, requests gather, and the next free connection takes up to 32 of
/// them in one statement and one commit. So few connections suffice.
///
/// Rows expire by the clock of the application, and not by the clock of the server. Every 64th use
/// removes up to 256 expired rows, and more if there are more. A store that nobody uses removes
/// none. The store has no limit but the disk of the server: on a full disk a call returns
/// [`StoreErrorKind::Full`](crate::replay::StoreErrorKind::Full).
///
/// # Durability
///
/// The store is [`Durability::Durable`] if the server says, when it is connected, that `fsync` is
/// on, that `synchronous_commit` is not off for this role and database, and that the table is
/// logged. Otherwise it is [`Durability::Volatile`], a warning says what to change, and a paywall for
/// mainnet cannot be built with it. If `synchronous_commit` is turned off later, each statement turns it on for itself. If
/// `fsync` is turned off later, every call fails.
///
/// With `synchronous_commit` off, the last writes may also be lost when one process of the server
/// crashes. The server recovers then without a new start, so the store does not notice.
///
/// # When the server fails
///
/// Every call ends within its time limit, by default 5 s. A scan of records asks for 128 at a time,
/// each within that limit. If nothing was sent, or if the server answered with an error, nothing was taken:
/// [`StoreErrorKind::Refused`](crate::replay::StoreErrorKind::Refused). That is so while the server
/// is down, full of connections, or read-only, such as a demoted primary. If the connection is lost
/// while a use is taken, the statement is repeated on another one, which takes nothing more. If
/// that fails too, or if there is no answer in time, the outcome is unknown:
/// [`StoreErrorKind::Unavailable`](crate::replay::StoreErrorKind::Unavailable). While connecting
/// fails, one caller at a time tries again, after 0.1 s at first and after 5 s at most. The others
/// are refused at once. Service returns without a restart. Releases wait in memory until they can
/// be written, and are lost if the process ends first: then the uses stay taken. While 16,384 of
/// them wait, no use is taken.
///
/// # When the server comes back without something
///
/// A promoted replica may lack the last writes of the primary. So may a server that was restored
/// from a backup. Each process remembers the latest write that each of its connections was told of.
/// Before it uses a server that was started anew, or another server, it checks that these are
/// there. It does so with its next call. Each statement names the server that it is for, so this
/// also holds behind PgBouncer.
///
/// If a remembered write is missing, every call returns
/// [`StoreErrorKind::Corrupt`](crate::replay::StoreErrorKind::Corrupt), in all processes, until
/// they connect again, and the log says why. The store then has a new [`StoreId`] and a new
/// [`created_at`](ReplayStore::created_at). So what was sold for counted access before is refused
/// from then on, spent or not.
///
/// Until a process checks, another one may grant again what was lost. So let each process call
/// `Paywall::ready` every few seconds. Such a grant does not hide the loss. Each write has a random
/// mark, which the check compares. If the payment was used again since, the check looks for the use
/// that was lost.
///
/// A lost write is not noticed in these cases:
///
/// - **All processes that were told of it ended before they checked**, for example together with
///   the primary.
/// - A process checks more than ten minutes after its write, and others have used the payment
///   since. By then the store may have forgotten the use. The same holds if the clock of another
///   process is ahead.
/// - Others have written the same record five times since.
/// - The payment or record has expired, and was removed.
///
/// To rule that out, let each commit wait for a replica: set `synchronous_standby_names`, leave
/// `synchronous_commit` at `on`, and promote only a replica that is named there. Never put back an
/// older copy of the database while no process runs: drop the schema instead, so that the store is
/// a new one.
///
/// # The client crate
///
/// It is `tokio-postgres`, because it sends a statement without a name in one round trip. Others
/// prepare first (`sqlx`), or are built on it (`diesel-async`). TLS is `tokio-postgres-rustls`. The
/// pools for it (`deadpool-postgres`, `bb8-postgres`) forget a connection once it is lost, but the
/// check above needs what each connection was told last.
///
/// ```no_run
/// use tower_x402::replay::PostgresStore;
///
/// # async fn example() -> Result<(), tower_x402::replay::StoreError> {
/// let url = "postgres://shop@db.example/shop?password_file=/run/secrets/database";
/// let store = PostgresStore::connect(url).await?;
/// # Ok(())
/// # }
/// ```
pub struct PostgresStore {
    connections: Arc<Connections>,
    consumes: Arc<Consumes>,
    ends: Arc<Ends>,
    created_at: Timestamp,
    runtime: Handle,
    thread: Option<JoinHandle<()>>,
}

impl PostgresStore {
    /// Connects to the store that a URL names, and makes it if it is not there. Starts a thread for
    /// its connections. Dropping the store waits for the thread, which first writes the releases
    /// that wait. It gives up after 5 s.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Setup`](crate::replay::StoreErrorKind::Setup) if the URL is not valid, or
    /// names a file or variable that cannot be read, or if the server is older than version 15.
    /// [`StoreErrorKind::Unavailable`](crate::replay::StoreErrorKind::Unavailable) if the database
    /// cannot be reached, read or written.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, PostgresOptions::new()).await
    }

    /// Connects as [`connect`](Self::connect) does, with options.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let database = Database::parse(url).map_err(setup)?;
        let statements = Statements::new(&database.schema);
        let PostgresOptions { time_limit, clock } = options;
        // A moment that is further away may be more than an `Instant` can hold.
        let time_limit = time_limit.min(LONGEST);
        let (runtime, start, thread) = start_thread()?;
        let opening = runtime.spawn(async move {
            let deadline = Instant::now() + time_limit;
            let mut opened = open(&database, &statements, clock.now(), deadline).await?;
            let fix = opened.fix.take();
            let connections = Connections::new(database, statements, clock, time_limit, &opened);
            Ok((connections, opened.created_at, fix))
        });
        let (connections, created_at, fix) = opening.await.map_err(|_| gone())??;
        if let Some(fix) = fix {
            trace::warn(format_args!(
                "{NAME} is not durable, so it may forget which payments are spent, and mainnet is refused: {fix}"
            ));
        }
        let (connections, ends) = (Arc::new(connections), Arc::<Ends>::default());
        let _ = start.send((connections.clone(), ends.clone()));
        Ok(Self {
            connections,
            consumes: Arc::default(),
            ends,
            created_at,
            runtime,
            thread: Some(thread),
        })
    }

    /// Runs something on the store's own thread. It goes on there if the caller leaves.
    pub(super) async fn on_thread<T, F>(
        &self,
        act: impl FnOnce(Arc<Connections>) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let acting = self.runtime.spawn(act(self.connections.clone()));
        acting.await.map_err(|_| gone())?
    }
}

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a thread needs to carry out ends of uses.
type Start = oneshot::Sender<(Arc<Connections>, Arc<Ends>)>;

/// Starts the thread on which the connections live. It ends if `Start` is dropped, and otherwise
/// once the store is closed.
fn start_thread() -> Result<(Handle, Start, JoinHandle<()>), StoreError> {
    let cannot = |error: std::io::Error| unavailable(format!("no thread can be started: {error}"));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot)?;
    let handle = runtime.handle().clone();
    let (start, started) = oneshot::channel::<(Arc<Connections>, Arc<Ends>)>();
    let thread = std::thread::Builder::new()
        .name("x402-postgres".into())
        .spawn(move || {
            runtime.block_on(async {
                if let Ok((connections, ends)) = started.await {
                    ends.carry_out(connections).await;
                }
            });
            // A name that is being looked up would be waited for.
            runtime.shutdown_background();
        })
        .map_err(cannot)?;
    Ok((handle, start, thread))
}

fn gone() -> StoreError {
    unavailable("its thread has ended")
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.ends.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("id", &self.connections.id)
            .finish_non_exhaustive()
    }
}

impl ReplayStore for PostgresStore {
    fn id(&self) -> StoreId {
        self.connections.id
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        Box::pin(async move {
            if self.ends.are_too_many() {
                return Err(refused("too many releases wait to be written"));
            }
            self.ends.note_consume();
            let (ends, consumes) = (self.ends.clone(), self.consumes.clone());
            self.on_thread(|connections| async move {
                let deadline = connections.deadline();
                let key = request.key();
                timeout_at(deadline, ends.of_payment_are_done(&key))
                    .await
                    .map_err(|_| refused("a release of this payment cannot be written"))?;
                consumes.consume(connections, request, deadline).await
            })
            .await
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.ends.push(End {
            key,
            use_id,
            release: Some(why),
        });
    }

    fn durability(&self) -> Durability {
        if self.connections.is_durable {
            Durability::Durable
        } else {
            Durability::Volatile
        }
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.on_thread(|connections| async move { connections.ready().await }))
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.ends.are_done())
    }

    fn serving(&self) -> Option<&dyn Serving> {
        Some(self)
    }
}

impl Serving for PostgresStore {
    fn served(&self, key: ConsumptionKey, use_id: UseId) {
        self.ends.push(End {
            key,
            use_id,
            release: None,
        });
    }
}

impl Connections {
    async fn ready(&self) -> Result<(), StoreError> {
        self.run(
            self.deadline(),
            Statement {
                text: &self.statements.ready,
                parameters: &[],
                is_idempotent: true,
                writes: &[],
            },
        )
        .await
        .map(drop)
    }
}
