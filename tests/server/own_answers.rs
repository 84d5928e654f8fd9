//! All answers of the layer's own: none of them tells a customer what the operator should do, and the
//! operator's function may change their words and nothing else.

use std::convert::Infallible;

use axum::{Router, body::Body, routing::get as on_get};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tower_x402::{
    Amount, Charge, MemoryStore, Paid, PaymentReceipt, RouteTable, price_fn,
    server::{BadRequest, BoxError, ClientAddr, OwnAnswer, PaywallBuilder, PriceRequest},
};

use crate::{
    customer::{ALL, Call},
    journal::Journal,
    shop::{Shop, ask, get, paid, problem, request},
    slow::Slow,
};

/// A table with a rule for each kind of answer.
fn table() -> RouteTable {
    let price = price_fn(|asked: PriceRequest| async move {
        match asked.query("say")? {
            Some("bad") => Err(BadRequest::new("say: a number").into()),
            Some("zero") => Ok(Some(Amount::from_msat(0))),
            Some("panic") => panic!("the price list is gone"),
            Some("capture") => asked.capture("city").map(|_| None).map_err(BoxError::from),
            Some("header") => Ok(asked.header("x-a").map(|_| Amount::from_sat(1))),
            _ => Err(BoxError::from("the price list is gone: call .prices(..)")),
        }
    });
    RouteTable::new()
        .charge("GET /weather", Charge::new(Amount::from_sat(10)))
        .charge("POST /weather", Charge::new(Amount::from_sat(10)))
        .charge("GET /priced", Charge::new(price))
        .charge("GET /A/{x}", Amount::from_sat(10))
        .charge("GET /A/b", Amount::from_sat(20))
        .otherwise_refuse()
}

fn app(builder: PaywallBuilder) -> Router {
    let layer = builder.build().unwrap().routes(table()).unwrap();
    Router::new()
        .route("/weather", on_get(async || "sunny").post(async || "sunny"))
        .layer(layer)
}

fn with(mut request: Request<Body>, lines: &[(&'static str, &str)]) -> Request<Body> {
    for (name, value) in lines {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// From a client whose address is known, so that the log has no line about that.
fn known(mut request: Request<Body>) -> Request<Body> {
    let client = ClientAddr::new([192, 0, 2, 1].into());
    request.extensions_mut().insert(client);
    request
}

fn post(body: Body) -> Request<Body> {
    Request::post("/weather").body(body).unwrap()
}

/// An answer of each kind, with its status. Needs a clock that does not run.
async fn every_answer(
    configure: impl Fn(PaywallBuilder) -> PaywallBuilder,
) -> Vec<(&'static str, u16, Response<Bytes>)> {
    let shop = Shop::new();
    let built = |builder| app(configure(builder));
    let builder = || shop.builder_of_every_dialect();
    let app = built(builder());
    let never = || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let broken = Body::from_stream(stream::iter([Err::<Bytes, _>("gone")]));
    let mut paid_twice = get("/weather");
    paid_twice
        .extensions_mut()
        .insert(PaymentReceipt::for_tests(Amount::from_sat(1)));
    let both = [("authorization", "L402 AA:00"), ("payment-signature", "AA")];
    let mut found = Vec::new();
    for (what, status, request) in [
        ("options", 204, request("OPTIONS", "/weather", None)),
        ("two dialects", 400, with(get("/weather"), &both)),
        (
            "version 1",
            400,
            with(get("/weather"), &[("x-payment", "AA")]),
        ),
        ("broken path", 400, get("/A/%00")),
        ("broken body", 400, post(broken)),
        ("bad request", 400, get("/priced?say=bad")),
        ("twice in the query", 400, get("/priced?say=a&say=b")),
        ("unpaid", 402, get("/weather")),
        (
            "refused",
            402,
            paid("/weather", &"L402 AAAA:00".parse().unwrap()),
        ),
        ("closed", 404, get("/elsewhere")),
        ("method", 405, request("PUT", "/weather", None)),
        ("slow body", 408, post(never())),
        ("long body", 413, post(Body::from(vec![0; (2 << 20) + 1]))),
        (
            "another's",
            421,
            with(get("/weather"), &[("host", "evil.example")]),
        ),
        ("no host", 421, with(get("/weather"), &[("host", "a b")])),
        ("priced twice", 500, paid_twice),
        ("price of zero", 503, get("/priced?say=zero")),
        ("price panics", 503, get("/priced?say=panic")),
        ("price fails", 503, get("/priced?say=fail")),
        ("wrong capture", 503, get("/priced?say=capture")),
        ("wrong header", 503, get("/priced?say=header")),
    ] {
        found.push((what, status, ask(&app, request).await));
    }
    let x402 = built(builder().dialects([ALL[2]]));
    let long = get(&format!("/weather?{}", "q".repeat(14_000)));
    found.push(("long target", 400, ask(&x402, long).await));
    let one = built(builder().max_unpaid_per_client(1).max_unpaid(2));
    for (what, status) in [("first", 402), ("too many", 429)] {
        found.push((what, status, ask(&one, known(get("/weather"))).await));
    }
    for reachable in [false, true] {
        shop.node.reachable(reachable);
        if reachable {
            shop.node.pause();
        }
        found.push(("node", 503, ask(&app, get("/weather")).await));
    }
    let shop = Shop::new();
    let store: Slow<std::sync::Arc<MemoryStore>> = Slow::new(shop.store.clone());
    let app = built(shop.builder_of_every_dialect().replay_store(store.clone()));
    for trouble in [Slow::fails_at_once, Slow::hangs] {
        let call = Call::new("GET", "/weather");
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        trouble(&store, true);
        let call = call.with(bought.of(ALL[0]));
        found.push(("store", 503, ask(&app, call.request()).await));
        trouble(&store, false);
    }
    found
}

/// A text for the operator: a call of a function of this crate, or a word that only an operator
/// needs.
fn advice(text: &str) -> Option<&str> {
    let calls = text.match_indices('.').filter(|(at, _)| {
        let rest = &text[at + 1..];
        let name = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        name.is_some_and(|end| end > 0 && rest[end..].starts_with('('))
    });
    let words = [
        "route_layer",
        "Option<",
        "feature",
        "subscriber",
        " log ",
        "the log",
        "its log",
        "operator",
        " configure",
        "enable ",
        "trusted_proxy",
        "`origin`",
        "builder",
        "layer",
        "set the ",
    ];
    let mut found = words.into_iter().filter(|word| text.contains(word));
    calls.map(|(at, _)| &text[at..]).next().or(found.next())
}

#[tokio::test(start_paused = true)]
async fn no_answer_tells_a_customer_what_the_operator_should_do() {
    for (what, status, answer) in every_answer(|builder| builder).await {
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
        let text = std::str::from_utf8(answer.body()).unwrap();
        assert_eq!(advice(text), None, "{what}: {text}");
    }
}

#[tokio::test]
async fn a_handler_that_takes_a_receipt_where_none_is_gets_a_neutral_500_and_one_line_in_the_log() {
    let shop = Shop::new();
    let free = Charge::new(price_fn(|_| async { Ok(None) }));
    let layer = shop.paywall().charge(free).unwrap();
    let handler = async |Paid(_): Paid| "never";
    let app = Router::new()
        .route(
            "/free-of-own-answers/{n}",
            on_get(handler).route_layer(layer),
        )
        .route("/without-layer-of-own-answers/{n}", on_get(handler));
    for (route, fix) in [
        ("/free-of-own-answers/", "take Option<Paid> instead of Paid"),
        (
            "/without-layer-of-own-answers/",
            "add .route_layer(paywall.charge(..)?)",
        ),
    ] {
        let journal = Journal::begin();
        for n in 0..3 {
            let answer = ask(&app, known(get(&format!("{route}{n}")))).await;
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.body(), "internal server error");
        }
        let lines = journal.lines();
        assert!(lines.starts_with("ERROR tower_x402 "), "{lines}");
        assert!(
            lines.contains(&format!("{route}{{n}}")) && lines.contains(fix),
            "{lines}"
        );
        assert_eq!(lines.lines().count(), 1, "{lines}");
    }
}

#[tokio::test]
async fn an_authority_that_is_not_named_is_logged_with_the_fix_once_in_a_while() {
    let (journal, shop) = (Journal::begin(), Shop::new());
    let app = app(shop.builder());
    for _ in 0..3 {
        ask(&app, with(get("/weather"), &[("host", "evil.example")])).await;
    }
    let lines = journal.lines();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(
        lines.contains(".accept_authority(..)") && !lines.contains("evil"),
        "{lines}"
    );
}

/// What the function may not set, whether the layer has set it or not.
const RESERVED: [&str; 18] = [
    "allow",
    "cache-control",
    "cdn-cache-control",
    "connection",
    "content-length",
    "content-type",
    "expires",
    "payment-receipt",
    "payment-required",
    "payment-response",
    "pragma",
    "retry-after",
    "surrogate-control",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-accel-expires",
    "x-payment-response",
];

fn change_all(answer: &mut OwnAnswer) {
    let value = HeaderValue::from_static("of the operator");
    for name in RESERVED {
        let name = HeaderName::from_static(name);
        assert!(!answer.set_header(name.clone(), value.clone()), "{name}");
    }
    assert!(answer.set_header(HeaderName::from_static("x-help"), value));
    answer.set_body(
        HeaderValue::from_static("text/html"),
        "<p>of the operator</p>",
    );
}

/// Names of headers, and their values as far as they are the same in every answer of a kind.
fn fixed(headers: &HeaderMap) -> Vec<(String, Option<HeaderValue>)> {
    let of_the_body = [header::CONTENT_LENGTH, header::CONTENT_TYPE];
    let lines = headers
        .iter()
        .filter(|(name, _)| !of_the_body.contains(name));
    let is_fresh = |name: &str| ["www-authenticate", "payment-required"].contains(&name);
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = (!is_fresh(name.as_str())).then(|| value.clone());
        (name.to_string(), value)
    };
    lines.map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn the_operators_function_changes_bodies_and_adds_headers_and_nothing_else() {
    let plain = every_answer(|builder| builder).await;
    let changed = every_answer(|builder| builder.answers(change_all)).await;
    assert_eq!(plain.len(), changed.len());
    for ((what, status, plain), (_, _, mut changed)) in plain.into_iter().zip(changed) {
        assert_eq!(changed.status(), status, "{what}");
        assert_eq!(
            changed.headers_mut().remove("x-help").unwrap(),
            "of the operator"
        );
        assert_eq!(fixed(changed.headers()), fixed(plain.headers()), "{what}");
        if status == 204 {
            assert!(changed.body().is_empty() && !changed.headers().contains_key("content-type"));
        } else {
            assert_eq!(changed.body(), "<p>of the operator</p>", "{what}");
            assert_eq!(changed.headers()["content-type"], "text/html", "{what}");
        }
    }
}

#[tokio::test]
async fn a_402_with_another_body_is_paid_as_before_and_what_it_buys_is_not_changed() {
    let shop = Shop::new();
    let app = app(shop.builder_of_every_dialect().answers(change_all));
    let call = Call::new("GET", "/weather");
    for dialect in ALL {
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        let served = ask(&app, call.with(bought.of(dialect)).request()).await;
        assert_eq!(
            (served.status(), &served.body()[..]),
            (StatusCode::OK, &b"sunny"[..])
        );
        assert!(!served.headers().contains_key("x-help"));
    }
}

#[tokio::test]
async fn the_operators_function_sees_the_answer_and_the_refusal() {
    let shop = Shop::new();
    let app = app(shop.builder().answers(|answer| {
        let refusal = answer.refusal().map_or("none", |refusal| refusal.code());
        let status = answer.status();
        let length = answer.body().len() * usize::from(answer.headers().contains_key("allow"));
        let text = format!("{status} {refusal} {length}");
        answer.set_body(HeaderValue::from_static("text/plain"), text);
    }));
    for (request, told) in [
        (get("/weather"), "402 Payment Required none 0"),
        (
            paid("/weather", &"L402 AAAA:00".parse().unwrap()),
            "402 Payment Required malformed 0",
        ),
        (
            request("PUT", "/weather", None),
            "405 Method Not Allowed none 130",
        ),
    ] {
        assert_eq!(ask(&app, request).await.body(), told);
    }
}

#[tokio::test]
async fn a_function_that_panics_leaves_the_answer_as_it_was_and_the_log_says_so() {
    let (journal, shop) = (Journal::begin(), Shop::new());
    let plain = ask(&app(shop.builder()), get("/elsewhere")).await;
    let app = app(shop.builder().answers(|answer| {
        change_all(answer);
        panic!("of the operator");
    }));
    let answer = ask(&app, get("/elsewhere")).await;
    assert_eq!(answer.status(), plain.status());
    assert_eq!(answer.headers(), plain.headers());
    assert_eq!(problem(&answer), problem(&plain));
    let lines = journal.lines();
    assert!(
        lines.starts_with("ERROR tower_x402 message=the function of .answers(..) panicked"),
        "{lines}"
    );
}
