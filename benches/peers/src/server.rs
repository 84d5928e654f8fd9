//! Whole HTTP servers over real sockets.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, routing::get};
use http::{
    HeaderValue, Request, StatusCode,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tower::ServiceExt as _;
use tower_http::validate_request::ValidateRequestHeaderLayer;
use tower_x402::{Amount, Charge};

use crate::{measure::median_of, report::Row, shop::Shop};

const CONNECTIONS: usize = 8;
/// Of each connection in a round.
const REQUESTS: usize = 100;
const ROUNDS: usize = 101;
const BEARER: &str = "6d1f6f4ad2a3b3a5c0c4b8de6b8e6b4f";

type Connection = SendRequest<Empty<bytes::Bytes>>;

struct Site {
    address: SocketAddr,
    credential: HeaderValue,
    connections: Vec<Connection>,
}

pub fn rows(runtime: &Runtime) -> Vec<Row> {
    runtime.block_on(async {
        let (mut ours, mut theirs) = (ours().await, theirs().await);
        let mut rounds = Vec::with_capacity(ROUNDS);
        for round in 0..=ROUNDS {
            let mut taken = [0.0; 2];
            for turn in [round % 2, (round + 1) % 2] {
                taken[turn] = if turn == 0 { ours.rate().await } else { theirs.rate().await };
            }
            if round > 0 {
                rounds.push(taken);
            }
        }
        let medians = (median_of(&rounds, |t| t[0]), median_of(&rounds, |t| t[1]), median_of(&rounds, |t| t[0] / t[1]));
        vec![Row::rate("axum server, for_duration token / bearer check", 0.95, medians)]
    })
}

async fn ours() -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let shop = Shop::new(&format!("http://{}", listener.local_addr().expect("an address")));
    let charge = Charge::of(Amount::from_sat(10)).for_duration(Duration::from_secs(3600));
    let layer = shop.paywall.charge(charge).expect("a good charge");
    let app = Router::new().route("/hello", get(async || "hello").route_layer(layer));
    let request = Request::get("/hello").body(Body::empty()).expect("a request");
    let credential = shop.pay(app.clone().oneshot(request).await.expect("an answer").headers());
    Site::serve(listener, app, credential).await
}

async fn theirs() -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    #[expect(deprecated, reason = "it is the reference")]
    let layer = ValidateRequestHeaderLayer::bearer(BEARER);
    let app = Router::new().route("/hello", get(async || "hello").route_layer(layer));
    Site::serve(listener, app, HeaderValue::try_from(format!("Bearer {BEARER}")).expect("ASCII")).await
}

impl Site {
    async fn serve(listener: TcpListener, app: Router, credential: HeaderValue) -> Self {
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let (connection, driver) = handshake(TokioIo::new(stream)).await.expect("a connection");
            tokio::spawn(driver);
            connections.push(connection);
        }
        Self { address, credential, connections }
    }

    /// Requests in a second, over all connections.
    async fn rate(&mut self) -> f64 {
        let start = Instant::now();
        let callers: Vec<_> = self
            .connections
            .drain(..)
            .map(|connection| tokio::spawn(call(connection, self.address, self.credential.clone())))
            .collect();
        for caller in callers {
            self.connections.push(caller.await.expect("answers"));
        }
        (CONNECTIONS * REQUESTS) as f64 / start.elapsed().as_secs_f64()
    }
}

async fn call(mut connection: Connection, address: SocketAddr, credential: HeaderValue) -> Connection {
    let host = HeaderValue::try_from(address.to_string()).expect("ASCII");
    for _ in 0..REQUESTS {
        let request = Request::get("/hello").header(HOST, host.clone()).header(AUTHORIZATION, credential.clone());
        let request = request.body(Empty::new()).expect("a request");
        let response = connection.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.expect("a body");
    }
    connection
}
