//! The client in the form of reqwest, over real sockets.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Redirect},
    routing::{any, get},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::net::TcpListener;
use tower_x402::{
    DialectName, MemoryStore, Paywall, Secrets,
    client::{PaidReceipt, PayErrorKind, PayingClient, Policy, Wallet},
    clock::SystemClock,
    ledger::{Budget, Ledger},
    lightning::LocalNode,
};

use crate::bank::{entries, sat};

type Seen = Arc<Mutex<Vec<(Method, String, HeaderMap, usize)>>>;

/// Two servers: one that sells `/paid` for 10 sat and redirects, and one elsewhere.
struct World {
    node: LocalNode,
    here: String,
    there: String,
    /// What the one elsewhere was sent.
    seen: Seen,
}

async fn world() -> World {
    let node = LocalNode::new();
    let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", here.local_addr().unwrap());
    let there = format!("http://{}", elsewhere.local_addr().unwrap());
    let paywall = |origin: &str| {
        Paywall::builder(node.clone())
            .origin(origin)
            .master_secret(Secrets::test_secret(7))
            .replay_store(MemoryStore::new().unwrap())
            .build()
            .unwrap()
            .charge(sat(10))
            .unwrap()
    };
    let to = there.clone();
    let leads = move |path: &'static str, status: u16| {
        let to = format!("{to}{path}");
        any(async move || {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(header::LOCATION, to)]).into_response()
        })
    };
    let to = there.clone();
    let app = Router::new()
        .route(
            "/paid",
            any(async |body: String| format!("sunny {body}")).layer(paywall(&origin)),
        )
        .route("/near", get(async || Redirect::temporary("/paid")))
        .route("/far", leads("/paid", 302))
        .route("/keep", leads("/free", 307))
        .route("/lose", leads("/free", 303))
        .route("/loop", get(async || Redirect::temporary("/loop")))
        .route(
            "/toll",
            get(async || Redirect::temporary("/paid")).layer(paywall(&origin)),
        )
        .route(
            "/sold",
            get(async move || Redirect::temporary(&format!("{to}/free"))).layer(paywall(&origin)),
        );
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let free = any(async move |request: Request| {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1_000).await.unwrap();
        let line = (head.method, head.uri.to_string(), head.headers, body.len());
        noted.lock().unwrap().push(line);
        "free"
    });
    let other = Router::new()
        .route("/paid", get(async || "rainy").layer(paywall(&there)))
        .route("/free", free);
    tokio::spawn(async move { axum::serve(here, app).await });
    tokio::spawn(async move { axum::serve(elsewhere, other).await });
    World {
        node,
        here: origin,
        there,
        seen,
    }
}

async fn wallet(world: &World, ledger: &Ledger, policy: Policy) -> Wallet {
    Wallet::builder(world.node.clone())
        .budget(Budget::total(sat(1_000)))
        .clock(SystemClock::new())
        .ledger(ledger.clone())
        .policy(policy)
        .build()
        .await
        .unwrap()
}

async fn paying(world: &World, policy: Policy) -> (PayingClient, Ledger) {
    let ledger = Ledger::in_memory();
    let policy = policy.allow_private_addresses();
    let wallet = wallet(world, &ledger, policy).await;
    (PayingClient::new(wallet).unwrap(), ledger)
}

#[tokio::test]
async fn a_request_is_paid_and_its_response_has_the_receipt_and_the_url() {
    let world = world().await;
    let (client, ledger) = paying(&world, Policy::new()).await;
    let url = format!("{}/paid?a=b", world.here);
    let answer = client.post(&url).body("hello").send().await.unwrap();
    assert_eq!(
        (answer.status(), answer.url().as_str()),
        (StatusCode::OK, url.as_str())
    );
    let receipt = answer.extensions().get::<PaidReceipt>().unwrap();
    assert_eq!(receipt.amount(), sat(10));
    assert_eq!(answer.text().await.unwrap(), "sunny hello");
    assert_eq!(entries(&ledger).len(), 1);
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_and_paid() {
    let world = world().await;
    let (client, ledger) = paying(&world, Policy::new()).await;
    let answer = client
        .get(format!("{}/near", world.here))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.url().path(), "/paid");
    assert_eq!(answer.text().await.unwrap(), "sunny ");
    assert_eq!(entries(&ledger).len(), 1);
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_followed_and_paid_only_if_that_is_allowed() {
    let world = world().await;
    let url = format!("{}/far", world.here);
    let (client, ledger) = paying(&world, Policy::new()).await;
    let error = client.get(&url).send().await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid);
    assert!(entries(&ledger).is_empty());
    let (client, _) = paying(&world, Policy::new().pay_after_redirects()).await;
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.url().as_str(), format!("{}/paid", world.there));
    assert_eq!(answer.text().await.unwrap(), "rainy");
}

#[tokio::test]
async fn a_redirect_after_a_payment_leads_to_no_other_payment() {
    let world = world().await;
    let (client, ledger) = paying(&world, Policy::new()).await;
    for _ in 0..2 {
        let before = entries(&ledger).len();
        let error = client
            .get(format!("{}/toll", world.here))
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::NotPaid);
        assert_eq!(entries(&ledger).len(), before + 1);
    }
}

#[tokio::test]
async fn neither_a_credential_nor_the_callers_secrets_cross_to_another_origin() {
    let world = world().await;
    let (client, _) = paying(&world, Policy::new()).await;
    let request = client.get(format!("{}/sold", world.here));
    let request = request
        .header(header::COOKIE, "mine")
        .header(header::ACCEPT, "text/plain");
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "free");
    let request = client.post(format!("{}/keep", world.here)).body("hello");
    let request = request.header(header::AUTHORIZATION, "Bearer mine");
    request.send().await.unwrap();
    let request = client.post(format!("{}/lose", world.here)).body("hello");
    request.send().await.unwrap();

    let seen = world.seen.lock().unwrap();
    let met: Vec<_> = seen
        .iter()
        .map(|(method, _, _, length)| (method.as_str(), *length))
        .collect();
    assert_eq!(met, [("GET", 0), ("POST", 5), ("GET", 0)]);
    for (_, _, headers, _) in &*seen {
        for name in [
            "authorization",
            "cookie",
            "payment-signature",
            "payment-authorization",
        ] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }
    assert_eq!(seen[0].2["accept"], "text/plain");
}

#[tokio::test]
async fn default_headers_go_with_a_request_and_cross_to_no_other_origin() {
    let world = world().await;
    let policy = Policy::new().allow_private_addresses();
    let wallet = wallet(&world, &Ledger::in_memory(), policy).await;
    let mut key = HeaderValue::from_static("mine");
    key.set_sensitive(true);
    let defaults = HeaderMap::from_iter([
        (header::AUTHORIZATION, "Bearer mine".parse().unwrap()),
        (header::COOKIE, "mine".parse().unwrap()),
        (HeaderName::from_static("x-api-key"), key),
        (header::ACCEPT, "text/plain".parse().unwrap()),
        (header::ACCEPT_LANGUAGE, "nb".parse().unwrap()),
    ]);
    let client = PayingClient::builder(wallet)
        .default_headers(defaults)
        .user_agent("agent")
        .build()
        .unwrap();
    let request = client.get(format!("{}/free", world.there));
    let request = request.header(header::ACCEPT_LANGUAGE, "nn");
    request.send().await.unwrap();
    let request = client.post(format!("{}/keep", world.here));
    request.body("hello").send().await.unwrap();

    let seen = world.seen.lock().unwrap();
    let [(_, _, own, _), (_, _, far, _)] = &seen[..] else {
        panic!("{seen:?}");
    };
    for (name, of_own, of_far) in [
        ("authorization", Some("Bearer mine"), None),
        ("cookie", Some("mine"), None),
        ("x-api-key", Some("mine"), None),
        ("accept", Some("text/plain"), Some("text/plain")),
        ("accept-language", Some("nn"), Some("nb")),
        ("user-agent", Some("agent"), Some("agent")),
    ] {
        let value = |headers: &HeaderMap| {
            let value = headers.get(name)?.to_str().unwrap();
            Some(value.to_owned())
        };
        assert_eq!(value(own).as_deref(), of_own, "{name}");
        assert_eq!(value(far).as_deref(), of_far, "{name}");
    }
}

#[tokio::test]
async fn a_credential_takes_the_place_of_no_default_header() {
    let world = world().await;
    let policy = Policy::new().allow_private_addresses();
    let builder = Wallet::builder(world.node.clone()).policy(policy);
    let wallet = builder.budget(Budget::total(sat(1_000)));
    let wallet = wallet.dialects([DialectName::L402]).build().await.unwrap();
    let ledger = wallet.ledger().clone();
    let key = HeaderMap::from_iter([(header::AUTHORIZATION, "Bearer mine".parse().unwrap())]);
    let client = PayingClient::builder(wallet).default_headers(key);
    let url = format!("{}/paid", world.here);
    let error = client.build().unwrap().get(url).send().await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid);
    assert!(
        error.to_string().contains("already has the header"),
        "{error}"
    );
    assert!(entries(&ledger).is_empty());
}

#[tokio::test]
async fn redirects_end_after_ten() {
    let world = world().await;
    let (client, _) = paying(&world, Policy::new()).await;
    let answer = client
        .get(format!("{}/loop", world.here))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn an_address_inside_is_refused_before_anything_is_sent() {
    let world = world().await;
    let strict = wallet(&world, &Ledger::in_memory(), Policy::new()).await;
    let client = PayingClient::new(strict).unwrap();
    let error = client
        .get(format!("{}/paid", world.here))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::Address);
}
