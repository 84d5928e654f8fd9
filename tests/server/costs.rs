//! What each kind of request costs the store: the table of the page on scaling, measured.

use std::{
    collections::BTreeMap, convert::Infallible, fs, num::NonZeroU32, path::Path, time::Duration,
};

use axum::{Router, body::Body, routing::any};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use tower_x402::{Amount, Charge, DialectName, FreeAllowance, Paywall, server::KeptAnswers};

use crate::{
    counted::{Asked, Counted},
    customer::Call,
    identifiers::named,
    limits::from,
    shop::{Shop, ask},
};

const DAY: Duration = Duration::from_secs(86_400);

/// A shop whose store counts, and what was measured so far.
struct Meter {
    shop: Shop,
    store: Counted,
    rows: BTreeMap<&'static str, Asked>,
}

impl Meter {
    fn paywall(&self) -> Paywall {
        let builder = self.shop.builder_of_every_dialect();
        builder.replay_store(self.store.clone()).build().unwrap()
    }

    /// A service of this charge. It fails at `/broken`, streams at `/stream`, and answers 100 bytes.
    fn app(&self, charge: impl Into<Charge>) -> Router {
        let handler = any(async |request: Request<Body>| match request.uri().path() {
            "/broken" => {
                let mut answer = Response::new(Body::empty());
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
                answer
            }
            "/stream" => {
                let words = (0..100).map(|_| Ok::<_, Infallible>("word"));
                Response::new(Body::from_stream(stream::iter(words)))
            }
            "/long" => Response::new(Body::from(vec![b'a'; 150 << 10])),
            _ => Response::new(Body::from("0123456789".repeat(10))),
        });
        Router::new()
            .fallback(handler)
            .layer(self.paywall().charge(charge).unwrap())
    }

    /// Sends a request that must get this status, and notes what it asked the store.
    async fn row(&mut self, name: &'static str, app: &Router, request: Request<Body>, status: u16) {
        self.store.take();
        let answer = ask(app, request).await;
        assert_eq!(answer.status().as_u16(), status, "{name}: {answer:?}");
        let earlier = self.rows.insert(name, self.store.take());
        assert!(earlier.is_none(), "{name}");
    }
}

fn once() -> Charge {
    Charge::new(Amount::from_sat(10))
}

/// Measures every row of the page.
async fn measured() -> BTreeMap<&'static str, Asked> {
    let shop = Shop::new();
    let store = Counted::new(shop.store.clone());
    let mut meter = Meter {
        shop,
        store,
        rows: BTreeMap::new(),
    };
    let (call, l402) = (Call::get("/a"), DialectName::L402);

    let (app, other) = (meter.app(once()), meter.app(once()));
    meter
        .row(
            "402, each instance counts unpaid invoices",
            &app,
            call.request(),
            402,
        )
        .await;
    let paid = call.buy(&meter.shop, &app, l402).await;
    meter.row("one request", &app, call.paid(&paid), 200).await;
    meter.row("spent here", &app, call.paid(&paid), 402).await;
    meter
        .row("spent elsewhere", &other, call.paid(&paid), 402)
        .await;
    let forged = (paid.0.clone(), "L402 AAAA:00".parse().unwrap());
    meter
        .row("forged or expired", &app, call.paid(&forged), 402)
        .await;
    let broken = Call::get("/broken");
    let paid = broken.buy(&meter.shop, &app, l402).await;
    meter
        .row(
            "one request, the handler failed",
            &app,
            broken.paid(&paid),
            502,
        )
        .await;
    let stream = Call::get("/stream");
    let paid = stream.buy(&meter.shop, &app, l402).await;
    meter
        .row(
            "one request, answered with a stream",
            &app,
            stream.paid(&paid),
            200,
        )
        .await;

    let app = meter.app(once().uses(NonZeroU32::new(100).unwrap()));
    let paid = call.buy(&meter.shop, &app, l402).await;
    meter
        .row("several uses, each", &app, call.paid(&paid), 200)
        .await;

    let app = meter.app(once().for_duration(DAY));
    let paid = call.buy(&meter.shop, &app, l402).await;
    meter.row("a duration", &app, call.paid(&paid), 200).await;
    let app = meter.app(once().for_duration(DAY).ends_streams());
    let paid = stream.buy(&meter.shop, &app, l402).await;
    meter
        .row(
            "a duration that ends its streams",
            &app,
            stream.paid(&paid),
            200,
        )
        .await;

    let twice = NonZeroU32::new(2).unwrap();
    let app = meter.app(once().free_allowance(FreeAllowance::per_day(twice)));
    meter
        .row(
            "free, counted by each instance",
            &app,
            from("192.0.2.1"),
            200,
        )
        .await;
    let free = FreeAllowance::per_day(twice).kept_in(meter.store.clone(), "api");
    let app = meter.app(once().free_allowance(free));
    meter
        .row("free, in the store, IPv4", &app, from("192.0.2.1"), 200)
        .await;
    meter
        .row("free, in the store, IPv6", &app, from("2001:db8::1"), 200)
        .await;

    let kept = KeptAnswers::new(meter.store.clone());
    let app = meter.app(once().keep_answers(kept));
    let paid = call.buy(&meter.shop, &app, l402).await;
    meter
        .row("kept answer, up to 60 KiB", &app, call.paid(&paid), 200)
        .await;
    meter
        .row("kept answer, given again", &app, call.paid(&paid), 200)
        .await;
    let long = Call::get("/long");
    let paid = long.buy(&meter.shop, &app, l402).await;
    meter
        .row("kept answer of 150 KiB", &app, long.paid(&paid), 200)
        .await;
    let paid = call.buy(&meter.shop, &app, DialectName::X402).await;
    let paid = named(&paid, "an_identifier_of_a_client");
    meter
        .row(
            "kept answer, with a payment identifier",
            &app,
            call.paid(&paid),
            200,
        )
        .await;

    let builder = meter.shop.builder().replay_store(meter.store.clone());
    let shared = builder.share_unpaid_limits(meter.store.clone(), "api");
    let layer = shared.build().unwrap().charge(once()).unwrap();
    let app = Router::new().fallback(any(async || "served")).layer(layer);
    meter
        .row("402, shared limits", &app, from("192.0.2.1"), 402)
        .await;
    meter.rows
}

/// The rows of the page: the name, the calls to wait for, those that write, and the later ones.
fn told() -> BTreeMap<String, Asked> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/scaling.md");
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let number = |cell: &str| cell.parse::<usize>().ok();
    cells
        .filter_map(|cells| {
            let [waited, writes, later] = [1, 2, 3].map(|at| number(cells.get(at)?));
            let asked = Asked {
                waited: waited?,
                writes: writes?,
                later: later?,
            };
            Some((cells[0].to_owned(), asked))
        })
        .collect()
}

#[tokio::test]
async fn each_kind_of_request_costs_the_store_what_the_page_on_scaling_says() {
    let measured = measured().await;
    let measured: BTreeMap<_, _> = measured
        .into_iter()
        .map(|(name, it)| (name.to_owned(), it))
        .collect();
    assert_eq!(told(), measured);
}

#[tokio::test]
async fn a_request_with_a_payment_never_asks_the_store_about_unpaid_invoices() {
    let shop = Shop::new();
    let (spent, counts) = (
        Counted::new(shop.store.clone()),
        Counted::new(shop.store.clone()),
    );
    let builder = shop.builder().replay_store(spent.clone());
    let paywall = builder
        .share_unpaid_limits(counts.clone(), "api")
        .build()
        .unwrap();
    let layer = paywall.charge(once()).unwrap();
    let app = Router::new().fallback(any(async || "served")).layer(layer);
    let call = Call::get("/a");
    for _ in 0..8 {
        let paid = call.buy(&shop, &app, DialectName::L402).await;
        counts.take();
        assert_eq!(
            ask(&app, call.paid(&paid)).await.body(),
            &Bytes::from("served")
        );
        assert_eq!(counts.take().waited, 0);
    }
}
