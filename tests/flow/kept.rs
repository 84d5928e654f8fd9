//! A client that resets the connection and asks again: its answer was kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::get as on_get,
};
use http::{Method, StatusCode};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tower_x402::{Amount, Charge, MemoryStore, lightning::LocalNode, server::KeptAnswers};

use crate::site::{Client, Place, bought, send};

async fn to_its_end(request: Request, next: Next) -> Result<Response, StatusCode> {
    let answer = tokio::spawn(next.run(request)).await;
    answer.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_the_connection_gets_its_answer_at_the_next_request() {
    let (node, place) = (LocalNode::new(), Place::free().await);
    let (address, url) = (place.address(), format!("{}/render", place.origin));
    let (says, mut heard) = mpsc::unbounded_channel();
    let (gate, runs) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (waits, counts) = (gate.clone(), runs.clone());
    let handler = move || async move {
        let number = counts.fetch_add(1, Ordering::SeqCst);
        let _ = says.send(());
        waits.acquire().await.unwrap().forget();
        format!("answer {number}")
    };
    let kept = KeptAnswers::new(MemoryStore::new().unwrap());
    let charge = Charge::new(Amount::from_sat(10)).keep_answers(kept);
    let layer = place.builder(node.clone()).build().unwrap().charge(charge);
    let app = Router::new().route("/render", on_get(handler).route_layer(layer.unwrap()));
    place.serve(app.layer(from_fn(to_its_end)));
    let client = Client::new();
    for number in 0..20 {
        let credential = bought(&client, &node, &url).await;
        let mut socket = TcpStream::connect(address).await.unwrap();
        let line = credential["authorization"].to_str().unwrap();
        let request =
            format!("GET /render HTTP/1.1\r\nhost: {address}\r\nauthorization: {line}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        heard.recv().await.unwrap();
        drop(socket);
        let again = || send(&client, Method::GET, &url, credential.clone(), b"");
        assert_eq!(
            again().await.status(),
            StatusCode::CONFLICT,
            "it still works"
        );
        gate.add_permits(1);
        let answer = async {
            loop {
                let answer = again().await;
                if answer.status() != StatusCode::CONFLICT {
                    return answer;
                }
            }
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), answer)
            .await
            .expect("the handler has answered");
        assert_eq!(answer.status(), StatusCode::OK, "{number}");
        assert_eq!(answer.body(), &format!("answer {number}"));
        assert_eq!(again().await.body(), answer.body());
    }
    assert_eq!(runs.load(Ordering::SeqCst), 20);
}
