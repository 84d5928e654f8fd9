//! Methods: a priced path refuses methods without a rule, and a credential for one method opens no
//! other.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Body, routing::any};
use http::{Request, StatusCode};
use tower::Layer as _;
use tower_x402::{
    Amount, DialectName, RouteTable,
    body::RequestBody,
    server::{PaywallBuilder, X402Service},
};

use crate::{
    customer::{ALL, Call, asks_for_money},
    shop::{Shop, ask, get, request},
};

struct Site {
    service: X402Service<Router>,
    served: Arc<AtomicUsize>,
}

/// A handler that takes every method everywhere, behind a table.
fn site(builder: PaywallBuilder, table: RouteTable) -> Site {
    let served = Arc::<AtomicUsize>::default();
    let count = served.clone();
    let handler = move |_: Request<Body>| async move {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let service = builder
        .build()
        .unwrap()
        .routes(table)
        .unwrap()
        .layer(Router::new().fallback(any(handler)));
    Site { service, served }
}

fn table() -> RouteTable {
    RouteTable::new()
        .charge("GET /weather/{city}", Amount::from_sat(10))
        .charge("POST /render", Amount::from_sat(10))
        .free("PUT /render")
        .otherwise_free()
}

#[tokio::test]
async fn methods_that_no_rule_names_are_405_with_allow_and_cost_no_invoice() {
    let shop = Shop::new();
    let Site { service, served } = site(shop.builder().dialects(ALL), table());
    for (target, allowed, others) in [
        (
            "/weather/oslo",
            "GET, HEAD, OPTIONS",
            &["POST", "PUT", "DELETE", "PATCH", "TRACE", "FOO"][..],
        ),
        (
            "/render",
            "POST, PUT, OPTIONS",
            &["GET", "HEAD", "DELETE", "PATCH", "TRACE", "FOO", "CONNECT"],
        ),
    ] {
        for method in others {
            let answer = ask(&service, request(method, target, None)).await;
            assert_eq!(
                answer.status(),
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {target}"
            );
            let allow = answer.headers()["allow"].to_str().unwrap();
            let sorted = |text: &str| {
                let mut words: Vec<_> = text.split(", ").map(str::to_owned).collect();
                words.sort();
                words
            };
            assert_eq!(sorted(allow), sorted(allowed), "{method} {target}");
            assert!(!asks_for_money(&answer));
        }
    }
    assert_eq!(
        (served.load(Ordering::SeqCst), shop.node.invoices_created()),
        (0, 0)
    );
    assert_eq!(
        ask(&service, request("PUT", "/render", None))
            .await
            .status(),
        StatusCode::OK
    );
    assert_eq!(
        ask(&service, request("DELETE", "/elsewhere", None))
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn options_is_answered_and_never_reaches_the_handler_of_a_priced_path() {
    let shop = Shop::new();
    let Site { service, served } = site(shop.builder(), table());
    let credential = shop.buy(&service, get("/weather/oslo")).await;
    for credential in [None, Some(&credential)] {
        let mut preflight =
            request("OPTIONS", "/weather/oslo", credential).map(|_| Body::from("a body"));
        preflight
            .headers_mut()
            .insert("access-control-request-method", "GET".parse().unwrap());
        let answer = ask(&service, preflight).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert!(
            answer.headers().contains_key("allow")
                && answer.body().is_empty()
                && !asks_for_money(&answer)
        );
    }
    let layer = shop.paywall().charge(Amount::from_sat(10)).unwrap();
    let count = served.clone();
    let handler = move || async move {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let one = Router::new().route("/render", any(handler).layer(layer));
    let answer = ask(
        &one,
        request("OPTIONS", "/render", None).map(|_| Body::from("a scene")),
    )
    .await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    for method in ["GET", "HEAD", "PUT", "TRACE", "FOO"] {
        assert_eq!(
            ask(&one, request(method, "/render", None)).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{method}"
        );
    }
    assert_eq!(served.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_credential_for_one_method_opens_no_other() {
    let shop = Shop::new();
    let table = table().charge("POST /weather/{city}", Amount::from_sat(1));
    let Site { service, served } = site(shop.builder().dialects(ALL), table);
    // The last is HTTP/2's extended CONNECT, which opens a WebSocket.
    let methods = ["GET", "HEAD", "POST", "CONNECT"];
    for dialect in ALL {
        for bought in methods {
            let call = Call {
                method: bought,
                ..Call::get("/weather/oslo")
            };
            let answer = ask(&service, call.request()).await;
            assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{bought}");
            if bought == "CONNECT" && dialect == DialectName::X402 {
                continue;
            }
            let credential = call.buy(&shop, &service, dialect).await;
            for tried in methods.into_iter().filter(|tried| *tried != bought) {
                let other = Call {
                    method: tried,
                    ..call.clone()
                };
                let answer = ask(&service, other.paid(&credential)).await;
                assert_eq!(
                    answer.status(),
                    StatusCode::PAYMENT_REQUIRED,
                    "{dialect}: bought {bought}, tried {tried}"
                );
            }
            assert_eq!(served.load(Ordering::SeqCst), 0);
            assert_eq!(
                ask(&service, call.paid(&credential)).await.status(),
                StatusCode::OK,
                "{dialect} {bought}"
            );
            served.store(0, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn a_plain_connect_names_no_path_and_buys_nothing() {
    let shop = Shop::new();
    let refusing = RouteTable::new()
        .charge("GET /weather/{city}", Amount::from_sat(10))
        .otherwise_refuse();
    let Site { service, served } = site(shop.builder(), refusing);
    let answer = ask(&service, request("CONNECT", "api.example.com:443", None)).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        (served.load(Ordering::SeqCst), shop.node.invoices_created()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_table_stands_around_any_service() {
    let shop = Shop::new();
    let plain = tower::service_fn(async |request: Request<RequestBody<Body>>| {
        let held = request.headers().contains_key("authorization");
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(format!(
            "{held} {}",
            request.uri()
        ))))
    });
    let table = RouteTable::new()
        .charge("GET /a/{*rest}", Amount::from_sat(10))
        .free("GET /health")
        .otherwise_refuse();
    let service = shop.paywall().routes(table).unwrap().layer(plain);
    let credential = shop.buy(&service, get("/a/b/c?d")).await;
    let served = ask(&service, crate::shop::paid("/a/b/c?d", &credential)).await;
    assert_eq!(served.body(), "false /a/b/c?d");
    assert_eq!(ask(&service, get("/health")).await.status(), StatusCode::OK);
    assert_eq!(
        ask(&service, get("/elsewhere")).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask(&service, get("/a/")).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert_eq!(shop.node.invoices_created(), 2);
}

#[tokio::test]
async fn a_cors_layer_outside_lets_a_page_of_another_origin_pay() {
    use tower_http::cors::{Any, CorsLayer};
    use tower_x402::server::cors;

    let shop = Shop::new();
    let Site { service, served } = site(shop.builder().dialects(ALL), table());
    let layer = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([http::Method::GET, http::Method::POST])
        .allow_headers(cors::request_headers())
        .expose_headers(cors::exposed_headers());
    let app = layer.layer(service);
    let mut preflight = request("OPTIONS", "/weather/oslo", None);
    for (name, value) in [
        ("origin", "https://page.example"),
        ("access-control-request-method", "GET"),
        (
            "access-control-request-headers",
            "authorization,payment-signature",
        ),
    ] {
        preflight.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = ask(&app, preflight).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let words = |name: &str, answer: &http::Response<bytes::Bytes>| {
        answer.headers()[name]
            .to_str()
            .unwrap()
            .split(',')
            .map(|word| word.trim().to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    let allowed = words("access-control-allow-headers", &answer);
    for name in [
        "authorization",
        "payment-signature",
        "payment-authorization",
    ] {
        assert!(allowed.iter().any(|word| word == name), "{name}");
    }
    let call = Call::get("/weather/oslo").header("origin", "https://page.example");
    let asked = ask(&app, call.request()).await;
    assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED);
    let exposed = words("access-control-expose-headers", &asked);
    for dialect in ALL {
        let credential = call.buy(&shop, &app, dialect).await;
        let answer = ask(&app, call.paid(&credential)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        for name in asked
            .headers()
            .keys()
            .chain(answer.headers().keys())
            .map(http::HeaderName::as_str)
        {
            let is_ours = name.starts_with("payment") || name == "www-authenticate";
            assert!(
                !is_ours || exposed.iter().any(|word| word == name),
                "{name} is not exposed"
            );
        }
    }
    assert_eq!(served.load(Ordering::SeqCst), 3);
}
