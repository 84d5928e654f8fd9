//! Price functions: what they see, what they may return, and how a request is answered if they
//! fail.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Path,
    routing::{any, get as on_get, post as on_post},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower::Layer as _;
use tower_x402::{
    Amount, Charge, DialectName, RouteTable, price_fn,
    server::{BadRequest, BoxError, PriceRequest},
};

use crate::{
    customer::{ALL, Call, asks_for_money, invoice},
    journal::Journal,
    shop::{Shop, ask, get, problem},
};

fn route(shop: &Shop, charge: impl Into<Charge>) -> Router {
    let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
    Router::new().route("/a", any(|body: Bytes| async move { body }).layer(layer))
}

fn sat(answer: &Response<Bytes>) -> u64 {
    invoice(answer).amount().unwrap().as_whole_sat().unwrap()
}

#[tokio::test]
async fn a_bad_request_is_400_with_its_text_and_costs_no_invoice() {
    let shop = Shop::new();
    let app = route(
        &shop,
        price_fn(|q| async move {
            let frames: Option<u32> = q
                .query("frames")?
                .unwrap_or("1")
                .parse()
                .ok()
                .filter(|n| (1..=1000).contains(n));
            Ok(Some(Amount::from_sat(
                frames.ok_or(BadRequest::new("frames: 1 to 1000"))?,
            )))
        }),
    );
    assert_eq!(sat(&ask(&app, get("/a?frames=7")).await), 7);
    for bad in [
        "/a?frames=0",
        "/a?frames=1001",
        "/a?frames=",
        "/a?frames=-1",
        "/a?frames=x",
    ] {
        let answer = ask(&app, get(bad)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(problem(&answer)["detail"], "frames: 1 to 1000");
        assert!(!asks_for_money(&answer));
    }
    for twice in ["/a?frames=1&frames=2", "/a?frames=1&%66rames=1"] {
        let answer = ask(&app, get(twice)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{twice}");
        assert_eq!(
            problem(&answer)["detail"],
            "the query must have frames at most once"
        );
    }
    assert_eq!(shop.node.invoices_created(), 1);
}

#[tokio::test]
async fn query_all_sees_every_value_decoded_and_in_order() {
    let shop = Shop::new();
    let app = route(
        &shop,
        price_fn(|q| async move {
            let all: Vec<_> = q.query_all("x").collect();
            if all == ["1 2", "3"] {
                Ok(Some(Amount::from_sat(5)))
            } else {
                Err(format!("{all:?}").into())
            }
        }),
    );
    assert_eq!(sat(&ask(&app, get("/a?x=1+2&y=9&%78=%33")).await), 5);
}

async fn unavailable(charge: Charge) {
    let shop = Shop::new();
    let app = route(&shop, charge);
    let answer = ask(&app, get("/a")).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!asks_for_money(&answer) && answer.headers().contains_key("retry-after"));
    assert_eq!(
        problem(&answer)["detail"],
        "the price of this request is not available now"
    );
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_a_zero_a_panic_and_a_long_wait_are_503_without_a_challenge() {
    unavailable(price_fn(|_| async { Err(BoxError::from("a secret of the price list")) }).into())
        .await;
    unavailable(price_fn(|_| async { Ok(Some(Amount::ZERO)) }).into()).await;
    unavailable(price_fn(|_| async { Ok(Some(Amount::from_msat(u64::MAX))) }).into()).await;
    unavailable(price_fn(|_| async { panic!("a secret panic while it waits") }).into()).await;
    unavailable(
        price_fn(|_| {
            assert!(
                std::hint::black_box(false),
                "a secret panic when it is called"
            );
            async { Ok(None) }
        })
        .into(),
    )
    .await;
    unavailable(
        price_fn(|_| async {
            tokio::time::sleep(Duration::from_secs(11)).await;
            Ok(Some(Amount::from_sat(1)))
        })
        .into(),
    )
    .await;
    unavailable(Charge::new(price_fn(|_| std::future::pending())).reads_body()).await;
}

#[tokio::test]
async fn what_turns_out_free_passes_with_its_body_untouched() {
    for reads_body in [false, true] {
        let shop = Shop::new();
        let charge = Charge::new(price_fn(|_| async { Ok(None) }));
        let app = route(
            &shop,
            if reads_body {
                charge.reads_body()
            } else {
                charge
            },
        );
        let frames = futures_util::stream::iter(["one ", "two"].map(Ok::<_, std::io::Error>));
        let request = Request::builder()
            .method("POST")
            .uri("/a")
            .body(Body::from_stream(frames))
            .unwrap();
        let answer = ask(&app, request).await;
        assert_eq!(
            (answer.status(), &answer.body()[..]),
            (StatusCode::OK, &b"one two"[..])
        );
        assert_eq!(answer.headers()["cache-control"], "private");
    }
}

#[tokio::test]
async fn only_declared_headers_are_seen_and_each_may_occur_once() {
    let shop = Shop::new();
    let seen = Arc::new(Mutex::new(None::<PriceRequest>));
    let keeps = seen.clone();
    let app = route(
        &shop,
        Charge::new(price_fn(move |q| {
            *keeps.lock().unwrap() = Some(q);
            async { Ok(Some(Amount::from_sat(1))) }
        }))
        .reads_headers(["X-Size"]),
    );
    let call = Call::post("/a", b"not declared")
        .header("x-size", "9")
        .header("x-tier", "gold")
        .header("cookie", "a=b");
    ask(&app, call.request()).await;
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!(
        [request.header("x-size"), request.header("X-SIZE")],
        [Some("9"); 2]
    );
    assert_eq!(
        [
            request.header("x-tier"),
            request.header("cookie"),
            request.header("host")
        ],
        [None; 3]
    );
    assert_eq!(request.method(), "POST");
    assert!(request.body().is_empty());
    for bad in [
        Call::get("/a").header("x-size", "9").header("x-size", "9"),
        Call::get("/a").header("x-size", "\u{e9}"),
    ] {
        let answer = ask(&app, bad.request()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(seen.lock().unwrap().is_none());
    }
}

fn by_tier() -> Charge {
    Charge::new(price_fn(|q| async move {
        Ok(Some(Amount::from_sat(if q.capture("tier")? == "premium" {
            100
        } else {
            1
        })))
    }))
}

#[tokio::test]
async fn captures_are_decoded_as_the_handler_sees_them() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let handler = async |Path((tier, name)): Path<(String, String)>| format!("{tier} {name}");
    let on_a_route = Router::new().route(
        "/files/{tier}/{name}",
        on_get(handler).route_layer(paywall.charge(by_tier()).unwrap()),
    );
    let table = RouteTable::new()
        .charge("GET /files/{tier}/{name}", by_tier())
        .otherwise_refuse();
    let plain = Router::new().route("/files/{tier}/{name}", on_get(handler));
    let by_table = paywall.routes(table).unwrap().layer(plain);
    for (path, price, handled) in [
        ("/files/basic/a", 1, "basic a"),
        ("/files/premium/a", 100, "premium a"),
        ("/files/%70remium/a", 100, "premium a"),
        ("/files/premiu%6D/a", 100, "premium a"),
        ("/files/%2570remium/a", 1, "%70remium a"),
        ("/files/Premium/a", 1, "Premium a"),
    ] {
        let call = Call::get(path);
        let (one, other) = (
            ask(&on_a_route, call.request()).await,
            ask(&by_table, call.request()).await,
        );
        assert_eq!((sat(&one), sat(&other)), (price, price), "{path}");
        for dialect in ALL {
            let credential = call.buy(&shop, &on_a_route, dialect).await;
            assert_eq!(
                ask(&on_a_route, call.paid(&credential)).await.body(),
                handled,
                "{path}"
            );
            let credential = call.buy(&shop, &by_table, dialect).await;
            assert_eq!(
                ask(&by_table, call.paid(&credential)).await.body(),
                handled,
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_price_of_the_body_sees_all_of_it_and_the_handler_too() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let by_length =
        price_fn(|q| async move { Ok(Some(Amount::from_sat(u32::try_from(q.body().len())?))) });
    let layer = paywall.charge(Charge::new(by_length).reads_body()).unwrap();
    let app = Router::new().route(
        "/v1/chat",
        on_post(|body: Bytes| async move { body }).route_layer(layer),
    );
    let call = Call::post("/v1/chat", b"a prompt of 22 letters");
    for dialect in ALL {
        assert_eq!(sat(&ask(&app, call.request()).await), 22);
        let credential = call.buy(&shop, &app, dialect).await;
        assert_eq!(
            ask(&app, call.paid(&credential)).await.body(),
            &call.body,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_dialect_that_cannot_express_a_price_is_left_out() {
    let shop = Shop::new();
    let app = route(
        &shop,
        price_fn(|_| async { Ok(Some(Amount::from_msat(1_500))) }),
    );
    let answer = ask(&app, get("/a")).await;
    assert_eq!(invoice(&answer).amount(), Some(Amount::from_msat(1_500)));
    assert!(answer.headers().contains_key("payment-required"));
    assert!(tower_x402::mpp::Challenge::in_headers(answer.headers()).is_empty());
    let accepts = problem(&answer)["accepts"].as_array().unwrap().len();
    assert_eq!(accepts, 2);
}

#[tokio::test]
async fn a_fraction_that_no_dialect_can_express_is_503_and_the_log_names_the_fix() {
    let shop = Shop::new();
    let paywall = shop.builder().dialects([DialectName::Mpp]).build().unwrap();
    let layer = paywall
        .charge(price_fn(|_| async { Ok(Some(Amount::from_msat(1_500))) }))
        .unwrap();
    let app = Router::new().route("/a", on_get(async || "a").route_layer(layer));
    let journal = Journal::begin();
    assert_eq!(
        ask(&app, get("/a")).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let lines = journal.lines();
    assert!(
        lines.contains("the price 1.5 sat")
            && lines.contains("round to whole satoshis or enable another dialect"),
        "{lines}"
    );
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn a_capture_that_the_pattern_lacks_is_503_and_the_log_names_the_fix() {
    let shop = Shop::new();
    for (rule, captured) in [
        ("GET /w/{city}/{day}", "`city`, `day`"),
        ("GET /{*rest}", "`rest`"),
        ("GET /w/oslo/today", "nothing"),
    ] {
        let by_id = price_fn(|q: PriceRequest| async move {
            Ok(Some(Amount::from_sat(q.capture("id")?.len().try_into()?)))
        });
        let table = RouteTable::new().charge(rule, by_id).otherwise_refuse();
        let app = shop.paywall().routes(table).unwrap().layer(Router::new());
        let journal = Journal::begin();
        assert_eq!(
            ask(&app, get("/w/oslo/today")).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        let lines = journal.lines();
        let told = format!(
            "reads the capture `id`, and the pattern of this route captures {captured}: write `{{id}}` into"
        );
        assert!(lines.contains(&told), "{lines}");
    }
}
