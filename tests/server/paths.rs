//! Every spelling of a path and of an authority: none gets a priced file for nothing, none moves what is bound.

use std::path::Path;

use axum::{Router, body::Body, routing::get as on_get};
use http::{Request, StatusCode, Uri};
use proptest::{prelude::*, test_runner::TestRunner};
use tempfile::TempDir;
use tower::Layer as _;
use tower_http::services::ServeDir;
use tower_x402::{
    Amount, DialectName, RouteTable, X402Layer, mpp,
    server::{Charge, ClientAddr, PriceRequest, price_fn},
    x402::{PaymentRequired, decode_header},
};

use crate::{
    shop::{ORIGIN, Shop, ask, get, problem, reason, request},
    trade::{Call, EVERY},
};

const DEAR: &str = "worth 500 sat";

/// A folder with a priced half; the names are chosen so that sloppy spellings have something to find.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for name in ["index.html", "x.txt", "sub/index.html", "sub/x.txt", "x.txt;v=1", "%2e", "%78.txt", "a b.txt", "\u{e9}.txt"] {
        write(&format!("archive/{name}"), DEAR);
    }
    write("x.txt", "free");
    write("open/x.txt", "free");
    folder
}

fn archive(shop: &Shop) -> X402Layer {
    let table = RouteTable::new().charge("GET /archive/{*path}", Amount::from_sat(500)).otherwise_free();
    shop.paywall().routes(table).unwrap()
}

/// The layer around a folder, and around a router that serves one half of it from a nest.
async fn serves_dear_content(shop: &Shop, root: &Path, method: &str, target: &Uri) -> Option<String> {
    let alone = archive(shop).layer(ServeDir::new(root));
    let nested = Router::new()
        .nest_service("/archive", ServeDir::new(root.join("archive")))
        .fallback_service(ServeDir::new(root))
        .layer(archive(shop));
    let request = || Request::builder().method(method).uri(target.clone()).body(Body::empty()).unwrap();
    let mut statuses = Vec::new();
    for answer in [ask(&alone, request()).await, ask(&nested, request()).await] {
        if answer.body() == DEAR || answer.headers().get("content-length").is_some_and(|length| length == "13") {
            return Some(format!("{method} {target} gave a priced file away: {answer:?}"));
        }
        statuses.push(answer.status());
    }
    None
}

#[tokio::test]
async fn no_spelling_of_a_path_gets_a_priced_file_for_nothing() {
    let (shop, folder) = (Shop::new(), folder());
    for target in [
        "/archive",
        "/archive/",
        "/archive/x.txt",
        "/archive/x.txt/",
        "/archive/x.txt?a=b",
        "//archive/x.txt",
        "//archive/..",
        "/archive//x.txt",
        "/archive/./x.txt",
        "/archive/../archive/x.txt",
        "/open/../archive/x.txt",
        "/open/%2e%2e/archive/x.txt",
        "/%61rchive/x.txt",
        "/%61rchive/..",
        "/archive/%78.txt",
        "/archive%2Fx.txt",
        "/archive%2fsub%2Fx.txt",
        "/archive%5Cx.txt",
        "/archive/x.txt;v=1",
        "/archive;v=1/x.txt",
        "/archive/sub",
        "/archive/sub/",
        "/ARCHIVE/X.TXT",
        "/archive/x.txt%00",
        "/archive/%252e",
        "/%2561rchive/x.txt",
        "/archive/%252e%252e/archive/x.txt",
        "/archive/a%20b.txt",
        "/archive/%C3%A9.txt",
        "/archive%c0%afx.txt",
        "http://api.example.com/archive/x.txt",
    ] {
        let target: Uri = target.parse().unwrap();
        for method in ["GET", "HEAD"] {
            assert_eq!(serves_dear_content(&shop, folder.path(), method, &target).await, None);
        }
        let status = ask(&archive(&shop).layer(ServeDir::new(folder.path())), request("GET", &target.to_string(), None)).await;
        assert!(status.status().is_client_error(), "{target}: {}", status.status());
    }
}

#[test]
fn no_made_up_spelling_gets_a_priced_file_for_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (shop, folder) = (Shop::new(), folder());
    let piece = prop_oneof![
        Just("/archive"),
        Just("/"),
        Just("//"),
        Just("x.txt"),
        Just("sub"),
        Just(".."),
        Just("."),
        Just("%2e"),
        Just("%2E%2e"),
        Just("%2f"),
        Just("%5c"),
        Just("\\"),
        Just(";v=1"),
        Just("%61rchive"),
        Just("%2561rchive"),
        Just("archive"),
        Just("open"),
        Just("%00"),
        Just("%78.txt"),
        Just("%252f"),
        Just("ARCHIVE"),
        Just("%C3%A9.txt"),
        Just("%"),
        Just("%e9"),
        Just("%25"),
    ];
    let paths = proptest::collection::vec(piece, 1..7).prop_map(|pieces| format!("/{}", pieces.concat()));
    let mut runner = TestRunner::new(ProptestConfig::with_cases(1_500));
    let result = runner.run(&paths, |path| {
        for path in [path.clone(), path[1..].to_owned()] {
            let Ok(target) = path.parse::<Uri>() else { continue };
            if target.path().starts_with('/') {
                let given = runtime.block_on(serves_dear_content(&shop, folder.path(), "GET", &target));
                prop_assert_eq!(given, None);
            }
        }
        Ok(())
    });
    result.unwrap();
}

#[tokio::test]
async fn who_paid_for_a_file_gets_it_and_no_other() {
    let (shop, folder) = (Shop::new(), folder());
    let app = archive(&shop).layer(ServeDir::new(folder.path()));
    let credential = shop.buy(&app, get("/archive/x.txt")).await;
    for other in
        ["/archive/sub/x.txt", "/archive/", "/archive/x.txt?", "/archive/x.txt?a", "/archive/./x.txt", "/archive/%78.txt"]
    {
        let refused = ask(&app, request("GET", other, Some(&credential))).await;
        assert_eq!(reason(&refused), "wrong_target", "{other}");
    }
    assert_eq!(reason(&ask(&app, request("HEAD", "/archive/x.txt", Some(&credential))).await), "wrong_method");
    let served = ask(&app, request("GET", "/archive/x.txt", Some(&credential))).await;
    assert_eq!((served.status(), &served.body()[..]), (StatusCode::OK, DEAR.as_bytes()));
    assert_eq!(ask(&app, get("/open/x.txt")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_price_function_sees_a_path_as_the_handler_does() {
    let shop = Shop::new();
    let price = price_fn(|request: PriceRequest| async move {
        let is_premium = request.capture("path")?.starts_with("premium/");
        Ok(Some(Amount::from_sat(if is_premium { 1_000 } else { 1 })))
    });
    let layer = shop.paywall().charge(Charge::of(price)).unwrap();
    let handler = async |axum::extract::Path(path): axum::extract::Path<String>| path;
    let app = Router::new().route("/files/{*path}", on_get(handler).route_layer(layer));
    for (target, msat) in [("/files/premium/a", 1_000_000), ("/files/%70remium/a", 1_000_000), ("/files/cheap/a", 1_000)] {
        assert_eq!(problem(&ask(&app, get(target)).await)["accepts"][0]["amount_msat"], msat, "{target}");
    }
}

fn weather(shop: &Shop) -> Router {
    let paywall = shop.builder_of_every_dialect().trusted_proxy("10.0.0.0/8").accept_authority("internal:8080").build().unwrap();
    let layer = paywall.routes(RouteTable::new().charge("GET /{*path}", Amount::from_sat(10)).otherwise_refuse()).unwrap();
    Router::new().route("/{*path}", on_get(async || "sunny")).layer(layer)
}

#[tokio::test]
async fn what_is_bound_is_the_configured_origin_whatever_the_requester_says() {
    let shop = Shop::new();
    let app = weather(&shop);
    for (peer, target, lines) in [
        ("203.0.113.1", "/weather", &[][..]),
        ("203.0.113.1", "/weather", &[("host", "api.example.com:443")]),
        ("203.0.113.1", "/weather", &[("host", "API.example.com")]),
        ("203.0.113.1", "/weather", &[("host", "127.0.0.1:3000")]),
        ("203.0.113.1", "/weather", &[("host", "internal:8080")]),
        ("203.0.113.1", "http://api.example.com/weather", &[]),
        ("203.0.113.1", "/weather", &[("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")]),
        ("203.0.113.1", "/weather", &[("x-forwarded-prefix", "/evil"), ("x-original-url", "/evil"), ("x-rewrite-url", "/evil")]),
        ("10.0.0.1", "/weather", &[("host", "backend"), ("x-forwarded-host", "api.example.com"), ("x-forwarded-proto", "http")]),
        ("10.0.0.1", "/weather", &[("host", "api.example.com"), ("x-forwarded-host", "evil.example")]),
    ] {
        let mut request = get(target);
        request.extensions_mut().insert(ClientAddr::new(peer.parse().unwrap()));
        for (name, value) in lines {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let answer = ask(&app, request).await;
        let bought = shop.bought(&Call::new("GET", "/weather"), &answer);
        assert_eq!(bought.dialects(), EVERY);
        let required = decode_header(answer.headers()["payment-required"].as_bytes()).unwrap();
        assert_eq!(PaymentRequired::from_json(&required).unwrap().url(), Some("https://api.example.com/weather"), "{lines:?}");
        assert_eq!(mpp::Challenge::all(answer.headers())[0].realm, "api.example.com", "{lines:?}");
    }
}

#[tokio::test]
async fn a_request_for_somebody_else_is_421_and_costs_nothing() {
    let shop = Shop::new();
    let app = weather(&shop);
    for (peer, target, lines) in [
        ("203.0.113.1", "/weather", &[("host", "evil.example")][..]),
        ("203.0.113.1", "/weather", &[("host", "api.example.com.evil.example")]),
        ("203.0.113.1", "/weather", &[("host", "api.example.com:444")]),
        ("203.0.113.1", "/weather", &[("host", "user@api.example.com")]),
        ("203.0.113.1", "/weather", &[("host", "api.example.com/x")]),
        ("203.0.113.1", "/weather", &[("host", "api.example.com, ")]),
        ("203.0.113.1", "/weather", &[("host", "")]),
        ("203.0.113.1", "/weather", &[("host", "backend"), ("x-forwarded-host", "api.example.com")]),
        ("203.0.113.1", "http://evil.example/weather", &[]),
        ("203.0.113.1", "http://user@api.example.com/weather", &[]),
        ("10.0.0.1", "/weather", &[("host", "backend"), ("x-forwarded-host", "evil.example")]),
        ("10.0.0.1", "/weather", &[("host", "backend"), ("x-forwarded-host", "//, api.example.com")]),
        ("10.0.0.1", "/weather", &[("host", "api.example.com"), ("x-forwarded-proto", "//")]),
    ] {
        let mut request = get(target);
        request.extensions_mut().insert(ClientAddr::new(peer.parse().unwrap()));
        for (name, value) in lines {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let answer = ask(&app, request).await;
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{target} {lines:?}");
        let detail = problem(&answer)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("accept_authority") || detail.contains("a name with an optional port"), "{detail}");
    }
    let slashes = ask(&app, get("//evil.example/x")).await;
    assert_eq!(slashes.status(), StatusCode::BAD_REQUEST);
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn what_was_bought_at_one_origin_is_refused_at_another() {
    let shop = Shop::new();
    let paywall = shop.builder_of_every_dialect().origin("https://other.example.com").build().unwrap();
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(async || "sunny").route_layer(layer));
    let here = Call::new("GET", "/weather").header("host", ORIGIN.strip_prefix("https://").unwrap());
    for (dialect, word) in [
        (DialectName::L402, "unknown_key"),
        (DialectName::Mpp, "invalid-challenge"),
        (DialectName::X402, "invalid_exact_lnbtc_request_mismatch"),
    ] {
        let bought = shop.bought(&here, &ask(&app, here.request()).await);
        let there = Call::new("GET", "/weather").header("host", "other.example.com").with(bought.of(dialect));
        assert_eq!(reason(&ask(&app, there.request()).await), word);
        assert_eq!(ask(&app, here.with(bought.of(dialect)).request()).await.status(), StatusCode::OK);
    }
}
