//! Compares whole HTTP servers over real sockets. The callers share the servers' cores.
//!
//! The target is for kept connections. `src/docs/design.md` says what limits that row. The second
//! row, with one connection for each request, has no target.

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

use crate::{measure::beside, report::Row, shop::Shop};

const CALLERS: usize = 8;
/// Many rounds, because the difference to measure is a twentieth of a call.
const ROUNDS: usize = 1001;
type Connection = SendRequest<Empty<bytes::Bytes>>;

struct Site {
    address: SocketAddr,
    credential: HeaderValue,
}

/// The requests of each caller in a round.
#[derive(Clone, Copy)]
enum Round {
    /// This many requests, each on its own connection.
    Fresh(usize),
    /// This many requests on one connection.
    Kept(usize),
}

pub fn rows(runtime: &Runtime) -> Vec<Row> {
    runtime.block_on(async {
        let ours = ours().await;
        // As long as our credential, so that both requests have the same size.
        let theirs = theirs(&"6d1f6f4a".repeat(ours.credential.len().div_ceil(8) - 1)).await;
        let fresh = compare(&ours, &theirs, Round::Fresh(25)).await;
        let kept = compare(&ours, &theirs, Round::Kept(100)).await;
        vec![
            Row::rate("axum server, for_duration token / bearer check", 0.95, kept),
            Row::shown("the same, a connection for each request", fresh),
        ]
    })
}

async fn compare(ours: &Site, theirs: &Site, of_each: Round) -> (f64, f64, f64) {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let mut taken = [0.0; 2];
        for turn in [round % 2, (round + 1) % 2] {
            taken[turn] = if turn == 0 {
                ours.rate(of_each).await
            } else {
                theirs.rate(of_each).await
            };
        }
        if round > 0 {
            rounds.push(taken);
        }
    }
    beside(&rounds, 1)
}

async fn ours() -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let shop = Shop::new(&format!(
        "http://{}",
        listener.local_addr().expect("an address")
    ));
    let charge = Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(3600));
    let layer = shop.paywall.charge(charge).expect("a good charge");
    let app = Router::new().route("/hello", get(async || "hello").route_layer(layer));
    let request = Request::get("/hello")
        .body(Body::empty())
        .expect("a request");
    let credential = shop.pay(
        app.clone()
            .oneshot(request)
            .await
            .expect("an answer")
            .headers(),
    );
    Site::serve(listener, app, credential).await
}

async fn theirs(token: &str) -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    #[expect(deprecated, reason = "it is the reference")]
    let layer = ValidateRequestHeaderLayer::bearer(token);
    let app = Router::new().route("/hello", get(async || "hello").route_layer(layer));
    Site::serve(
        listener,
        app,
        HeaderValue::try_from(format!("Bearer {token}")).expect("ASCII"),
    )
    .await
}

impl Site {
    async fn serve(listener: TcpListener, app: Router, credential: HeaderValue) -> Self {
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            credential,
        }
    }

    /// Returns the requests per second of all callers.
    async fn rate(&self, of_each: Round) -> f64 {
        let caller = |_| tokio::spawn(call(of_each, self.address, self.credential.clone()));
        let start = Instant::now();
        let callers: Vec<_> = (0..CALLERS).map(caller).collect();
        let mut asked = 0;
        for caller in callers {
            asked += caller.await.expect("answers");
        }
        asked as f64 / start.elapsed().as_secs_f64()
    }
}

async fn call(of_each: Round, address: SocketAddr, credential: HeaderValue) -> usize {
    let host = HeaderValue::try_from(address.to_string()).expect("ASCII");
    let (connections, requests) = match of_each {
        Round::Fresh(requests) => (requests, 1),
        Round::Kept(requests) => (1, requests),
    };
    for _ in 0..connections {
        let mut connection = connect(address).await;
        for _ in 0..requests {
            let request = Request::get("/hello")
                .header(HOST, host.clone())
                .header(AUTHORIZATION, credential.clone());
            let request = request.body(Empty::new()).expect("a request");
            let response = connection.send_request(request).await.expect("an answer");
            assert_eq!(response.status(), StatusCode::OK);
            response.into_body().collect().await.expect("a body");
        }
    }
    connections * requests
}

async fn connect(address: SocketAddr) -> Connection {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    // Closed without lingering, because otherwise the machine runs out of ports.
    stream.set_zero_linger().expect("a socket");
    let (connection, driver) = handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(driver);
    connection
}
