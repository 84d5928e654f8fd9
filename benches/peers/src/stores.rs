//! Compares durable consumption by 64 callers on a server with the raw rate of that server, in the
//! same run, through the same client crate.
//!
//! - Redis: the reference sends one `SET` for each consume, over as many connections as the store
//!   has. Each connection carries the calls of many callers at once. Both wait for the fsync
//!   (`appendfsync always`). A second reference sends a script that does nothing but that `SET`.
//! - PostgreSQL: the reference sends one prepared `INSERT` for each consume, in a transaction of its
//!   own, over as many connections as the store opens at most. Both wait for the fsync. That is the
//!   fair number, because the connections of a server are few, and all instances share them. A second
//!   reference, which is only shown, has a connection for each caller.
//!
//! The servers are those of the tests, started here on ports and in folders of their own.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use redis::{Script, aio::MultiplexedConnection};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};
use tower_x402::{
    Network, PaymentHash,
    clock::{Clock as _, SystemClock},
    replay::{
        Consumption, ConsumptionKey, PostgresStore, RedisStore, ReplayStore, UseId, UseLimits,
        UseRequest,
    },
};

use crate::{
    durable::{CALLERS, CALLS, by_callers},
    measure::{beside, rates},
    postgres_server,
    redis_server::{self, DURABLE},
    report::Row,
};

const ROUNDS: usize = 41;
/// As many as `RedisStore` has to a server.
const REDIS_CONNECTIONS: usize = 4;
/// As many as `PostgresStore` opens at most.
const POSTGRES_CONNECTIONS: usize = 8;

pub fn rows(runtime: &Runtime) -> Vec<Row> {
    redis(runtime)
        .into_iter()
        .chain(postgres(runtime))
        .collect()
}

fn redis(runtime: &Runtime) -> Vec<Row> {
    let Some(program) = redis_server::programs().first().copied() else {
        return Vec::new();
    };
    let server = redis_server::Server::start(program, &DURABLE);
    let url = server.url("bench");
    let store = runtime.block_on(RedisStore::connect(&url));
    let store: Arc<dyn ReplayStore> = Arc::new(store.expect("a store"));
    let raw = Arc::new(runtime.block_on(RawRedis::connect(&url)));
    let rounds = rates(ROUNDS, CALLERS * CALLS, |who| {
        runtime.block_on(async {
            match who {
                0 => by_callers(calls(), &store, consume).await,
                1 => by_callers(calls(), &raw, RawRedis::set).await,
                _ => by_callers(calls(), &raw, RawRedis::run).await,
            }
        })
    });
    vec![
        Row::rate(
            "Redis consume, 64 callers / SET, 4 connections",
            0.8,
            beside(&rounds, 1),
        ),
        Row::shown("the same / a script of one SET", beside(&rounds, 2)),
    ]
}

fn postgres(runtime: &Runtime) -> Vec<Row> {
    let Some(server) = postgres_server::Server::start() else {
        return Vec::new();
    };
    let url = server.url("bench");
    let store = runtime.block_on(PostgresStore::connect(&url));
    let store: Arc<dyn ReplayStore> = Arc::new(store.expect("a store"));
    server.sql("CREATE TABLE raw (key bytea PRIMARY KEY, expires_at bigint, use_id bytea)");
    let raw = |connections| Arc::new(runtime.block_on(RawPostgres::connect(&server, connections)));
    let (few, many) = (raw(POSTGRES_CONNECTIONS), raw(CALLERS));
    let rounds = rates(ROUNDS, CALLERS * CALLS, |who| {
        runtime.block_on(async {
            match who {
                0 => by_callers(calls(), &store, consume).await,
                1 => by_callers(calls(), &few, RawPostgres::insert).await,
                _ => by_callers(calls(), &many, RawPostgres::insert).await,
            }
        })
    });
    vec![
        Row::rate(
            "PostgreSQL consume, 64 callers / INSERT, 8 connections",
            0.8,
            beside(&rounds, 1),
        ),
        Row::shown("the same / INSERT, 64 connections", beside(&rounds, 2)),
    ]
}

/// What a caller sends.
struct Call {
    caller: usize,
    hash: [u8; 32],
    use_id: UseId,
}

/// Makes the calls of each caller.
fn calls() -> Vec<Vec<Call>> {
    let calls = |caller| {
        let one = move |_| {
            let (use_id, half) = (random(), random());
            let hash = [half.as_bytes().as_slice(), random().as_bytes()].concat();
            Call {
                caller,
                hash: hash.try_into().expect("32 bytes"),
                use_id,
            }
        };
        (0..CALLS).map(one).collect()
    };
    (0..CALLERS).map(calls).collect()
}

fn random() -> UseId {
    UseId::random().expect("randomness")
}

async fn consume(store: Arc<dyn ReplayStore>, call: Call) {
    let key = ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes(call.hash));
    let until = SystemClock::new()
        .now()
        .saturating_add(Duration::from_secs(86_400));
    let limits = UseLimits::new(NonZeroU32::MIN, 2);
    let answer = store
        .consume(UseRequest::new(key, call.use_id, limits, until))
        .await;
    assert_eq!(
        answer.expect("an answer"),
        Consumption::Granted { remaining: 0 }
    );
}

struct RawRedis {
    connections: Vec<MultiplexedConnection>,
    script: Script,
}

impl RawRedis {
    async fn connect(url: &str) -> Self {
        let address = url.split('?').next().expect("an address");
        let client = redis::Client::open(address).expect("a client");
        let mut connections = Vec::new();
        for _ in 0..REDIS_CONNECTIONS {
            let connection = client.get_multiplexed_async_connection().await;
            connections.push(connection.expect("a connection"));
        }
        let script = Script::new("return redis.call('SET', KEYS[1], ARGV[1])");
        Self {
            connections,
            script,
        }
    }

    fn connection(&self, call: &Call) -> MultiplexedConnection {
        self.connections[call.caller % REDIS_CONNECTIONS].clone()
    }

    async fn set(self: Arc<Self>, call: Call) {
        let mut set = redis::cmd("SET");
        set.arg(&call.hash).arg(call.use_id.as_bytes());
        let () = set
            .query_async(&mut self.connection(&call))
            .await
            .expect("an answer");
    }

    async fn run(self: Arc<Self>, call: Call) {
        let mut run = self.script.key(&call.hash[..]);
        let () = run
            .arg(call.use_id.as_bytes().as_slice())
            .invoke_async(&mut self.connection(&call))
            .await
            .expect("an answer");
    }
}

struct RawPostgres(Vec<(Client, Statement)>);

impl RawPostgres {
    async fn connect(server: &postgres_server::Server, connections: usize) -> Self {
        let port = server.port;
        let url = format!("postgres://x402@127.0.0.1:{port}/postgres");
        let mut all = Vec::new();
        for _ in 0..connections {
            let (client, connection) = tokio_postgres::connect(&url, NoTls)
                .await
                .expect("a connection");
            tokio::spawn(connection);
            let insert = client.prepare("INSERT INTO raw VALUES ($1, $2, $3)").await;
            all.push((client, insert.expect("a statement")));
        }
        Self(all)
    }

    async fn insert(self: Arc<Self>, call: Call) {
        let (client, insert) = &self.0[call.caller % self.0.len()];
        let until = i64::try_from(SystemClock::new().now().as_unix_seconds()).expect("a moment");
        let (key, id) = (call.hash.as_slice(), call.use_id.as_bytes().as_slice());
        client
            .execute(insert, &[&key, &until, &id])
            .await
            .expect("an answer");
    }
}
