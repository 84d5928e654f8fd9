//! What clients of a paywall get while its Redis server fails.

use tower_x402::replay::RedisStore;

use crate::{
    patience::{answered, until},
    server::{DURABLE, Server, programs},
    site::Site,
};

/// Opens a store with the time limits that it has by default.
async fn open(server: &Server) -> RedisStore {
    // A busy machine may need longer than the limit.
    let open = async || RedisStore::connect(&server.url("shop")).await.ok();
    answered("the store is opened", open).await
}

#[tokio::test]
async fn a_server_that_is_down_is_503_in_time_and_service_returns() {
    for program in programs() {
        let mut server = Server::start(program, &DURABLE);
        let site = Site::new(open(&server).await);
        let (first, second) = (site.buy().await, site.buy().await);
        site.serves_once(&first).await;
        server.kill();
        site.is_unavailable(&second).await;
        server.start_again();
        site.serves_once(&second).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_503_in_time_and_service_returns() {
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        let site = Site::new(open(&server).await);
        let paid = site.buy().await;
        server.signal("STOP");
        site.is_unavailable(&paid).await;
        server.signal("CONT");
        site.serves_once(&paid).await;
    }
}

#[tokio::test]
async fn a_server_that_is_full_is_503_in_time_and_service_returns() {
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        let site = Site::new(open(&server).await);
        let paid = site.buy().await;
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        site.is_unavailable(&paid).await;
        server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        site.serves_once(&paid).await;
    }
}

/// Another server is the primary now, and this one follows it.
#[tokio::test]
async fn a_primary_that_was_demoted_is_503_in_time_and_service_returns() {
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        let of = format!("127.0.0.1 {}", server.port);
        let other = Server::start(program, &["--replicaof", &of]);
        let site = Site::new(open(&server).await);
        let (first, second) = (site.buy().await, site.buy().await);
        site.serves_once(&first).await;
        until("the replica has all", || {
            server.ask(&["WAIT", "1", "1000"]) == "1"
        });
        other.ask(&["REPLICAOF", "NO", "ONE"]);
        server.ask(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]);
        site.is_unavailable(&second).await;
        until("it is a replica", || {
            server.ask(&["INFO"]).contains("master_link_status:up")
        });
        server.ask(&["REPLICAOF", "NO", "ONE"]);
        site.serves_once(&second).await;
        let third = site.buy().await;
        site.serves_once(&third).await;
    }
}
