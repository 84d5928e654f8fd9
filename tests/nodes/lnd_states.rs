//! An LND that cannot be paid now: locked, starting, waiting for the chain, or without inbound
//! liquidity. It is started again by hand, while the server runs on.

use std::time::Duration;

use http::HeaderMap;
use tower_x402::lightning::{ConnectErrorKind, Receiver as _, connect};

use crate::{
    fake::{Fault, Server, lnd::FakeLnd},
    journal::Journal,
    lnd::{RECEIVES, node, url},
    selling::Shop,
};

const NOT_SYNCED: &str = "it is not synced to the chain yet: wait, and check its bitcoin node";

#[tokio::test]
async fn a_locked_or_starting_lnd_is_503_is_told_with_its_fix_and_needs_no_restart_of_the_server() {
    let (fake, server) = FakeLnd::start().await;
    let url = url(&server, &RECEIVES);
    let shop = Shop::open(connect(&url).await.unwrap().receiver().unwrap()).await;
    for (state, fix) in [
        ("LOCKED", "unlock it (lncli unlock"),
        ("NON_EXISTING", "create one (lncli create)"),
        ("UNLOCKED", "it is starting: try again in some seconds"),
        ("WAITING_TO_START", "it is waiting to start"),
    ] {
        fake.is_in(state);
        let error = connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Node, "{state}");
        assert!(error.to_string().contains(fix), "{state}: {error}");
        let reason = shop.paywall.ready().await.unwrap_err();
        assert!(!reason.is_node_ready() && reason.is_store_ready());
        assert!(reason.to_string().contains(fix), "{state}: {reason}");
        // It was reached.
        let said = format!("LND at {} cannot work now: ", server.address());
        assert!(reason.to_string().contains(&said), "{state}: {reason}");
        let journal = Journal::begin();
        shop.expect_closed(HeaderMap::new()).await;
        assert!(journal.lines().contains(fix), "{state}");

        fake.is_in("SERVER_ACTIVE");
        shop.paywall.ready().await.unwrap();
        for &dialect in &shop.dialects {
            shop.offer(dialect).await;
        }
        // What it just said is trusted for a second.
        drop(journal);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(2)).await;
        tokio::time::resume();
    }
}

/// Lets two seconds pass as soon as LND has got a request that it does not answer.
async fn patience_ends(server: &Server, requests: usize) {
    server.waiting(requests).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_lnd_that_waits_for_the_chain_and_so_answers_nothing_is_told_with_its_fix() {
    let (fake, server) = FakeLnd::start().await;
    let url = url(&server, &RECEIVES);
    let shop = Shop::open(connect(&url).await.unwrap().receiver().unwrap()).await;
    // As it was seen: lookups are answered, and calls that make an invoice are not.
    fake.is_in("RPC_ACTIVE");
    server.fault("/v1/invoices", Fault::Silent);
    let (error, ()) = tokio::join!(connect(&url), patience_ends(&server, 1));
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Node);
    assert!(error.to_string().contains(NOT_SYNCED), "{error}");
    let journal = Journal::begin();
    tokio::join!(
        shop.expect_closed(HeaderMap::new()),
        patience_ends(&server, 2)
    );
    assert!(journal.lines().contains(NOT_SYNCED), "{}", journal.lines());
    let reason = shop.paywall.ready().await.unwrap_err();
    assert!(reason.to_string().contains(NOT_SYNCED), "{reason}");

    fake.is_in("SERVER_ACTIVE");
    server.no_fault();
    shop.paywall.ready().await.unwrap();
    for &dialect in &shop.dialects {
        shop.offer(dialect).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_lnd_that_does_not_answer_a_probe_may_be_waiting_for_the_chain() {
    let (_fake, server, node) = node().await;
    for path in ["/v1/state", "/v1/getinfo"] {
        server.fault(path, Fault::Silent);
        let error = node.ready().await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("it may be waiting for the chain, so check its bitcoin node too"),
            "{path}: {error}"
        );
    }
}

#[tokio::test]
async fn a_slow_lnd_that_is_started_is_waited_for() {
    let (_fake, server, node) = node().await;
    let release = server.hold_next("/v1/invoices");
    let (made, ()) = tokio::join!(crate::asks(&node), async {
        patience_ends(&server, 1).await;
        release.send(()).unwrap();
    });
    made.unwrap();
    assert!(server.seen().contains(&"GET /v1/state".to_owned()));
}

#[tokio::test]
async fn an_lnd_that_lost_the_chain_is_not_ready_if_its_macaroon_may_ask() {
    let (fake, server, node) = node().await;
    node.ready().await.unwrap();
    fake.is_synced(false);
    let error = node.ready().await.unwrap_err();
    assert!(error.to_string().contains(NOT_SYNCED), "{error}");
    // An invoice macaroon may not ask for more than whether LND is started.
    let before = server.seen().len();
    let invoices = connect(&url(&server, &RECEIVES)).await.unwrap();
    invoices.receiver().unwrap().ready().await.unwrap();
    for call in &server.seen()[before..] {
        assert!(!call.contains("getinfo") && !call.contains("balance"));
    }
    // A proxy may hide the state.
    server.fault("/v1/state", Fault::Status(404));
    invoices.receiver().unwrap().ready().await.unwrap();
}

#[tokio::test]
async fn an_lnd_without_inbound_liquidity_is_logged_once_each_time() {
    let (fake, _server, node) = node().await;
    let journal = Journal::begin();
    let logged = || {
        let lines = journal.lines();
        lines.matches("has no inbound liquidity").count()
    };
    for (has_inbound, expected) in [(true, 0), (false, 1), (false, 1), (true, 1), (false, 2)] {
        fake.has_inbound(has_inbound);
        node.ready().await.unwrap();
        assert_eq!(logged(), expected);
    }
}
