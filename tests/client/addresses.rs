//! Addresses to which an agent's URL must not lead.

use std::convert::Infallible;

use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use tower::{Layer as _, ServiceExt as _};
use tower_x402::client::{AutoPayLayer, GuardedResolver, Money, PayErrorKind, Policy};

use crate::{
    bank::{Bank, sat},
    hostile::sells,
    stall::{Body, answer, ask, client, get},
};

#[tokio::test]
async fn a_url_that_leads_inside_is_not_even_asked() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let (client, seen) = client(&wallet, |_| async { answer(200) });
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8080/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://api.localhost/",
        "http://10.0.0.1/",
        "http://100.64.0.1/",
        "http://user@example.com/",
        "/relative",
    ] {
        let error = ask(&client, get(url)).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::Address, "{url}");
        assert!(matches!(error.money(), Money::NotSent));
    }
    assert!(seen.lock().unwrap().is_empty());
    ask(&client, get("https://1.1.1.1/")).await.unwrap();
}

#[tokio::test]
async fn local_addresses_are_paid_once_that_is_allowed() {
    let bank = Bank::new();
    let policy = Policy::new().allow_private_addresses();
    let wallet = bank
        .builder(&bank.ledger())
        .policy(policy)
        .build()
        .await
        .unwrap();
    let (client, _) = client(&wallet, sells(&bank.node, sat(1)));
    ask(&client, get("http://127.0.0.1:3000/")).await.unwrap();
    ask(&client, get("http://localhost:3000/")).await.unwrap();
    let error = ask(&client, get("http://10.0.0.1/")).await.unwrap_err();
    assert_eq!(
        error.kind(),
        PayErrorKind::NotPaid,
        "http is for this machine alone"
    );
    assert_eq!(bank.payments(), 2);
}

#[tokio::test]
async fn plain_http_to_another_machine_is_not_paid() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let (client, _) = client(&wallet, sells(&bank.node, sat(1)));
    let error = ask(&client, get("http://shop.example/")).await.unwrap_err();
    assert!(error.to_string().contains("https alone"), "{error}");
    assert_eq!(bank.asked(), 0);
}

#[tokio::test]
async fn a_name_that_resolves_inside_is_not_connected_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inside = listener.local_addr().unwrap();
    let resolves = move |_: Name| async move { Ok::<_, Infallible>([inside].into_iter()) };
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let asks = |guarded| {
        let resolver = tower::service_fn(resolves);
        let url = format!("http://rebound.example:{}/", inside.port());
        let layer = AutoPayLayer::new(wallet.clone());
        async move {
            let executor = TokioExecutor::new();
            match guarded {
                true => {
                    let connector =
                        HttpConnector::new_with_resolver(GuardedResolver::around(resolver));
                    let client = Client::builder(executor).build::<_, Body>(connector);
                    layer
                        .layer(client)
                        .oneshot(get(&url))
                        .await
                        .map(drop)
                        .map_err(|error| {
                            std::error::Error::source(&error)
                                .map(ToString::to_string)
                                .unwrap_or_default()
                        })
                }
                false => {
                    let connector = HttpConnector::new_with_resolver(resolver);
                    let client = Client::builder(executor).build::<_, Body>(connector);
                    layer
                        .layer(client)
                        .oneshot(get(&url))
                        .await
                        .map(drop)
                        .map_err(|_| String::new())
                }
            }
        }
    };
    let error = asks(true).await.unwrap_err();
    assert!(error.contains("dns") || error.contains("public"), "{error}");
    // Without it, the connection would have been made.
    let asking = tokio::spawn(asks(false));
    drop(listener.accept().await.unwrap());
    asking.abort();
}
