//! Every spelling of a path: none gets a priced file for nothing.

use std::path::Path;

use axum::{Router, body::Body, routing::get as on_get};
use http::{Request, StatusCode, Uri};
use proptest::{prelude::*, test_runner::TestRunner};
use tempfile::TempDir;
use tower::Layer as _;
use tower_http::services::ServeDir;
use tower_x402::{
    Amount, RouteTable, X402Layer,
    server::{Charge, PriceRequest, price_fn},
};

use crate::shop::{Shop, ask, get, problem, reason, request};

const DEAR: &str = "worth 500 sat";

/// A folder with a priced half; the names are chosen so that sloppy spellings have something to
/// find.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for name in [
        "index.html",
        "x.txt",
        "sub/index.html",
        "sub/x.txt",
        "x.txt;v=1",
        "%2e",
        "%78.txt",
        "a b.txt",
        "\u{e9}.txt",
    ] {
        write(&format!("archive/{name}"), DEAR);
    }
    write("x.txt", "free");
    write("open/x.txt", "free");
    folder
}

fn archive(shop: &Shop) -> X402Layer {
    let table = RouteTable::new()
        .charge("GET /archive/{*path}", Amount::from_sat(500))
        .otherwise_free();
    shop.paywall().routes(table).unwrap()
}

/// The layer around a folder, and around a router that serves one half of it from a nest.
async fn serves_dear_content(
    shop: &Shop,
    root: &Path,
    method: &str,
    target: &Uri,
) -> Option<String> {
    let alone = archive(shop).layer(ServeDir::new(root));
    let nested = Router::new()
        .nest_service("/archive", ServeDir::new(root.join("archive")))
        .fallback_service(ServeDir::new(root))
        .layer(archive(shop));
    let request = || {
        Request::builder()
            .method(method)
            .uri(target.clone())
            .body(Body::empty())
            .unwrap()
    };
    let mut statuses = Vec::new();
    for answer in [ask(&alone, request()).await, ask(&nested, request()).await] {
        if answer.body() == DEAR
            || answer
                .headers()
                .get("content-length")
                .is_some_and(|length| length == "13")
        {
            return Some(format!(
                "{method} {target} gave a priced file away: {answer:?}"
            ));
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
            assert_eq!(
                serves_dear_content(&shop, folder.path(), method, &target).await,
                None
            );
        }
        let status = ask(
            &archive(&shop).layer(ServeDir::new(folder.path())),
            request("GET", &target.to_string(), None),
        )
        .await;
        assert!(
            status.status().is_client_error(),
            "{target}: {}",
            status.status()
        );
    }
}

#[test]
fn no_made_up_spelling_gets_a_priced_file_for_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
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
    let paths =
        proptest::collection::vec(piece, 1..7).prop_map(|pieces| format!("/{}", pieces.concat()));
    let mut runner = TestRunner::new(ProptestConfig::with_cases(1_500));
    let result = runner.run(&paths, |path| {
        for path in [path.clone(), path[1..].to_owned()] {
            let Ok(target) = path.parse::<Uri>() else {
                continue;
            };
            if target.path().starts_with('/') {
                let given =
                    runtime.block_on(serves_dear_content(&shop, folder.path(), "GET", &target));
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
    for other in [
        "/archive/sub/x.txt",
        "/archive/",
        "/archive/x.txt?",
        "/archive/x.txt?a",
        "/archive/./x.txt",
        "/archive/%78.txt",
    ] {
        let refused = ask(&app, request("GET", other, Some(&credential))).await;
        assert_eq!(reason(&refused), "wrong_target", "{other}");
    }
    assert_eq!(
        reason(&ask(&app, request("HEAD", "/archive/x.txt", Some(&credential))).await),
        "wrong_method"
    );
    let served = ask(&app, request("GET", "/archive/x.txt", Some(&credential))).await;
    assert_eq!(
        (served.status(), &served.body()[..]),
        (StatusCode::OK, DEAR.as_bytes())
    );
    assert_eq!(ask(&app, get("/open/x.txt")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_price_function_sees_a_path_as_the_handler_does() {
    let shop = Shop::new();
    let price = price_fn(|request: PriceRequest| async move {
        let is_premium = request.capture("path")?.starts_with("premium/");
        Ok(Some(Amount::from_sat(if is_premium { 1_000 } else { 1 })))
    });
    let layer = shop.paywall().charge(Charge::new(price)).unwrap();
    let handler = async |axum::extract::Path(path): axum::extract::Path<String>| path;
    let app = Router::new().route("/files/{*path}", on_get(handler).route_layer(layer));
    for (target, msat) in [
        ("/files/premium/a", 1_000_000),
        ("/files/%70remium/a", 1_000_000),
        ("/files/cheap/a", 1_000),
    ] {
        assert_eq!(
            problem(&ask(&app, get(target)).await)["accepts"][0]["amount_msat"],
            msat,
            "{target}"
        );
    }
}
