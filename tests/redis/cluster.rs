//! A cluster of three servers.

use tower_x402::replay::{
    Consumption, Durability, RedisStore, ReplayStore as _, StoreErrorKind,
    conformance::{self, Setup},
};

use crate::{
    GRANTED, child, consume, is_forgotten, key,
    patience::{answered, until},
    patient,
    server::{Server, programs},
    suites::{Opener, is_other_process},
};

/// Three servers that share the slots, and know each other.
struct Cluster(Vec<Server>);

impl Cluster {
    fn start(program: &str) -> Self {
        let servers: Vec<_> = (0..3).map(|_| Server::start(program, &SETTINGS)).collect();
        for (server, slots) in
            servers
                .iter()
                .zip([["0", "5460"], ["5461", "10922"], ["10923", "16383"]])
        {
            assert_eq!(
                server.ask(&["CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1]]),
                "OK"
            );
        }
        for (number, server) in servers.iter().enumerate() {
            server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for server in &servers[1..] {
            server.ask(&["CLUSTER", "MEET", "127.0.0.1", &servers[0].port.to_string()]);
        }
        let cluster = Self(servers);
        for server in &cluster.0 {
            let knows = |info: String| {
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            until("the servers know each other", || {
                knows(server.ask(&["CLUSTER", "INFO"]))
            });
        }
        cluster
    }

    /// Gives each server a replica, which must acknowledge each write.
    fn add_replicas(&mut self, program: &str) {
        for number in 0..3 {
            // It may become a primary, and must promise as much.
            let must_acknowledge = ["--min-replicas-to-write", "1"];
            let replica = Server::start(program, &[&SETTINGS[..], &must_acknowledge].concat());
            let (server, port) = (&self.0[number], replica.port.to_string());
            server.ask(&["CLUSTER", "MEET", "127.0.0.1", &port]);
            let id = server.ask(&["CLUSTER", "MYID"]);
            until("the replica knows its primary", || {
                replica.ask(&["CLUSTER", "REPLICATE", &id]) == "OK"
            });
            until("the replica is there", || {
                server.ask(&["WAIT", "1", "1000"]) == "1"
            });
            server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
            self.0.push(replica);
        }
    }

    /// Lets a replica take over after a second.
    fn fail_over_soon(&self) {
        for server in &self.0 {
            server.ask(&["CONFIG", "SET", "cluster-node-timeout", "1000"]);
        }
    }

    fn url(&self, name: impl std::fmt::Display) -> String {
        format!("redis+cluster://127.0.0.1:{}?name={name}", self.0[0].port)
    }
}

/// Takes uses of payments until a server holds one of them, and returns its number.
async fn taken_at(store: &RedisStore, server: &Server) -> u64 {
    let mut number = 0;
    while server
        .ask(&["--scan", "--pattern", "{shop/*}:p"])
        .is_empty()
    {
        number += 1;
        assert!(number < 1_000, "the payments are spread");
        assert_eq!(consume(store, key(number)).await.unwrap(), GRANTED);
    }
    number
}

const SETTINGS: [&str; 6] = [
    "--cluster-enabled",
    "yes",
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_keeps_the_contract_and_records() {
    for program in programs() {
        let (mut cluster, opener) = (Cluster::start(program), Opener::default());
        cluster.add_replicas(program);
        let open = async |setup: Setup| opener.open(&cluster.url(setup.name), setup).await;
        conformance::two_handles(open).await;
        conformance::replay_store(open).await;
        conformance::records(open, true).await;
        conformance::clocks_that_differ(open).await;
        opener.all_are(Durability::Durable);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_are_one_store_on_a_cluster() {
    let test = "cluster::many_processes_are_one_store_on_a_cluster";
    if is_other_process(test).await {
        return;
    }
    for program in programs() {
        let (cluster, opener) = (Cluster::start(program), Opener::default());
        let open = async |setup: Setup| opener.open(&cluster.url(setup.name), setup).await;
        let others = (0..3).map(|_| child::command(test, cluster.url(""), &[]));
        conformance::many_processes(open, others).await;
        conformance::two_processes(open, child::command(test, cluster.url(""), &[])).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replica_of_a_cluster_takes_over_and_grants_nothing_twice() {
    for program in programs() {
        let (mut cluster, opener) = (Cluster::start(program), Opener::default());
        cluster.add_replicas(program);
        cluster.fail_over_soon();
        let base = cluster.url("");
        conformance::interrupted(
            async |setup: Setup| opener.open(&format!("{base}{}", setup.name), setup).await,
            async || {
                cluster.0[1].kill();
                let replica = &cluster.0[4];
                let is_primary = || replica.ask(&["ROLE"]).lines().next() == Some("master");
                let ask = async || is_primary().then_some(());
                answered("the replica takes over", ask).await;
                // It comes back as a replica, which the new primary needs.
                cluster.0[1].start_again();
            },
        )
        .await;
        opener.all_are(Durability::Durable);
    }
}

/// A replica of a cluster that had not got the last writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_of_a_cluster_that_lacks_writes_is_recognised() {
    for program in programs() {
        let mut cluster = Cluster::start(program);
        cluster.add_replicas(program);
        cluster.fail_over_soon();
        for server in &cluster.0 {
            server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        }
        let store = patient(&cluster.url("shop")).await;
        assert_eq!(store.durability(), Durability::Volatile);
        cluster.0[4].signal("STOP");
        cluster.0[1].ask(&["CLIENT", "KILL", "TYPE", "replica"]);
        let number = taken_at(&store, &cluster.0[1]).await;
        cluster.0[1].kill();
        cluster.0[4].signal("CONT");
        is_forgotten(&store, key(number)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_promises_less_than_the_store_is_not_used_when_it_takes_over() {
    for program in programs() {
        let mut cluster = Cluster::start(program);
        cluster.add_replicas(program);
        cluster.fail_over_soon();
        let store = patient(&cluster.url("shop")).await;
        assert_eq!(store.durability(), Durability::Durable);
        let number = taken_at(&store, &cluster.0[1]).await;
        cluster.0[4].ask(&["CONFIG", "SET", "appendfsync", "everysec"]);
        cluster.0[1].kill();
        let ask = async || {
            let error = consume(&store, key(number)).await.unwrap_err();
            let is_why = error.to_string().contains("promises less");
            is_why.then_some(error.kind())
        };
        let kind = answered("the replica is refused", ask).await;
        assert_eq!(kind, StoreErrorKind::Refused);
    }
}

/// Without replicas that acknowledge, the place of a server may be taken by one that knows less.
#[tokio::test]
async fn a_cluster_without_replicas_is_volatile() {
    for program in programs() {
        let cluster = Cluster::start(program);
        assert_eq!(
            patient(&cluster.url("shop")).await.durability(),
            Durability::Volatile
        );
    }
}

#[tokio::test]
async fn payments_are_found_again_after_their_slot_moved() {
    for program in programs() {
        let cluster = Cluster::start(program);
        let store = patient(&cluster.url("shop")).await;
        for number in 0..30 {
            assert_eq!(consume(&store, key(number)).await.unwrap(), GRANTED);
        }
        let [from, to, ..] = &cluster.0[..] else {
            panic!("three servers")
        };
        let ids = [from.ask(&["CLUSTER", "MYID"]), to.ask(&["CLUSTER", "MYID"])];
        let held = from.ask(&["--scan", "--pattern", "{shop/*}:p"]);
        for payments in held.lines() {
            let slot = from.ask(&["CLUSTER", "KEYSLOT", payments]);
            to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]);
            from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]);
            let keys = from.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]);
            for key in keys.lines() {
                assert_eq!(
                    from.ask(&[
                        "MIGRATE",
                        "127.0.0.1",
                        &to.port.to_string(),
                        key,
                        "0",
                        "5000"
                    ]),
                    "OK"
                );
            }
        }
        // The slots are being moved: their payments are refused, and are not taken twice.
        let mut refused = 0;
        for number in 0..30 {
            match consume(&store, key(number)).await {
                Ok(answer) => assert_eq!(answer, Consumption::Spent),
                Err(error) => {
                    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
                    refused += 1;
                }
            }
        }
        assert!((1..30).contains(&refused), "{refused} of 30");
        for payments in held.lines() {
            let slot = from.ask(&["CLUSTER", "KEYSLOT", payments]);
            for server in [to, from] {
                assert_eq!(
                    server.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]),
                    "OK"
                );
            }
        }
        for number in 0..60 {
            let answer = if number < 30 {
                Consumption::Spent
            } else {
                GRANTED
            };
            let got = consume(&store, key(number)).await;
            assert_eq!(got.unwrap(), answer, "{number}");
        }
        store.ready().await.unwrap();
    }
}

#[tokio::test]
async fn one_server_that_is_down_stops_its_payments_alone() {
    for program in programs() {
        let mut cluster = Cluster::start(program);
        for server in &cluster.0 {
            server.ask(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
        }
        let store = patient(&cluster.url("shop")).await;
        cluster.0[2].kill();
        let mut answers = Vec::new();
        for number in 0..30 {
            answers.push(consume(&store, key(number)).await.is_ok());
        }
        assert!(
            answers.contains(&true) && answers.contains(&false),
            "{answers:?}"
        );
        assert!(store.ready().await.is_err());
        cluster.0[2].start_again();
        for number in 100..110 {
            let ask = async || consume(&store, key(number)).await.ok().map(drop);
            answered("all servers are there again", ask).await;
        }
    }
}
