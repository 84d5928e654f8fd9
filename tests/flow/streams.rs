//! Streaming answers pass through unchanged: server-sent events, and bodies without an end.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    response::sse::{Event, Sse},
    routing::get as on_get,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tower_x402::{Amount, lightning::LocalNode};

use crate::site::{Client, Place, bought, get};

async fn chunk(answer: &mut Response<Incoming>) -> Bytes {
    answer.frame().await.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn events_arrive_as_they_happen() {
    let node = LocalNode::new();
    let place = Place::free().await;
    let url = format!("{}/events", place.origin);
    let (says, hears) = mpsc::unbounded_channel::<&str>();
    let hears = std::sync::Arc::new(std::sync::Mutex::new(Some(hears)));
    let handler = async move || {
        let mut hears = hears.lock().unwrap().take().unwrap();
        let events = futures_util::stream::poll_fn(move |cx| hears.poll_recv(cx));
        Sse::new(events.map(|text| Ok::<_, Infallible>(Event::default().data(text))))
    };
    let layer = place
        .builder(node.clone())
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap();
    place.serve(Router::new().route("/events", on_get(handler).route_layer(layer)));
    let client = Client::new();
    let credential = bought(&client, &node, &url).await;
    let mut answer = client
        .open(Method::GET, &url, credential, b"")
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(
        answer.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("private"),
        "{:?}",
        answer.headers()
    );
    for word in ["one", "two", "three"] {
        says.send(word).unwrap();
        let chunk = tokio::time::timeout(Duration::from_secs(10), chunk(&mut answer))
            .await
            .unwrap();
        assert_eq!(chunk, format!("data: {word}\n\n"));
    }
}

#[tokio::test]
async fn an_answer_without_an_end_passes_through() {
    let node = LocalNode::new();
    let place = Place::free().await;
    let url = format!("{}/endless", place.origin);
    let handler = async || {
        let zeros = futures_util::stream::repeat_with(|| {
            Ok::<_, Infallible>(Bytes::from_static(&[0; 1024]))
        });
        Body::from_stream(zeros)
    };
    let layer = place
        .builder(node.clone())
        .build()
        .unwrap()
        .charge(Amount::from_sat(10))
        .unwrap();
    place.serve(Router::new().route("/endless", on_get(handler).route_layer(layer)));
    let client = Client::new();
    let credential = bought(&client, &node, &url).await;
    let mut answer = client
        .open(Method::GET, &url, credential, b"")
        .await
        .unwrap();
    let mut seen = 0;
    while seen < 4 << 20 {
        seen += chunk(&mut answer).await.len();
    }
    drop(answer);
    assert_eq!(
        get(&client, &url).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
}
