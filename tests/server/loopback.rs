//! The loopback names of an origin: clients may call any of them.

use axum::Router;
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use tower_x402::{
    Amount, ClientConditions, ClientRequest, DialectName, Network, clock::Clock as _, mpp, x402,
};

use crate::{
    customer::{ALL, Call, HeaderLine, payment_hash},
    shop::{Shop, ask, problem},
    traps::service,
};

/// The request that a client makes at a URL, and the checks of x402's and MPP's clients for it.
async fn bought_at(
    (shop, app): (&Shop, &Router),
    authority: &str,
    dialect: DialectName,
) -> (Call, HeaderLine) {
    let call = Call::get("/a").header("host", authority);
    let answer = ask(app, call.request()).await;
    let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
    let (url, headers) = (format!("http://{authority}/a"), HeaderMap::new());
    let asked = ClientRequest::Http {
        method: "GET",
        url: &url,
        headers: &headers,
        body_hash: Sha256::digest(b"").into(),
    };
    let conditions = ClientConditions::new(Network::Regtest, shop.clock.now());
    let line = match dialect {
        DialectName::X402 => {
            let challenge = &x402::Challenge::in_headers(answer.headers())[0];
            assert_eq!(challenge.url(), Some(&*url));
            let payable = x402::Payable::check(challenge, &asked, &conditions).unwrap();
            payable.credential(&preimage).unwrap()
        }
        DialectName::Mpp => {
            let challenge = &mpp::Challenge::in_headers(answer.headers())[0];
            let payable = mpp::Payable::check(challenge, &asked, &conditions).unwrap();
            payable.credential(&preimage).unwrap()
        }
        _ => call.credential(shop, dialect, &answer, &preimage).unwrap(),
    };
    (call, line)
}

#[tokio::test]
async fn every_name_of_a_loopback_origin_sells_in_every_dialect() {
    for origin in [
        "http://127.0.0.1:3000",
        "http://localhost:3000",
        "http://[::1]:3000",
    ] {
        for name in ["127.0.0.1:3000", "localhost:3000", "[::1]:3000"] {
            for dialect in ALL {
                let shop = Shop::new();
                let builder = tower_x402::Paywall::builder(shop.node.clone())
                    .origin(origin)
                    .master_secret(tower_x402::Secrets::test_secret(7))
                    .replay_store(shop.store.clone())
                    .clock(shop.clock.clone())
                    .dialects(ALL);
                let app = service(builder, Amount::from_sat(10));
                let (call, line) = bought_at((&shop, &app), name, dialect).await;
                let paid = call.with(&line);
                let served = ask(&app, paid.request()).await;
                assert_eq!(served.status(), StatusCode::OK, "{origin} {name} {dialect}");
                let again = ask(&app, paid.request()).await;
                assert_eq!(
                    problem(&again)["kind"],
                    "spent",
                    "{origin} {name} {dialect}"
                );
            }
        }
    }
}

/// What is bought at one loopback name is spent at all of them.
#[tokio::test]
async fn one_payment_at_a_loopback_origin_opens_once_whatever_name_it_is_presented_at() {
    for dialect in ALL {
        let shop = Shop::new();
        let builder = tower_x402::Paywall::builder(shop.node.clone())
            .origin("http://127.0.0.1:3000")
            .master_secret(tower_x402::Secrets::test_secret(7))
            .replay_store(shop.store.clone())
            .clock(shop.clock.clone())
            .dialects(ALL);
        let app = service(builder, Amount::from_sat(10));
        let (_, line) = bought_at((&shop, &app), "localhost:3000", dialect).await;
        let mut served = 0;
        for name in [
            "127.0.0.1:3000",
            "[::1]:3000",
            "localhost:3000",
            "127.0.0.1:3000",
        ] {
            let paid = Call::get("/a").header("host", name).with(&line);
            served += usize::from(ask(&app, paid.request()).await.status() == StatusCode::OK);
        }
        assert_eq!(served, 1, "{dialect}");
    }
}
