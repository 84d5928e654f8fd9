//! One payment in three dialects is redeemed once, in one of them, and for its own request only.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, routing::any};
use bytes::Bytes;
use http::StatusCode;
use tower_x402::{Amount, DialectName, Paid};

use crate::{
    customer::{ALL, Call, asks_for_money, payment_hash},
    shop::{Shop, ask, problem, reason},
};

fn site(shop: &Shop, served: &Arc<AtomicUsize>) -> Router {
    let paywall = shop.paywall_of_every_dialect();
    let served = served.clone();
    let handler = move |Paid(receipt): Paid| async move {
        served.fetch_add(1, Ordering::SeqCst);
        receipt.dialect().to_string()
    };
    Router::new().route(
        "/render",
        any(handler).layer(paywall.charge(Amount::from_sat(10)).unwrap()),
    )
}

#[tokio::test]
async fn each_dialect_opens_what_was_bought_once() {
    let (shop, served) = (Shop::new(), Arc::default());
    let app = site(&shop, &served);
    for call in [
        Call::get("/render?size=2"),
        Call::post("/render", b"a scene"),
    ] {
        for dialect in ALL {
            let credential = call.buy(&shop, &app, dialect).await;
            let answer = ask(&app, call.paid(&credential)).await;
            assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
            assert_eq!(answer.body(), dialect.as_str());
            let expected = match dialect {
                DialectName::Mpp => Some("payment-receipt"),
                DialectName::X402 => Some("payment-response"),
                _ => None,
            };
            for name in ["payment-receipt", "payment-response"] {
                assert_eq!(
                    answer.headers().contains_key(name),
                    expected == Some(name),
                    "{dialect} {name}"
                );
            }
            let again = ask(&app, call.paid(&credential)).await;
            assert!(asks_for_money(&again));
            assert_eq!(problem(&again)["dialect"], dialect.as_str());
        }
    }
    assert_eq!(served.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_payment_redeemed_in_one_dialect_is_spent_in_the_others_now_and_hours_later() {
    let call = Call::post("/render", b"a scene");
    for first in ALL {
        for wait in [0, 200, 3_600, 5 * 3_600, 23 * 3_600] {
            let (shop, served) = (Shop::new(), Arc::<AtomicUsize>::default());
            let app = site(&shop, &served);
            let answer = ask(&app, call.request()).await;
            let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
            let credentials = ALL.map(|dialect| {
                (
                    dialect,
                    call.credential(&shop, dialect, &answer, &preimage).unwrap(),
                )
            });
            let of = |name| {
                &credentials
                    .iter()
                    .find(|(dialect, _)| *dialect == name)
                    .unwrap()
                    .1
            };
            assert_eq!(
                ask(&app, call.paid(of(first))).await.status(),
                StatusCode::OK
            );
            shop.clock.advance(Duration::from_secs(wait));
            // Others come and go meanwhile, so that the store prunes what it may.
            Call::get("/render")
                .buy(&shop, &app, DialectName::L402)
                .await;
            for (dialect, credential) in &credentials {
                let answer = ask(&app, call.paid(credential)).await;
                assert_eq!(
                    answer.status(),
                    StatusCode::PAYMENT_REQUIRED,
                    "{first}, then {dialect} after {wait} s"
                );
                if *dialect == DialectName::L402 {
                    assert_eq!(reason(&answer), "spent");
                }
            }
            assert_eq!(served.load(Ordering::SeqCst), 1);
        }
    }
}

#[tokio::test]
async fn all_dialects_at_once_serve_one_request() {
    let (shop, served) = (Shop::new(), Arc::<AtomicUsize>::default());
    let app = site(&shop, &served);
    let call = Call::post("/render", b"a scene");
    for _ in 0..20 {
        let answer = ask(&app, call.request()).await;
        let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
        let [l402, mpp, x402] =
            ALL.map(|dialect| call.credential(&shop, dialect, &answer, &preimage).unwrap());
        let before = served.load(Ordering::SeqCst);
        let racing = [l402, mpp, x402].map(|credential| {
            let (app, request) = (app.clone(), call.paid(&credential));
            tokio::spawn(async move { ask(&app, request).await.status() })
        });
        let statuses: Vec<_> = futures_util::future::join_all(racing)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            statuses.iter().filter(|status| status.is_success()).count(),
            1,
            "{statuses:?}"
        );
        assert_eq!(served.load(Ordering::SeqCst), before + 1);
    }
}

#[tokio::test]
async fn credentials_of_two_dialects_in_one_request_are_400_and_cost_nothing() {
    let (shop, served) = (Shop::new(), Arc::<AtomicUsize>::default());
    let app = site(&shop, &served);
    let call = Call::get("/render");
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let (first, second) = (
            call.buy(&shop, &app, ALL[one]).await,
            call.buy(&shop, &app, ALL[other]).await,
        );
        let made = shop.node.invoices_created();
        let mut both = call.paid(&first);
        both.headers_mut().append(&second.0, second.1.clone());
        let answer = ask(&app, both).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(!asks_for_money(&answer));
        assert_eq!(
            (served.load(Ordering::SeqCst), shop.node.invoices_created()),
            (0, made)
        );
        for credential in [&first, &second] {
            assert_eq!(
                ask(&app, call.paid(credential)).await.status(),
                StatusCode::OK
            );
        }
        served.store(0, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn two_payment_credentials_in_one_request_are_400() {
    let (shop, served) = (Shop::new(), Arc::<AtomicUsize>::default());
    let app = site(&shop, &served);
    let call = Call::get("/render");
    let (first, second) = (
        call.buy(&shop, &app, DialectName::Mpp).await,
        call.buy(&shop, &app, DialectName::Mpp).await,
    );
    let mut both = call.paid(&first);
    both.headers_mut().append(&second.0, second.1.clone());
    assert_eq!(ask(&app, both).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ask(&app, call.paid(&first)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn no_dialects_credential_opens_another_method_target_or_body() {
    let (shop, served) = (Shop::new(), Arc::<AtomicUsize>::default());
    let app = site(&shop, &served);
    let bought = Call::post("/render?a=1&b=2", b"a scene");
    for dialect in ALL {
        let credential = bought.buy(&shop, &app, dialect).await;
        let mut others = vec![
            Call {
                method: "PUT",
                ..bought.clone()
            },
            Call {
                method: "GET",
                ..bought.clone()
            },
            Call {
                method: "HEAD",
                ..bought.clone()
            },
            Call {
                method: "FOO",
                ..bought.clone()
            },
            Call {
                target: "/render?b=2&a=1".into(),
                ..bought.clone()
            },
            Call {
                target: "/render?a=1".into(),
                ..bought.clone()
            },
            Call {
                target: "/render?a=1&b=2&".into(),
                ..bought.clone()
            },
            Call {
                target: "/render?a=1&b=%32".into(),
                ..bought.clone()
            },
            Call {
                target: "/%72ender?a=1&b=2".into(),
                ..bought.clone()
            },
        ];
        if dialect != DialectName::L402 {
            others.push(Call {
                body: Bytes::from_static(b"another scene"),
                ..bought.clone()
            });
        }
        for other in others {
            let answer = ask(&app, other.paid(&credential)).await;
            assert!(
                !answer.status().is_success(),
                "{dialect} {} {}",
                other.method,
                other.target
            );
        }
        assert_eq!(served.swap(0, Ordering::SeqCst), 0);
        assert_eq!(
            ask(&app, bought.paid(&credential)).await.status(),
            StatusCode::OK,
            "{dialect}"
        );
        served.store(0, Ordering::SeqCst);
    }
}
