//! A WebSocket of axum, paid for.
#![allow(clippy::unwrap_used, reason = "what cannot be is a failed test")]

#[allow(dead_code, reason = "the flow tests use the rest")]
#[path = "../flow/site.rs"]
mod site;

use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    routing::any,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tower_x402::{Amount, Paid, RouteTable, lightning::LocalNode};

use self::site::{Client, Place, bought};

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

/// Asks for an upgrade, and reads the head of the answer.
async fn upgrade(socket: &mut TcpStream, path: &str, authorization: Option<&str>) -> String {
    let authorization = authorization
        .map(|line| format!("authorization: {line}\r\n"))
        .unwrap_or_default();
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
            let table = RouteTable::new()
                .charge("GET /ws", Amount::from_sat(10))
                .otherwise_refuse();
            Router::new()
                .route("/ws", any(handler))
                .layer(paywall.routes(table).unwrap())
        } else {
            Router::new().route(
                "/ws",
                any(handler).layer(paywall.charge(Amount::from_sat(10)).unwrap()),
            )
        };
        place.serve(router);
        let credential = bought(&Client::new(), &node, &url).await;
        let line = credential["authorization"].to_str().unwrap();

        let mut socket = TcpStream::connect(address).await.unwrap();
        assert!(
            upgrade(&mut socket, "/ws", None)
                .await
                .starts_with("HTTP/1.1 402 ")
        );
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = upgrade(&mut socket, "/ws", Some(line)).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // Text frames of two bytes, masked with zeros; the answers of a server are not masked.
        for word in [*b"hi", *b"yo"] {
            socket
                .write_all(&[0x81, 0x82, 0, 0, 0, 0, word[0], word[1]])
                .await
                .unwrap();
            let mut frame = [0; 4];
            socket.read_exact(&mut frame).await.unwrap();
            assert_eq!(frame, [0x81, 2, word[0], word[1]]);
        }
        let mut another = TcpStream::connect(address).await.unwrap();
        assert!(
            upgrade(&mut another, "/ws", Some(line))
                .await
                .starts_with("HTTP/1.1 402 ")
        );
    }
}
