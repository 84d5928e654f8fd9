//! The challenge headers of a 402 stay within a budget of bytes, and every client can still pay.

use axum::{Router, routing::any};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tower_x402::{
    Amount, Charge, DialectName, internals::codec::base64, l402, mpp, server::PaywallBuilder, x402,
};

use crate::{
    customer::{ALL, Call, HeaderLine},
    hinted::Hinted,
    journal::Journal,
    shop::{Shop, ask, problem},
};

/// What stock nginx takes of all response headers with the status line, in bytes.
const NGINX: usize = 4_096;

fn app(builder: PaywallBuilder, charge: Charge) -> Router {
    let layer = builder.build().unwrap().charge(charge).unwrap();
    Router::new().route("/{*path}", any(async || "sunny").layer(layer))
}

fn described() -> Charge {
    Charge::new(Amount::from_sat(10))
        .description("the weather of one place at noon")
        .mime_type("application/json")
}

/// The bytes of all headers in HTTP/1.1, and of those that carry challenges.
fn sizes(answer: &Response<Bytes>) -> (usize, usize) {
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let names = ["www-authenticate", "payment-required", "payment-response"];
    let challenges = answer.headers().iter();
    let challenges = challenges.filter(|(name, _)| names.contains(&name.as_str()));
    (
        answer.headers().iter().map(size).sum::<usize>()
            + "HTTP/1.1 402 Payment Required\r\n\r\n".len(),
        challenges.map(size).sum(),
    )
}

/// What the headers offer: the schemes and `x402`, with a star if it has optional members.
fn offered(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all("www-authenticate").iter();
    let scheme = |line: &HeaderValue| {
        let text = line.to_str().unwrap();
        let star = if text.contains("description=") {
            "*"
        } else {
            ""
        };
        format!("{}{star}", text.split(' ').next().unwrap())
    };
    let required = headers.get_all("payment-required").iter();
    let x402 = |line: &HeaderValue| {
        let text = x402::decode_header(line.as_bytes()).unwrap();
        let star = if text.contains("mimeType") { "*" } else { "" };
        format!("x402{star}")
    };
    lines.map(scheme).chain(required.map(x402)).collect()
}

/// The challenges in the body, as the headers that they stand for.
fn in_body(answer: &Response<Bytes>) -> HeaderMap {
    let body = problem(answer);
    let all = body["challenges"].as_array().unwrap().iter();
    let line = |one: &serde_json::Value| -> HeaderLine {
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        (
            text("header").parse().unwrap(),
            text("value").parse().unwrap(),
        )
    };
    all.map(line).collect()
}

/// The invoice text of any challenge in these headers.
fn invoice(headers: &HeaderMap) -> String {
    let l402 = l402::Challenge::in_headers(headers);
    let found = l402.first().map(|one| one.invoice().to_owned());
    found
        .or_else(|| {
            let mpp = mpp::Challenge::in_headers(headers);
            let request = base64::decode_url(&*mpp.first()?.request)?;
            let json: serde_json::Value = serde_json::from_slice(&request).ok()?;
            Some(json["methodDetails"]["invoice"].as_str()?.to_owned())
        })
        .or_else(|| {
            let line = headers.get("payment-required")?;
            let text = x402::decode_header(line.as_bytes())?;
            let json: serde_json::Value = serde_json::from_str(&text).ok()?;
            Some(json["accepts"][0]["extra"]["invoice"].as_str()?.to_owned())
        })
        .unwrap()
}

#[tokio::test]
async fn a_402_with_three_route_hints_and_a_long_target_passes_stock_nginx() {
    for target in [
        "/weather".to_owned(),
        "/archive/aaaaaaaaaa".to_owned(),
        format!("/weather?{}", "q".repeat(291)),
        format!("/{}", "%C3%A9".repeat(49)),
    ] {
        let (shop, node) = (Shop::new(), Hinted::default());
        let builder = shop.builder_of(node.clone()).dialects(ALL);
        let app = app(builder, described().bind_headers(["x-account"]));
        let call = Call::new("GET", &*target);
        let answer = ask(&app, call.request()).await;
        let (all, challenges) = sizes(&answer);
        assert!(challenges <= 3_584, "{target}: {challenges}");
        assert!(all + 300 <= NGINX, "{target}: {all}, and others come");
        assert!(invoice(answer.headers()).len() > 500);

        // Clients of MPP name it. Those of the others need not, but a token spells `%` as `%25`.
        let named = call.clone().header("accept-payment", "lightning/charge");
        for (dialect, call) in [
            (DialectName::L402, &call),
            (DialectName::Mpp, &named),
            (DialectName::X402, &call),
        ] {
            if target.contains('%') && dialect == DialectName::X402 {
                continue;
            }
            let answer = ask(&app, call.request()).await;
            let preimage = node.preimage(&invoice(answer.headers()));
            let credential = call.credential(&shop, dialect, &answer, &preimage);
            let credential = credential.unwrap_or_else(|| panic!("{dialect} {target}"));
            let served = ask(&app, call.paid(&credential)).await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect} {target}");
        }

        // The body has the rest: each dialect is paid by what stands there.
        for dialect in ALL {
            let answer = ask(&app, call.request()).await;
            let mut whole = answer.clone();
            *whole.headers_mut() = in_body(&answer);
            let preimage = node.preimage(&invoice(answer.headers()));
            let credential = call.credential(&shop, dialect, &whole, &preimage).unwrap();
            let served = ask(&app, call.paid(&credential)).await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect} {target}");
        }
    }
}

#[tokio::test]
async fn the_copy_goes_first_then_optional_members_and_then_dialects() {
    let sent = async |bytes: usize| {
        let shop = Shop::new();
        let builder = shop.builder_of_every_dialect();
        let app = app(builder.challenge_header_bytes(bytes), described());
        let call = Call::get("/weather");
        let answer = ask(&app, call.request()).await;
        let bought = shop.bought(&call, &answer).dialects();
        for dialect in bought {
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            let served = ask(&app, call.with(bought.of(dialect)).request()).await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect} in {bytes}");
        }
        let sent = sizes(&answer).1;
        assert!(sent <= bytes, "{sent} of {bytes}");
        (offered(answer.headers()), sent)
    };
    let mut budget = 100_000;
    for expected in [
        &["L402", "Payment*", "LSAT", "x402*"][..],
        &["L402", "Payment*", "x402*"],
        &["L402", "Payment", "x402"],
        &["L402", "x402"],
        &["L402", "Payment"],
        &["L402"],
    ] {
        let (offered, sent) = sent(budget.max(1_024)).await;
        assert_eq!(offered, expected, "{budget}");
        budget = sent - 1;
    }
}

#[tokio::test]
async fn what_the_request_names_stands_alone_if_not_all_fit() {
    for (name, value, expected) in [
        ("accept-payment", "lightning/charge", &["Payment*"][..]),
        ("accept-payment", "tempo/charge, */*;q=0.1", &["Payment*"]),
        ("accept-payment", "tempo/charge", &["L402", "Payment*"]),
        ("accept-authenticate", "L402", &["L402", "LSAT"]),
        ("accept-authenticate", "Bearer, lsat", &["L402", "LSAT"]),
        ("accept-authenticate", "Payment", &["Payment*"]),
        ("accept-authenticate", "Bearer", &["L402", "Payment*"]),
    ] {
        let shop = Shop::new();
        let builder = shop.builder_of_every_dialect();
        let large = app(builder, Charge::new(Amount::from_sat(10)));
        let small = app(
            shop.builder_of_every_dialect()
                .challenge_header_bytes(1_700),
            described(),
        );
        let call = Call::get("/weather").header(name, value);
        let answer = ask(&small, call.request()).await;
        let star: Vec<_> = offered(answer.headers())
            .iter()
            .map(|one| one.replace('*', ""))
            .collect();
        let plain: Vec<_> = expected.iter().map(|one| one.replace('*', "")).collect();
        assert_eq!(star, plain, "{name}: {value}");
        if expected.len() == 1 {
            assert_eq!(offered(answer.headers()), expected, "in full");
        }
        assert_eq!(in_body(&answer).len(), 3, "the body has all");
        let all = offered(ask(&large, call.request()).await.headers()).len();
        assert_eq!(all, 4, "all fit");
    }
}

#[tokio::test]
async fn a_client_of_lsat_gets_that_copy_and_others_the_newer_one() {
    for (accepts, expected) in [("LSAT", "LSAT"), ("L402, LSAT", "L402"), ("L402", "L402")] {
        let shop = Shop::new();
        let builder = shop.builder().challenge_header_bytes(1_024);
        let call = Call::get("/weather").header("accept-authenticate", accepts);
        let answer = ask(&app(builder, described()), call.request()).await;
        assert_eq!(offered(answer.headers()), [expected], "{accepts}");
    }
}

#[tokio::test]
async fn the_dialect_of_a_refused_credential_stays_longest() {
    for (dialect, rest) in [
        (DialectName::X402, "x402"),
        (DialectName::Mpp, "Payment"),
        (DialectName::L402, "L402"),
    ] {
        let shop = Shop::new();
        let app = app(
            shop.builder_of_every_dialect()
                .challenge_header_bytes(1_700),
            described(),
        );
        let call = Call::get("/weather");
        let whole = shop
            .builder_of_every_dialect()
            .challenge_header_bytes(99_999);
        let whole = self::app(whole, described());
        let bought = shop.bought(&call, &ask(&whole, call.request()).await);
        let paid = call.with(bought.of(dialect));
        assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::OK);
        let refused = ask(&app, paid.request()).await;
        let offered = offered(refused.headers());
        assert!(offered.contains(&rest.to_owned()), "{dialect}: {offered:?}");
        assert!(sizes(&refused).1 <= 1_700);
        assert!(shop.bought(&call, &refused).dialects().contains(&dialect));
    }
}

#[tokio::test]
async fn mpp_is_left_out_first_if_the_request_does_not_name_it_and_then_the_last_dialect() {
    use DialectName::{L402, Mpp, X402};
    for (order, budget, expected) in [
        ([L402, Mpp, X402], 1_500, &["L402"][..]),
        ([L402, Mpp, X402], 1_600, &["L402", "Payment"]),
        ([X402, L402, Mpp], 1_500, &["x402"]),
        ([Mpp, X402, L402], 1_500, &["x402"]),
        ([Mpp, X402, L402], 2_250, &["L402", "x402"]),
    ] {
        let shop = Shop::new();
        let builder = shop.builder().dialects(order);
        let charge = Charge::new(Amount::from_sat(10));
        let app = app(builder.challenge_header_bytes(budget), charge);
        let answer = ask(&app, Call::get("/weather").request()).await;
        assert_eq!(offered(answer.headers()), expected, "{order:?}");
    }
}

#[tokio::test]
async fn one_dialect_always_stays_and_it_is_the_shortest_if_none_fits() {
    for (dialects, length, expected) in [
        (&ALL[..], 3_000, "Payment"),
        (&ALL[..], 5_000, "Payment"),
        (&[DialectName::L402, DialectName::X402], 2_500, "L402"),
        (&[DialectName::X402], 3_000, "x402"),
    ] {
        let shop = Shop::new();
        let builder = shop.builder().dialects(dialects.iter().copied());
        let app = app(builder, Charge::new(Amount::from_sat(10)));
        let call = Call::new("GET", format!("/weather?{}", "q".repeat(length)));
        let answer = ask(&app, call.request()).await;
        assert_eq!(offered(answer.headers()), [expected], "{length}");
        let bought = shop.bought(&call, &answer);
        let served = ask(&app, call.with(bought.of(bought.dialects()[0])).request()).await;
        assert_eq!(served.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn what_was_left_out_is_logged_once_with_the_sizes_and_the_setting_of_nginx() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let fits = app(shop.builder_of_every_dialect(), described());
    ask(&fits, Call::get("/a").request()).await;
    let logged = || -> Vec<String> {
        let lines = journal.lines();
        let own = lines.lines().filter(|line| line.contains("challenge"));
        own.map(str::to_owned).collect()
    };
    assert_eq!(logged().len(), 0, "{:?}", logged());
    // Another thread may have registered the event while this one began to listen.
    tracing::callsite::rebuild_interest_cache();
    let builder = shop.builder_of_every_dialect();
    let app = app(builder.challenge_header_bytes(2_000), described());
    let answer = ask(&app, Call::get("/a").request()).await;
    let whole = ask(&fits, Call::get("/a").request()).await;
    ask(&app, Call::get("/a").request()).await;
    assert_eq!(logged().len(), 1, "once: {:?}", logged());
    let logged = logged().remove(0);
    for part in [
        format!("{} bytes of challenge headers", sizes(&whole).1),
        format!("{} bytes were sent", sizes(&answer).1),
        ".challenge_header_bytes(2000)".to_owned(),
        "proxy_buffer_size 16k;".to_owned(),
        "whole dialects".to_owned(),
    ] {
        assert!(logged.contains(&part), "{part}: {logged}");
    }
    assert!(logged.starts_with("WARN"));
}

#[tokio::test]
async fn a_challenge_that_is_longer_than_the_budget_alone_is_logged_and_no_dialect_is_missed() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let builder = shop.builder().dialects([DialectName::X402]);
    let app = app(builder, Charge::new(Amount::from_sat(10)));
    ask(&app, Call::get("/a").request()).await;
    tracing::callsite::rebuild_interest_cache();
    for _ in 0..2 {
        let call = Call::new("GET", format!("/a?{}", "q".repeat(3_000)));
        ask(&app, call.request()).await;
    }
    let lines = journal.lines();
    assert_eq!(lines.matches("proxy_buffer_size").count(), 1, "{lines}");
    assert!(!lines.contains("whole dialects"), "{lines}");
    let line = lines.lines().find(|line| line.contains("proxy_buffer"));
    let line = line.unwrap();
    assert!(
        line.starts_with("INFO") && line.contains("every client can still pay"),
        "{line}"
    );
}

#[test]
fn a_budget_that_holds_no_challenge_is_refused() {
    for (bytes, is_good) in [
        (0, false),
        (1_023, false),
        (1_024, true),
        (usize::MAX, true),
    ] {
        let built = Shop::new().builder().challenge_header_bytes(bytes).build();
        assert_eq!(built.is_ok(), is_good, "{bytes}");
    }
}
