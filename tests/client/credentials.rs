//! The caller's own headers, and requests that cannot be sent again.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, LOCATION},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody, combinators::BoxBody};
use tower::{Layer as _, ServiceExt as _};
use tower_x402::{
    Charge, DialectName,
    client::{AutoPayLayer, PayErrorKind, Policy},
    ledger::EntryState,
};

use crate::{
    bank::{Bank, entries, sat},
    doubts::has_credential,
    hostile::{invoice, l402},
    shop::{self, ALL, URL},
    stall::{answer, ask, client, credentials, get},
};

const OWN: &str = "Bearer mine";

fn with_own() -> Request<crate::stall::Body> {
    let mut request = get(URL);
    request
        .headers_mut()
        .insert(AUTHORIZATION, HeaderValue::from_static(OWN));
    request
}

#[tokio::test]
async fn the_callers_own_authorization_is_never_overwritten() {
    for (dialect, is_paid) in [
        (DialectName::X402, true),
        (DialectName::Mpp, true),
        (DialectName::L402, false),
    ] {
        let bank = Bank::new();
        let wallet = bank
            .builder(&bank.ledger())
            .dialects([dialect])
            .build()
            .await
            .unwrap();
        let charge = match dialect {
            DialectName::Mpp => Charge::new(sat(5)).authorization_taken(),
            _ => Charge::new(sat(5)),
        };
        let (client, seen) = client(&wallet, shop::sells(&bank, [dialect], charge));
        let answer = ask(&client, with_own()).await;
        for (_, headers) in &*seen.lock().unwrap() {
            let own: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
            assert_eq!(own, [OWN], "{dialect}");
        }
        if is_paid {
            assert_eq!(answer.unwrap().status(), StatusCode::OK, "{dialect}");
        } else {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), PayErrorKind::NotPaid);
            let why = error.to_string();
            assert!(
                why.contains("already has the header that the credential needs"),
                "{why}"
            );
        }
        assert_eq!(bank.payments(), usize::from(is_paid));
    }
}

/// A body that is sent as it is: with its length, or without one.
#[derive(Debug)]
struct Sent(BoxBody<Bytes, Infallible>);

impl Sent {
    fn streamed() -> Self {
        let frames = [50, 51].map(|length| Ok(Frame::data(Bytes::from(vec![b' '; length]))));
        Self(StreamBody::new(futures_util::stream::iter(frames)).boxed())
    }
}

impl From<Bytes> for Sent {
    fn from(bytes: Bytes) -> Self {
        Self(http_body_util::Full::new(bytes).boxed())
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_is_sent_once_and_not_paid_for() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let policy = Policy::new().max_body(100);
    let wallet = bank.builder(&ledger).policy(policy).build().await.unwrap();
    let node = bank.node.clone();
    let server = tower::service_fn(move |request: Request<Sent>| {
        let node = node.clone();
        async move {
            let bytes = request.into_body().0.collect().await.unwrap().to_bytes();
            assert_eq!(bytes.len(), 101, "the whole body arrives");
            Ok::<_, Infallible>(l402(&invoice(&node, sat(5)).await))
        }
    });
    let client = AutoPayLayer::new(wallet).layer(server);
    let long = Sent::from(Bytes::from(vec![b' '; 101]));
    for body in [long, Sent::streamed()] {
        let request = Request::post(URL).body(body).unwrap();
        let error = client.clone().oneshot(request).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::NotPaid);
        assert!(error.to_string().contains("max_body"), "{error}");
    }
    assert_eq!((bank.asked(), entries(&ledger).len()), (0, 0));
}

#[tokio::test]
async fn a_body_that_is_not_kept_does_not_use_up_what_was_paid_for_an_empty_one() {
    for dialect in ALL {
        let bank = Bank::new();
        let ledger = bank.ledger();
        let wallet = bank.wallet_of(&ledger, dialect).await;
        let sells = shop::sells(&bank, ALL, Charge::new(sat(5)));
        let fails = Arc::new(AtomicBool::new(true));
        let server = tower::service_fn(move |request: Request<Sent>| {
            let fails = has_credential(&request) && fails.swap(false, Ordering::SeqCst);
            let sells = sells.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.0.collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(match fails {
                    true => answer(503),
                    false => sells(Request::from_parts(head, body.into())).await,
                })
            }
        });
        let client = AutoPayLayer::new(wallet).layer(server);
        let post = async |body| {
            let request = Request::post(URL).body(body).unwrap();
            client.clone().oneshot(request).await
        };
        let empty = || Sent::from(Bytes::new());
        assert_eq!(post(empty()).await.unwrap().status(), 503, "{dialect}");
        let error = post(Sent::streamed()).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::NotPaid, "{dialect}");
        assert_eq!(entries(&ledger)[0].state(), EntryState::Paid, "{dialect}");
        assert_eq!(post(empty()).await.unwrap().status(), 200, "{dialect}");
        assert_eq!(bank.payments(), 1, "{dialect}");
    }
}

#[tokio::test]
async fn the_body_is_sent_again_with_the_credential_and_bound_to_it() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(5))));
    let mut request = Request::post(URL)
        .body(crate::stall::Body::from("{\"a\":1}"))
        .unwrap();
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    let answer = ask(&client, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(bank.payments(), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_402_is_not_paid_whatever_it_offers() {
    for status in [200, 401, 403, 404, 500] {
        let bank = Bank::new();
        let wallet = bank.wallet(&bank.ledger()).await;
        let node = bank.node.clone();
        let (client, _) = client(&wallet, move |_| {
            let node = node.clone();
            async move {
                let mut answer = l402(&invoice(&node, sat(5)).await);
                *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                answer
            }
        });
        let answer = ask(&client, get(URL)).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(bank.asked(), 0);
    }
}

#[tokio::test]
async fn a_credential_stays_with_its_origin_when_a_server_redirects() {
    for dialect in ALL {
        let bank = Bank::new();
        let wallet = bank
            .builder(&bank.ledger())
            .dialects([dialect])
            .build()
            .await
            .unwrap();
        let shop = shop::sells(&bank, ALL, Charge::new(sat(5)));
        let (client, seen) = client(&wallet, move |request: Request<_>| {
            let is_ours = request.uri().host() == Some("api.example.com");
            let names = ["authorization", "payment-signature"];
            let has = names
                .iter()
                .any(|name| request.headers().contains_key(*name));
            let shop = shop.clone();
            async move {
                match (is_ours, has) {
                    (true, false) => shop(request).await,
                    (true, true) => {
                        let mut answer = answer(307);
                        let to = HeaderValue::from_static("https://thief.example/");
                        answer.headers_mut().insert(LOCATION, to);
                        answer
                    }
                    (false, _) => answer(200),
                }
            }
        });
        let answer = ask(&client, get(URL)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        // What a layer outside that follows redirects does.
        ask(&client, get("https://thief.example/")).await.unwrap();
        let seen_there = seen.lock().unwrap();
        let (url, headers) = seen_there.last().unwrap();
        assert_eq!(url, "https://thief.example/");
        assert!(!headers.contains_key(AUTHORIZATION));
        assert!(!headers.contains_key("payment-signature"));
        drop(seen_there);
        assert_eq!(credentials(&seen), 1);
    }
}
