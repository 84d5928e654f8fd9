//! A cluster of three servers.

use std::time::Duration;

use tower_x402::replay::{
    Consumption, Durability, RedisOptions, RedisStore, ReplayStore as _, StoreErrorKind,
    conformance::{self, Setup},
};

use crate::{
    GRANTED, consume, key, patient,
    server::{Server, programs},
    suites::Opener,
};

/// Three servers that share the slots, and know each other.
struct Cluster(Vec<Server>);

impl Cluster {
    fn start(program: &str) -> Self {
        let settings = [
            "--cluster-enabled",
            "yes",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ];
        let servers: Vec<_> = (0..3).map(|_| Server::start(program, &settings)).collect();
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
            while !knows(server.ask(&["CLUSTER", "INFO"])) {}
        }
        cluster
    }

    /// Gives each server a replica, which must acknowledge each write.
    fn add_replicas(&mut self, program: &str) {
        for number in 0..3 {
            let replica = Server::start(program, &["--cluster-enabled", "yes"]);
            let (server, port) = (&self.0[number], replica.port.to_string());
            server.ask(&["CLUSTER", "MEET", "127.0.0.1", &port]);
            let id = server.ask(&["CLUSTER", "MYID"]);
            while replica.ask(&["CLUSTER", "REPLICATE", &id]) != "OK" {}
            while server.ask(&["WAIT", "1", "1000"]) != "1" {}
            server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
            self.0.push(replica);
        }
    }

    fn url(&self, name: impl std::fmt::Display) -> String {
        format!("redis+cluster://127.0.0.1:{}?name={name}", self.0[0].port)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_keeps_the_contract_and_records() {
    for program in programs() {
        let (mut cluster, opener) = (Cluster::start(program), Opener::default());
        cluster.add_replicas(program);
        let open = async |setup: Setup| opener.open(&cluster.url(setup.name), setup).await;
        conformance::two_handles(open).await;
        conformance::replay_store(open).await;
        conformance::records(open, true).await;
        opener.all_are(Durability::Durable);
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
            if got.is_err() {
                panic!(
                    "{number} {got:?} {} {}",
                    from.ask(&["CLUSTER", "NODES"]),
                    to.ask(&["CLUSTER", "NODES"])
                );
            }
            assert_eq!(got.unwrap(), answer);
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
        let options = RedisOptions::new().time_limit(Duration::from_secs(30));
        let store = RedisStore::connect_with(&cluster.url("shop"), options)
            .await
            .unwrap();
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
            while consume(&store, key(number)).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    }
}
