//! What the paying client adds to a request over loopback, and a paid call over the devnet beside
//! its parts.
//!
//! The server, the nodes and the client share one thread. With several threads, a round trip mostly
//! waits for another thread to wake. That time changes from run to run, because the system moves
//! threads between cores. On one thread the bare round trip is the shortest, so what is added to it
//! counts most. Only the writer of a ledger in a folder has a thread of its own.
//!
//! Each is measured with a ledger in memory and with a ledger in a folder. The second one syncs the
//! disk twice for each payment: before the payer is asked, and before the credential is sent. So its
//! parts have two bare synced writes more, to a file in the same folder.

use std::{
    fs::File,
    future::poll_fn,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, runtime::Builder};
use tower::{Layer as _, Service};
use tower_x402::{
    Amount, DialectName, Invoice, MemoryStore, Paywall, Secrets,
    client::{AutoPay, AutoPayLayer, PaidReceipt, Policy, Wallet},
    l402::Challenge,
    ledger::{Budget, Ledger},
    lightning::{Devnet, DevnetNode, PayLimits, Payer as _, PaymentStatus},
};

use crate::{measure::median_of, report::Row};

/// Many rounds, because the difference to measure is a twentieth of a round trip.
const FREE_ROUNDS: usize = 2001;
/// The requests of a round.
const REQUESTS: usize = 20;
const PAID_ROUNDS: usize = 201;
/// The bytes of a synced write: about those of an entry.
const WRITTEN: [u8; 1_024] = [1; 1_024];

type Bare = Client<HttpConnector, Full<Bytes>>;

pub fn rows(folder: &Path) -> Vec<Row> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let devnet = Devnet::start().await.expect("two nodes");
        let origin = serve(&devnet).await;
        let bare: Bare = Client::builder(TokioExecutor::new()).build_http();
        let durable = Ledger::open(folder.join("ledger")).expect("a ledger");
        let clients = [
            paying(&bare, devnet.client(), Ledger::in_memory()).await,
            paying(&bare, devnet.client(), durable).await,
        ];
        let mut rows = free(&bare, &clients, &url(&origin, "/free")).await;
        let file = File::create(folder.join("bare")).expect("a file");
        let url = url(&origin, "/paid");
        rows.extend(paid(&bare, &devnet.client(), clients, (&url, file)).await);
        rows
    })
}

async fn free(bare: &Bare, [memory, durable]: &[AutoPay<Bare>; 2], url: &Uri) -> Vec<Row> {
    let mut rounds = Vec::with_capacity(FREE_ROUNDS);
    for round in 0..=FREE_ROUNDS {
        let mut taken = [0.0; 3];
        for turn in 0..3 {
            let who = (round + turn) % 3;
            taken[who] = match who {
                0 => round_trip(bare.clone(), url).await,
                1 => round_trip(memory.clone(), url).await,
                _ => round_trip(durable.clone(), url).await,
            };
        }
        if round > 0 {
            rounds.push(taken);
        }
    }
    let bare = median_of(&rounds, |t| t[0]);
    let added = |who: usize| {
        let added = median_of(&rounds, |t| t[who] - t[0]);
        (added, bare, added / bare)
    };
    vec![
        Row::at_most(
            "client adds, no payment, in memory / a bare round trip",
            0.05,
            added(1),
        ),
        Row::at_most("the same, ledger in a folder", 0.05, added(2)),
    ]
}

/// Returns the nanoseconds of a request that needs no payment.
async fn round_trip<S, R>(mut service: S, url: &Uri) -> f64
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error: std::fmt::Debug>,
    R: http_body::Body<Error: std::fmt::Debug>,
{
    let start = Instant::now();
    for _ in 0..REQUESTS {
        let answer = send(&mut service, url, HeaderMap::new()).await;
        assert_eq!(answer, StatusCode::OK);
    }
    start.elapsed().as_nanos() as f64 / REQUESTS as f64
}

async fn paid(
    bare: &Bare,
    payer: &DevnetNode,
    [mut memory, mut durable]: [AutoPay<Bare>; 2],
    (url, mut file): (&Uri, File),
) -> Vec<Row> {
    let mut rounds = Vec::with_capacity(PAID_ROUNDS);
    for round in 0..=PAID_ROUNDS {
        let mut taken = [0.0; 4];
        for turn in 0..4 {
            let who = (round + turn) % 4;
            taken[who] = match who {
                0 => parts(bare, payer, url).await,
                1 => paid_call(&mut memory, url).await,
                2 => paid_call(&mut durable, url).await,
                _ => synced_write(&mut file) + synced_write(&mut file),
            };
        }
        if round > 0 {
            rounds.push(taken);
        }
    }
    let beside = |who: usize, parts: fn(&[f64; 4]) -> f64| {
        (
            median_of(&rounds, |t| t[who]),
            median_of(&rounds, parts),
            median_of(&rounds, |t| t[who] / parts(t)),
        )
    };
    vec![
        Row::at_most(
            "paid call, ledger in memory / 2 round trips + payment",
            1.15,
            beside(1, |t| t[0]),
        ),
        Row::at_most(
            "the same, ledger in a folder / these + 2 synced writes",
            1.15,
            beside(2, |t| t[0] + t[3]),
        ),
    ]
}

/// Returns the nanoseconds of a bare write that is safe from a loss of power.
fn synced_write(file: &mut File) -> f64 {
    let start = Instant::now();
    file.write_all(&WRITTEN).expect("room on the disk");
    file.sync_data().expect("a disk");
    start.elapsed().as_nanos() as f64
}

/// Returns the nanoseconds of a call that the client pays for.
async fn paid_call(client: &mut AutoPay<Bare>, url: &Uri) -> f64 {
    let start = Instant::now();
    poll_fn(|cx| client.poll_ready(cx)).await.expect("a client");
    let answer = client.call(request(url)).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.extensions().get::<PaidReceipt>().is_some());
    answer.into_body().collect().await.expect("a body");
    start.elapsed().as_nanos() as f64
}

/// Returns the nanoseconds of the request that is answered with 402, of the payment, and of the
/// request with the credential, without what is between them.
async fn parts(bare: &Bare, payer: &DevnetNode, url: &Uri) -> f64 {
    let start = Instant::now();
    let answer = bare.request(request(url)).await.expect("an answer");
    let (head, body) = answer.into_parts();
    body.collect().await.expect("a body");
    let mut taken = start.elapsed();

    let challenge = Challenge::in_headers(&head.headers).remove(0);
    let invoice = Invoice::parse(challenge.invoice()).expect("an invoice");
    let limits = PayLimits::new(Amount::from_sat(1), Duration::from_secs(30));
    let start = Instant::now();
    let status = payer.pay(&invoice, limits).await.expect("a payment");
    taken += start.elapsed();

    let PaymentStatus::Paid { preimage, .. } = status else {
        panic!("{status:?}");
    };
    let credential = HeaderMap::from_iter([(AUTHORIZATION, challenge.answer(&preimage))]);
    let mut bare = bare.clone();
    let start = Instant::now();
    let answer = send(&mut bare, url, credential).await;
    taken += start.elapsed();
    assert_eq!(answer, StatusCode::OK);
    taken.as_nanos() as f64
}

/// Sends a request, and reads the answer to its end.
async fn send<S, R>(service: &mut S, url: &Uri, headers: HeaderMap) -> StatusCode
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error: std::fmt::Debug>,
    R: http_body::Body<Error: std::fmt::Debug>,
{
    let mut request = request(url);
    *request.headers_mut() = headers;
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .expect("a client");
    let answer = service.call(request).await.expect("an answer");
    let status = answer.status();
    answer.into_body().collect().await.expect("a body");
    status
}

fn request(url: &Uri) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = url.clone();
    request
}

fn url(origin: &str, path: &str) -> Uri {
    format!("{origin}{path}").parse().expect("a URL")
}

async fn paying(bare: &Bare, payer: DevnetNode, ledger: Ledger) -> AutoPay<Bare> {
    let wallet = Wallet::builder(payer)
        .budget(Budget::total(Amount::from_sat(1_000_000)))
        .ledger(ledger)
        .dialects([DialectName::L402])
        .policy(Policy::new().allow_private_addresses())
        .build()
        .await;
    AutoPayLayer::new(wallet.expect("a wallet")).layer(bare.clone())
}

/// Serves a free route and a paid one, and returns their origin.
async fn serve(devnet: &Devnet) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let paywall = Paywall::builder(devnet.server())
        .origin(&origin)
        .master_secret(Secrets::test_secret(7))
        .replay_store(MemoryStore::new().expect("randomness"))
        .build()
        .expect("a good configuration");
    let layer = paywall.charge(Amount::from_sat(10)).expect("a good charge");
    let app = Router::<()>::new()
        .route("/free", get(async || "hello"))
        .route("/paid", get(async || "hello").route_layer(layer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    origin
}
