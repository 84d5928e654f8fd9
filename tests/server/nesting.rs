//! Nested routers: which path is priced, and which is bound.

use std::num::NonZeroU32;

use axum::{
    Router,
    extract::Path,
    routing::{get as on_get, post as on_post},
};
use http::{Request, StatusCode};
use tower::ServiceExt as _;
use tower_x402::{Amount, Charge, Paid, Paywall, RouteTable};

use crate::{
    customer::{ALL, Call, asks_for_money},
    shop::{Shop, ask, get, paid, reason, request},
};

async fn resource(Path(_): Path<Vec<(String, String)>>, Paid(receipt): Paid) -> String {
    receipt.resource()
}

fn uses() -> Charge {
    Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(9).unwrap())
}

/// The same routes at two places, priced by a charge on the route.
fn charged(paywall: &Paywall, charge: Charge) -> Router {
    let inner = Router::new().route(
        "/weather/{city}",
        on_get(resource).route_layer(paywall.charge(charge).unwrap()),
    );
    Router::new()
        .nest("/v1", inner.clone())
        .nest("/v2/{tenant}", inner)
}

/// The same, priced by a table inside each nest.
fn tabled(paywall: &Paywall, charge: Charge) -> Router {
    let table = RouteTable::new()
        .charge("GET /weather/{city}", charge)
        .otherwise_refuse();
    let inner = Router::new()
        .route("/weather/{city}", on_get(resource))
        .layer(paywall.routes(table).unwrap());
    Router::new()
        .nest("/v1", inner.clone())
        .nest("/v2/{tenant}", inner)
}

#[tokio::test]
async fn inside_a_nest_the_whole_url_is_bound_in_every_dialect() {
    for site in [charged, tabled] {
        let shop = Shop::new();
        let app = site(
            &shop.paywall_of_every_dialect(),
            Amount::from_sat(10).into(),
        );
        for dialect in ALL {
            let call = Call::get("/v1/weather/oslo?day=1");
            let credential = call.buy(&shop, &app, dialect).await;
            for other in [
                "/v2/a/weather/oslo?day=1",
                "/v1/weather/oslo",
                "/v1/weather/bergen?day=1",
            ] {
                let answer = ask(&app, Call::get(other).paid(&credential)).await;
                assert_eq!(
                    answer.status(),
                    StatusCode::PAYMENT_REQUIRED,
                    "{dialect} {other}"
                );
            }
            let served = ask(&app, call.paid(&credential)).await;
            assert_eq!(
                served.body(),
                "GET https://api.example.com/v1/weather/oslo?day=1",
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn several_uses_are_bound_to_the_nest_and_the_pattern() {
    for site in [charged, tabled] {
        let shop = Shop::new();
        let app = site(&shop.paywall(), uses());
        let credential = shop.buy(&app, get("/v1/weather/oslo")).await;
        assert_eq!(
            ask(&app, paid("/v1/weather/bergen?day=2", &credential))
                .await
                .status(),
            StatusCode::OK
        );
        assert_eq!(
            reason(&ask(&app, paid("/v2/a/weather/oslo", &credential)).await),
            "wrong_route"
        );
    }
}

#[tokio::test]
async fn a_table_in_a_nest_binds_its_uses_to_one_tenant() {
    let shop = Shop::new();
    let app = tabled(&shop.paywall(), uses());
    let credential = shop.buy(&app, get("/v2/a/weather/oslo")).await;
    assert_eq!(
        ask(&app, paid("/v2/a/weather/bergen", &credential))
            .await
            .status(),
        StatusCode::OK
    );
    assert_eq!(
        reason(&ask(&app, paid("/v2/b/weather/oslo", &credential)).await),
        "wrong_route"
    );
}

#[tokio::test]
async fn rules_written_with_the_nests_prefix_serve_nothing_and_are_500() {
    let shop = Shop::new();
    let tables = [
        RouteTable::new()
            .charge("GET /v1/weather/{city}", Amount::from_sat(10))
            .otherwise_free(),
        RouteTable::new()
            .charge("GET /v1/weather/{city}", Amount::from_sat(10))
            .otherwise_refuse(),
        RouteTable::new()
            .charge("POST /v1/weather/{city}", Amount::from_sat(10))
            .otherwise_free(),
    ];
    for table in tables {
        let inner = Router::new()
            .route("/weather/{city}", on_get(async || "for nothing"))
            .route("/health", on_get(async || "well"))
            .layer(shop.paywall().routes(table).unwrap());
        let app = Router::new().nest("/v1", inner);
        for target in [
            "/v1/weather/oslo",
            "/v1/%77eather/oslo",
            "/v1//weather/oslo",
            "/V1/weather/oslo",
        ] {
            let answer = ask(&app, get(target)).await;
            assert!(
                !answer.status().is_success() && !asks_for_money(&answer),
                "{target}: {answer:?}"
            );
        }
        assert_eq!(
            ask(&app, get("/v1/weather/oslo")).await.status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn a_layer_that_rewrites_paths_outside_the_table_is_priced_by_what_the_handler_sees() {
    let shop = Shop::new();
    let table = RouteTable::new()
        .charge("GET /dear/{x}", Amount::from_sat(100))
        .charge("GET /cheap/{x}", Amount::from_sat(1))
        .otherwise_free();
    let layer = shop.paywall_of_every_dialect().routes(table).unwrap();
    let priced = tower::Layer::layer(
        &layer,
        Router::new()
            .route("/dear/{x}", on_get(async || "dear"))
            .route("/cheap/{x}", on_get(async || "cheap")),
    );
    let rewritten = priced.map_request(|mut request: Request<axum::body::Body>| {
        let target = request.uri().to_string().replacen("/shop/", "/dear/", 1);
        *request.uri_mut() = target.parse().unwrap();
        request
    });
    let cheap = Call::get("/cheap/a")
        .buy(&shop, &rewritten, tower_x402::DialectName::L402)
        .await;
    let answer = ask(&rewritten, Call::get("/shop/a").paid(&cheap)).await;
    assert_eq!(
        crate::customer::invoice(&answer).amount(),
        Some(Amount::from_sat(100))
    );
}

#[tokio::test]
async fn with_route_layer_axum_answers_for_methods_and_paths_it_does_not_have() {
    let shop = Shop::new();
    let paywall = shop.paywall();
    let app = Router::new().route(
        "/weather/{city}",
        on_get(resource)
            .merge(on_post(resource))
            .route_layer(paywall.charge(Amount::from_sat(10)).unwrap()),
    );
    assert_eq!(
        ask(&app, request("DELETE", "/weather/oslo", None))
            .await
            .status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        ask(&app, get("/elsewhere")).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask(&app, request("HEAD", "/weather/oslo", None))
            .await
            .status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert_eq!(shop.node.invoices_created(), 1);
}

#[tokio::test]
async fn a_table_leaves_404_to_the_router_or_refuses_by_itself() {
    let shop = Shop::new();
    let router = || {
        Router::new()
            .route("/weather/{city}", on_get(resource))
            .route("/open", on_get(async || "open"))
    };
    let table = || RouteTable::new().charge("GET /weather/{city}", Amount::from_sat(10));
    let free = router().layer(shop.paywall().routes(table().otherwise_free()).unwrap());
    let refusing = router().layer(shop.paywall().routes(table().otherwise_refuse()).unwrap());
    assert_eq!(ask(&free, get("/open")).await.status(), StatusCode::OK);
    assert_eq!(
        ask(&free, get("/elsewhere")).await.status(),
        StatusCode::NOT_FOUND
    );
    for target in ["/open", "/elsewhere"] {
        let answer = ask(&refusing, get(target)).await;
        assert_eq!(
            (
                answer.status(),
                answer.headers().get("cache-control").is_some()
            ),
            (StatusCode::NOT_FOUND, true)
        );
    }
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn a_broken_path_before_the_nest_is_400_before_a_price() {
    for site in [charged, tabled] {
        let shop = Shop::new();
        let served = site(
            &shop.paywall_of_every_dialect(),
            Amount::from_sat(10).into(),
        );
        let outer = Router::new().nest("/o/{org}", served.clone()).merge(served);
        for prefix in [
            "%FF",
            "%00",
            "%c3%28",
            "a%0Ab",
            "%7F",
            "%2500",
            "%25ff",
            "%252500",
            "%ed%a0%80",
        ] {
            for target in [
                format!("/v2/{prefix}/weather/oslo"),
                format!("/o/{prefix}/v1/weather/oslo?day=1"),
            ] {
                for method in ["GET", "HEAD"] {
                    let answer = ask(&outer, request(method, &target, None)).await;
                    assert_eq!(
                        answer.status(),
                        StatusCode::BAD_REQUEST,
                        "{method} {target}"
                    );
                    assert!(!asks_for_money(&answer), "{method} {target}");
                }
            }
        }
        assert_eq!(shop.node.invoices_created(), 0);
        for prefix in ["caf%C3%A9", "a%20b", "A", "a%2541"] {
            let answer = ask(&outer, get(&format!("/v2/{prefix}/weather/oslo"))).await;
            assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{prefix}");
        }
    }
}
