//! A server whose place a replica takes, as a Sentinel decides.

use tower_x402::replay::{Consumption, Durability, ReplayStore as _, StoreErrorKind};

use crate::{
    GRANTED, consume, key, patient,
    server::{Server, programs},
};

#[tokio::test]
async fn the_store_follows_a_sentinel_to_the_replica_that_took_over() {
    for program in programs() {
        let mut primary = Server::start(program, &[]);
        let of = format!("127.0.0.1 {}", primary.port);
        let replica = Server::start(program, &["--replicaof", &of]);
        while primary.ask(&["WAIT", "1", "1000"]) != "1" {}
        let sentinel = Server::sentinel(program, &primary);
        while !sentinel
            .ask(&["SENTINEL", "REPLICAS", "main"])
            .contains(&replica.port.to_string())
        {}
        let url = format!(
            "redis+sentinel://127.0.0.1:{}/main?name=shop",
            sentinel.port
        );
        let store = patient(&url).await;
        assert_eq!(store.durability(), Durability::Volatile);
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        assert_eq!(primary.ask(&["WAIT", "1", "0"]), "1");
        primary.kill();
        let answer = loop {
            match consume(&store, key(1)).await {
                Ok(answer) => break answer,
                Err(error) => {
                    assert_ne!(error.kind(), StoreErrorKind::Corrupt, "{error}");
                    tokio::task::yield_now().await;
                }
            }
        };
        assert_eq!(answer, Consumption::Spent);
        assert_eq!(consume(&store, key(2)).await.unwrap(), GRANTED);
        assert_eq!(replica.ask(&["ROLE"]).lines().next(), Some("master"));
    }
}
