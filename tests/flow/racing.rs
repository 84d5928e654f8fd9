//! One credential over two hundred requests at once, on real connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, routing::get as on_get};
use http::{Method, StatusCode};
use tower_x402::{Amount, DurableStore, lightning::LocalNode};

use crate::site::{Client, Place, bought, send};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_credential_on_200_requests_runs_the_handler_once() {
    for durable in [false, true] {
        let (node, runs) = (LocalNode::new(), Arc::new(AtomicUsize::new(0)));
        let (place, folder) = (Place::free().await, tempfile::tempdir().unwrap());
        let url = format!("{}/a", place.origin);
        let mut builder = place.builder(node.clone());
        if durable {
            builder = builder.replay_store(DurableStore::open(folder.path()).unwrap());
        }
        let count = runs.clone();
        let handler = move || async move {
            count.fetch_add(1, Ordering::SeqCst);
        };
        let layer = builder
            .build()
            .unwrap()
            .charge(Amount::from_sat(10))
            .unwrap();
        place.serve(Router::new().route("/a", on_get(handler).route_layer(layer)));
        let client = Client::new();
        let credential = bought(&client, &node, &url).await;
        let racing: Vec<_> = (0..200)
            .map(|_| {
                let (client, url, credential) = (client.clone(), url.clone(), credential.clone());
                tokio::spawn(async move {
                    send(&client, Method::GET, &url, credential, b"")
                        .await
                        .status()
                })
            })
            .collect();
        let mut served = 0;
        for answer in racing {
            match answer.await.unwrap() {
                StatusCode::OK => served += 1,
                // Used up, or being served to another request.
                StatusCode::PAYMENT_REQUIRED | StatusCode::CONFLICT => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(
            (served, runs.load(Ordering::SeqCst)),
            (1, 1),
            "durable: {durable}"
        );
    }
}
