//! What clients of a paywall get while its PostgreSQL server fails.

use tower_x402::replay::PostgresStore;

use crate::{failures::small_disk, server::Server, site::Site};

/// Opens a store with the time limit that it has by default.
async fn open(server: &Server) -> PostgresStore {
    PostgresStore::connect(&server.url("s")).await.unwrap()
}

#[tokio::test]
async fn a_server_that_is_down_is_503_in_time_and_service_returns() {
    let Some(server) = Server::start() else {
        return;
    };
    let site = Site::new(open(&server).await);
    let (first, second) = (site.buy().await, site.buy().await);
    site.serves_once(&first).await;
    server.kill();
    site.is_unavailable(&second).await;
    server.resume();
    site.serves_once(&second).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_503_in_time_and_service_returns() {
    let Some(server) = Server::start() else {
        return;
    };
    let site = Site::new(open(&server).await);
    let (first, second) = (site.buy().await, site.buy().await);
    site.serves_once(&first).await;
    server.signal("STOP");
    site.is_unavailable(&second).await;
    server.signal("CONT");
    site.serves_once(&second).await;
}

#[tokio::test]
async fn a_server_that_is_full_is_503_in_time_and_service_returns() {
    let Some(server) = Server::start() else {
        return;
    };
    let Some(small) = small_disk(&server) else {
        return;
    };
    let site = Site::new(open(&server).await);
    let paid = site.buy().await;
    server.sql(&format!("CREATE TABLESPACE small LOCATION '{small}'"));
    server.sql("ALTER TABLE s.entries SET TABLESPACE small");
    server.fill(&small);
    site.is_unavailable(&paid).await;
    server.make_room(&small);
    site.serves_once(&paid).await;
}

/// The server comes back as a standby, as after a failover that was not meant.
#[tokio::test]
async fn a_primary_that_was_demoted_is_503_in_time_and_service_returns() {
    let Some(server) = Server::start() else {
        return;
    };
    let site = Site::new(open(&server).await);
    let (first, second) = (site.buy().await, site.buy().await);
    site.serves_once(&first).await;
    server.kill();
    server.demote();
    server.resume();
    site.is_unavailable(&second).await;
    server.promote();
    site.serves_once(&second).await;
    let third = site.buy().await;
    site.serves_once(&third).await;
}
