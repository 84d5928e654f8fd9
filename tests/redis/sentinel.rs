//! A server whose place a replica takes, as a Sentinel decides.

use tower_x402::replay::{
    Consumption, Durability, ReplayStore as _, StoreErrorKind,
    conformance::{self, Setup},
};

use crate::{
    GRANTED, consume, is_forgotten, key,
    patience::{answered, until},
    patient,
    server::{DURABLE, Server, programs},
    suites::Opener,
};

/// A server, its replica, and a Sentinel that watches them.
struct Watched {
    primary: Server,
    replica: Server,
    sentinel: Server,
}

impl Watched {
    fn start(program: &str, settings: &[&str]) -> Self {
        let primary = Server::start(program, settings);
        let of = format!("127.0.0.1 {}", primary.port);
        let replica = Server::start(program, &[settings, &["--replicaof", &of]].concat());
        until("the replica is there", || {
            primary.ask(&["WAIT", "1", "1000"]) == "1"
        });
        let sentinel = Server::sentinel(program, &primary);
        let port = replica.port.to_string();
        let replicas = ["SENTINEL", "REPLICAS", "main"];
        until("the Sentinel knows the replica", || {
            sentinel.ask(&replicas).contains(&port)
        });
        Self {
            primary,
            replica,
            sentinel,
        }
    }

    fn url(&self, name: &str) -> String {
        let port = self.sentinel.port;
        format!("redis+sentinel://127.0.0.1:{port}/main?name={name}")
    }
}

#[tokio::test]
async fn the_store_follows_a_sentinel_to_the_replica_that_took_over() {
    for program in programs() {
        let watched = Watched::start(program, &[]);
        let store = patient(&watched.url("shop")).await;
        let Watched {
            mut primary,
            replica,
            sentinel: _sentinel,
        } = watched;
        assert_eq!(store.durability(), Durability::Volatile);
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        assert_eq!(primary.ask(&["WAIT", "1", "0"]), "1");
        primary.kill();
        let ask = async || match consume(&store, key(1)).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => panic!("{error}"),
            answer => answer.ok(),
        };
        let answer = answered("the replica takes over", ask).await;
        assert_eq!(answer, Consumption::Spent);
        assert_eq!(consume(&store, key(2)).await.unwrap(), GRANTED);
        assert_eq!(replica.ask(&["ROLE"]).lines().next(), Some("master"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replica_that_acknowledged_everything_takes_over_and_grants_nothing_twice() {
    for program in programs() {
        let opener = Opener::default();
        let mut watched = Watched::start(program, &["--min-replicas-to-write", "1"]);
        let url = watched.url("");
        conformance::interrupted(
            async |setup: Setup| opener.open(&format!("{url}{}", setup.name), setup).await,
            async || {
                watched.primary.kill();
                let (name, new) = ("main", watched.replica.port.to_string());
                let address = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name];
                let is_known = || watched.sentinel.ask(&address).lines().nth(1) == Some(&new);
                let ask = async || is_known().then_some(());
                answered("the replica takes over", ask).await;
                // A busy server must not pass for one that is down: the other has nothing yet.
                let patient = ["SENTINEL", "SET", name, "down-after-milliseconds", "60000"];
                assert_eq!(watched.sentinel.ask(&patient), "OK");
                // It comes back as a replica, which the new primary needs.
                watched.primary.follow(&watched.replica);
                watched.primary.start_again();
            },
        )
        .await;
    }
}

/// The Sentinel may promote the other one.
#[tokio::test]
async fn one_of_two_replicas_is_not_enough_to_be_durable() {
    for program in programs() {
        let one = ["--min-replicas-to-write", "1"];
        let watched = Watched::start(program, &[&DURABLE[..], &one].concat());
        let (primary, url) = (&watched.primary, watched.url("shop"));
        let store = patient(&url).await;
        assert_eq!(store.durability(), Durability::Durable);
        let of = format!("127.0.0.1 {}", primary.port);
        let _second = Server::start(program, &["--replicaof", &of]);
        until("there are two replicas", || {
            primary.ask(&["WAIT", "2", "1000"]) == "2"
        });
        assert_eq!(patient(&url).await.durability(), Durability::Volatile);
        primary.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        let ask = async || consume(&store, key(1)).await.err();
        let error = answered("the connection is closed", async || {
            let error = ask().await?.to_string();
            error.contains("promises less").then_some(error)
        });
        assert!(error.await.contains("replicas 2"));
        primary.ask(&["CONFIG", "SET", "min-replicas-to-write", "2"]);
        assert_eq!(patient(&url).await.durability(), Durability::Durable);
        let ask = async || consume(&store, key(1)).await.ok();
        assert_eq!(answered("the store answers", ask).await, GRANTED);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lacks_writes_and_takes_over_is_recognised() {
    for program in programs() {
        let mut watched = Watched::start(program, &[]);
        let store = patient(&watched.url("shop")).await;
        watched.replica.signal("STOP");
        watched.primary.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        watched.primary.kill();
        watched.replica.signal("CONT");
        is_forgotten(&store, key(1)).await;
    }
}
