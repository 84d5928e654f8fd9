//! A client that resets the connection after the handler's work, just before the answer.

use std::time::Duration;

use axum::{Router, routing::get as on_get};
use http::{Method, StatusCode};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::mpsc};
use tower_x402::{Amount, lightning::LocalNode};

use crate::site::{Client, Place, bought, get, send};

/// Sends a message when the handler is dropped.
struct Tells(mpsc::UnboundedSender<&'static str>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_the_connection_just_before_the_answer_gets_nothing_back() {
    let node = LocalNode::new();
    let place = Place::free().await;
    let (address, url) = (place.address(), format!("{}/render", place.origin));
    let (says, mut heard) = mpsc::unbounded_channel();
    let handler = move || async move {
        let _tells = Tells(says.clone());
        let _ = says.send("the work is done");
        std::future::pending::<()>().await;
    };
    let layer = place
        .builder(node.clone())
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap();
    place.serve(Router::new().route("/render", on_get(handler).route_layer(layer)));
    let client = Client::new();
    for _ in 0..20 {
        let credential = bought(&client, &node, &url).await;
        let mut socket = TcpStream::connect(address).await.unwrap();
        let line = credential["authorization"].to_str().unwrap();
        let request =
            format!("GET /render HTTP/1.1\r\nhost: {address}\r\nauthorization: {line}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(heard.recv().await, Some("the work is done"));
        drop(socket);
        let gone = tokio::time::timeout(Duration::from_secs(10), heard.recv()).await;
        assert_eq!(gone.expect("the server notices"), Some("dropped"));
        // The handler is dropped a moment before its use ends.
        let again = async {
            loop {
                let credential = credential.clone();
                let again = send(&client, Method::GET, &url, credential, b"").await;
                if again.status() != StatusCode::CONFLICT {
                    return again.status();
                }
            }
        };
        let again = tokio::time::timeout(Duration::from_secs(10), again)
            .await
            .expect("it is not served again");
        assert_eq!(again, StatusCode::PAYMENT_REQUIRED);
    }
    assert_eq!(
        get(&client, &url).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert!(heard.try_recv().is_err());
}
