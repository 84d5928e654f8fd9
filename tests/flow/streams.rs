//! Answers that take their time pass through as they are: WebSockets, events, bodies without an end.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ws::{WebSocket, WebSocketUpgrade},
    response::sse::{Event, Sse},
    routing::{any, get as on_get},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use tower_x402::{Amount, Paid, RouteTable, lightning::LocalNode};

use crate::site::{Place, bought, get};

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

/// Asks for an upgrade, and reads the head of the answer.
async fn upgrade(socket: &mut TcpStream, path: &str, authorization: Option<&str>) -> String {
    let authorization = authorization.map(|line| format!("authorization: {line}\r\n")).unwrap_or_default();
    let address = socket.peer_addr().unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_websocket_that_was_paid_for_opens_once_and_echoes() {
    for by_table in [false, true] {
        let node = LocalNode::new();
        let place = Place::free().await;
        let (address, url) = (place.address(), format!("{}/ws", place.origin));
        let handler = async |upgrade: WebSocketUpgrade, _: Paid| upgrade.on_upgrade(echo);
        let paywall = place.builder(node.clone()).build().unwrap();
        let router = if by_table {
            let table = RouteTable::new().charge("GET /ws", Amount::from_sat(10)).otherwise_refuse();
            Router::new().route("/ws", any(handler)).layer(paywall.routes(table).unwrap())
        } else {
            Router::new().route("/ws", any(handler).layer(paywall.charge(Amount::from_sat(10)).unwrap()))
        };
        place.serve(router);
        let credential = bought(&reqwest::Client::new(), &node, &url).await;
        let line = credential["authorization"].to_str().unwrap();

        let mut socket = TcpStream::connect(address).await.unwrap();
        assert!(upgrade(&mut socket, "/ws", None).await.starts_with("HTTP/1.1 402 "));
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = upgrade(&mut socket, "/ws", Some(line)).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // Text frames of two bytes, masked with zeros; the answers of a server are not masked.
        for word in [*b"hi", *b"yo"] {
            socket.write_all(&[0x81, 0x82, 0, 0, 0, 0, word[0], word[1]]).await.unwrap();
            let mut frame = [0; 4];
            socket.read_exact(&mut frame).await.unwrap();
            assert_eq!(frame, [0x81, 2, word[0], word[1]]);
        }
        let mut another = TcpStream::connect(address).await.unwrap();
        assert!(upgrade(&mut another, "/ws", Some(line)).await.starts_with("HTTP/1.1 402 "));
    }
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
    let layer = place.builder(node.clone()).build().unwrap().charge(Amount::from_sat(10)).unwrap();
    place.serve(Router::new().route("/events", on_get(handler).route_layer(layer)));
    let client = reqwest::Client::new();
    let credential = bought(&client, &node, &url).await;
    let mut answer = client.get(&url).headers(credential).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("private"), "{:?}", answer.headers());
    for word in ["one", "two", "three"] {
        says.send(word).unwrap();
        let chunk = tokio::time::timeout(Duration::from_secs(10), answer.chunk()).await.unwrap().unwrap().unwrap();
        assert_eq!(chunk, format!("data: {word}\n\n"));
    }
}

#[tokio::test]
async fn an_answer_without_an_end_passes_through() {
    let node = LocalNode::new();
    let place = Place::free().await;
    let url = format!("{}/endless", place.origin);
    let handler = async || {
        let zeros = futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[0; 1024])));
        Body::from_stream(zeros)
    };
    let layer = place.builder(node.clone()).build().unwrap().charge(Amount::from_sat(10)).unwrap();
    place.serve(Router::new().route("/endless", on_get(handler).route_layer(layer)));
    let client = reqwest::Client::new();
    let credential = bought(&client, &node, &url).await;
    let mut answer = client.get(&url).headers(credential).send().await.unwrap();
    let mut seen = 0;
    while seen < 4 << 20 {
        seen += answer.chunk().await.unwrap().unwrap().len();
    }
    drop(answer);
    assert_eq!(get(&client, &url).await.status(), StatusCode::PAYMENT_REQUIRED);
}
