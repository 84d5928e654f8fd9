//! The URL that clients call is not always the one that this server sees: a proxy strips a prefix,
//! or a layer outside rewrites the path. Every dialect can still be paid.

use axum::{Router, body::Body, routing::get as on_get};
use http::{HeaderName, Request, StatusCode, Uri};
use tower_x402::{
    Amount, Charge, Paid,
    server::{ClientAddr, ClientUrl, PaywallBuilder},
    x402,
};

use crate::{
    customer::{ALL, Call},
    shop::{ORIGIN, Shop, ask, problem},
};

const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

fn app(builder: PaywallBuilder, charge: Charge) -> Router {
    let layer = builder.build().unwrap().charge(charge).unwrap();
    let handler = async |Paid(receipt): Paid| receipt.resource();
    Router::new().route("/{*path}", on_get(handler).route_layer(layer))
}

fn sats(sats: u32) -> Charge {
    Charge::new(Amount::from_sat(sats))
}

/// What a proxy at 10.0.0.7 makes of a request for `/v1/..`.
fn stripped(mut request: Request<Body>, strips: &str, says: &[&str]) -> Request<Body> {
    let target = request.uri().to_string();
    *request.uri_mut() = target.strip_prefix(strips).unwrap().parse().unwrap();
    for value in says {
        request.headers_mut().append(PREFIX, value.parse().unwrap());
    }
    let peer = ClientAddr::new("10.0.0.7".parse().unwrap());
    request.extensions_mut().insert(peer);
    request
}

/// The URL in the challenge of x402.
fn url(answer: &http::Response<bytes::Bytes>) -> String {
    let challenges = x402::Challenge::in_headers(answer.headers());
    challenges[0].url().unwrap().to_owned()
}

/// A client that calls this target pays in each dialect, through what changes its requests.
async fn buys(
    shop: &Shop,
    app: &Router,
    target: &str,
    through: impl Fn(Request<Body>) -> Request<Body>,
) {
    for dialect in ALL {
        let call = Call::new("GET", target);
        let answer = ask(app, through(call.request())).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
        assert_eq!(url(&answer), format!("{ORIGIN}{target}"));
        let bought = shop.bought(&call, &answer);
        let served = ask(app, through(call.with(bought.of(dialect)).request())).await;
        assert_eq!(served.status(), StatusCode::OK, "{dialect} {target}");
        let resource = format!("GET {ORIGIN}{target}");
        assert_eq!(served.body(), resource.as_bytes(), "{dialect}");
    }
}

#[tokio::test]
async fn behind_a_proxy_that_strips_a_prefix_every_dialect_is_paid_for_the_clients_url() {
    for (prefix, target) in [
        ("/v1", "/v1/weather/oslo?day=1"),
        ("/a/B-c", "/a/B-c/weather"),
        ("/v1", "/v1/v1/x%2Fy"),
    ] {
        let shop = Shop::new();
        let app = app(
            shop.builder_at(&format!("{ORIGIN}{prefix}")).dialects(ALL),
            sats(10),
        );
        buys(&shop, &app, target, |request| {
            stripped(request, prefix, &[])
        })
        .await;
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_name_the_prefix_that_it_strips() {
    for (origin, says, strips) in [
        (ORIGIN, &["/v1"][..], "/v1"),
        (ORIGIN, &["/v1/"], "/v1"),
        (ORIGIN, &["/a", "/b"], "/a/b"),
        (ORIGIN, &["/a, /b"], "/a/b"),
        (ORIGIN, &["/"], ""),
        (ORIGIN, &[], ""),
        ("https://api.example.com/v2", &["/v1"], "/v1"),
        ("https://api.example.com/v2", &[], "/v2"),
    ] {
        let shop = Shop::new();
        let builder = shop
            .builder_at(origin)
            .dialects(ALL)
            .trusted_proxy("10.0.0.7");
        let app = app(builder.proxies_send_prefix(), sats(10));
        let target = format!("{strips}/weather/oslo?day=1");
        buys(&shop, &app, &target, |request| {
            stripped(request, strips, says)
        })
        .await;
    }
}

#[tokio::test]
async fn a_prefix_counts_only_if_the_operator_says_so_and_from_a_trusted_proxy() {
    for (trusts, opts_in) in [(false, true), (true, false)] {
        let shop = Shop::new();
        let mut builder = shop.builder_of_every_dialect();
        if trusts {
            builder = builder.trusted_proxy("10.0.0.7");
        }
        if opts_in {
            builder = builder.proxies_send_prefix();
        }
        let app = app(builder, sats(10));
        let request = Call::get("/v1/weather").request();
        let answer = ask(&app, stripped(request, "/v1", &["/v1"])).await;
        assert_eq!(url(&answer), format!("{ORIGIN}/weather"));
    }
    let shop = Shop::new();
    let builder = shop.builder_of_every_dialect().trusted_proxy("10.0.0.7");
    let app = app(builder.proxies_send_prefix(), sats(10));
    for bad in [
        "v1",
        "/a//b",
        "/../x",
        "/a?b",
        "/%2e",
        "//evil",
        "/v1, x",
        "https://evil",
    ] {
        let request = Call::get("/v1/weather").request();
        let answer = ask(&app, stripped(request, "/v1", &[bad])).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{bad}");
        let detail = &problem(&answer)["detail"];
        assert_eq!(
            detail,
            "expected x-forwarded-prefix to be a path such as `/v1`"
        );
    }
    assert_eq!(shop.node.invoices_created(), 0);
}

#[tokio::test]
async fn a_layer_outside_may_say_which_url_the_client_wrote() {
    let shop = Shop::new();
    // It takes precedence over a nest, and over the path of an origin.
    let inner = app(
        shop.builder_at("https://api.example.com/v9").dialects(ALL),
        sats(10),
    );
    let nested = Router::new().nest("/inside", inner.clone());
    let rewritten = |to: &'static str| {
        move |mut request: Request<Body>| {
            let written = std::mem::replace(request.uri_mut(), Uri::from_static(to));
            request.extensions_mut().insert(ClientUrl::new(written));
            request
        }
    };
    buys(&shop, &inner, "/weather/", rewritten("/weather")).await;
    buys(&shop, &inner, "/a/../b%2Fc/?x=1", rewritten("/b/c?x=1")).await;
    buys(&shop, &nested, "/outside", rewritten("/inside/weather")).await;
    buys(&shop, &inner, "/weather", rewritten("/weather")).await;
    for bad in ["https://evil.example//x", "*"] {
        let mut request = Call::get("/weather").request();
        let written = ClientUrl::new(bad.parse().unwrap());
        request.extensions_mut().insert(written);
        assert_eq!(ask(&inner, request).await.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn two_targets_that_clients_call_by_one_url_stay_two() {
    // What a forged `X-Forwarded-Prefix` or a careless layer can do.
    for by_layer in [true, false] {
        let shop = Shop::new();
        let builder = shop.builder_of_every_dialect().trusted_proxy("10.0.0.7");
        let paywall = builder.proxies_send_prefix().build().unwrap();
        let priced = |sat| {
            let layer = paywall.charge(Amount::from_sat(sat)).unwrap();
            on_get(async || "served").route_layer(layer)
        };
        let app = Router::new()
            .route("/b/dear", priced(1))
            .route("/dear", priced(1_000));
        let through = |request: Request<Body>, target: &'static str, prefix: &str| {
            if !by_layer {
                let path = format!("{prefix}{target}");
                assert_eq!(request.uri(), &*path);
                return stripped(request, prefix, &[prefix]);
            }
            let mut request = request;
            let written = std::mem::replace(request.uri_mut(), Uri::from_static(target));
            request.extensions_mut().insert(ClientUrl::new(written));
            request
        };
        for dialect in ALL {
            let call = Call::get("/a/b/dear");
            let cheap = |call: &Call| through(call.request(), "/b/dear", "/a");
            let dear = |call: &Call| through(call.request(), "/dear", "/a/b");
            let bought = shop.bought(&call, &ask(&app, cheap(&call)).await);
            let paid = call.with(bought.of(dialect));
            let refused = ask(&app, dear(&paid)).await;
            assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
            let served = ask(&app, cheap(&paid)).await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect}");

            let bought = shop.bought(&call, &ask(&app, dear(&call)).await);
            let paid = call.with(bought.of(dialect));
            let refused = ask(&app, cheap(&paid)).await;
            assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
            let served = ask(&app, dear(&paid)).await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect}");
        }
    }
}

#[test]
fn one_name_has_one_prefix() {
    let shop = Shop::new();
    let builder = shop.builder().origin("https://api.example.com/v1");
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("is configured twice"), "{error}");
}
