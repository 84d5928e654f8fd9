//! A real LND whose wallet has a password, so that it is locked after each start.

use std::{env, time::Duration};

use http::HeaderMap;
use tower_x402::lightning::{ConnectErrorKind, connect};

use crate::{
    real_down::not_ready,
    real_killed::{nodes, rest, urls, within},
    selling::Shop,
};

/// Starts LND again, which is then locked.
fn lock() {
    nodes(["kill", "lnd_c"]);
    nodes(["start", "lnd_c"]);
}

fn unlock(url: &str) {
    let password = env::var("X402_NODE_LND_C_PASSWORD").unwrap();
    let body = format!(r#"{{"wallet_password": "{password}"}}"#);
    rest(url, "/v1/unlockwallet", &body);
}

async fn sells(shop: &Shop) {
    within("the server to be ready", async {
        while shop.paywall.ready().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for &dialect in &shop.dialects {
        shop.offer(dialect).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lnd_that_is_locked_says_so_and_sells_when_it_is_unlocked() {
    let Some([url]) = urls(["X402_NODE_LND_C_INVOICE"]) else {
        return;
    };
    let fix = "its wallet is locked: unlock it (lncli unlock";
    lock();
    let error = connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Node, "{error}");
    assert!(error.to_string().contains(fix), "{error}");

    unlock(&url);
    let node = within("LND to start", async {
        loop {
            match connect(&url).await {
                Ok(node) => break node,
                // It says that it starts, or that it waits for the chain.
                Err(error) => assert_eq!(error.kind(), ConnectErrorKind::Node, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let receiver = node.receiver().unwrap();
    let shop = Shop::with(receiver, |builder| builder.receive_only()).await;
    sells(&shop).await;

    // The server runs on.
    lock();
    shop.expect_closed(HeaderMap::new()).await;
    let reason = not_ready(&shop).await;
    assert!(!reason.is_node_ready() && reason.is_store_ready());
    assert!(reason.to_string().contains(fix), "{reason}");

    unlock(&url);
    sells(&shop).await;
    println!(
        "lnd: locked after a start: 503 and how to unlock it, then sold without a restart of the server"
    );
}
