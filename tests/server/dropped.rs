//! A dropped request gives its use back as long as the inner service was not called, and never
//! after.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use tower::{Layer as _, Service, ServiceExt as _};
use tower_x402::{
    Amount, Charge, DialectName, Secrets, body::RequestBody, price_fn, server::X402Service,
};

use crate::{
    customer::{ALL, Call, HeaderLine, payment_hash},
    shop::{Shop, ask, problem},
    slow::{Slow, pend},
};

/// A handler that counts its calls, pends twice before it is ready and twice before it answers.
#[derive(Clone, Debug, Default)]
struct Hesitant {
    calls: Arc<AtomicUsize>,
    pended: usize,
}

impl Service<Request<RequestBody<Body>>> for Hesitant {
    type Response = Response<http_body_util::Full<Bytes>>;
    type Error = Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.pended == 2 {
            return Poll::Ready(Ok(()));
        }
        self.pended += 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, _: Request<RequestBody<Body>>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        async {
            pend(2).await;
            Ok(Response::default())
        }
        .boxed()
    }
}

type Site = X402Service<Hesitant>;

/// Every await there can be on the way: the store, the node that must confirm, the body, the inner
/// service.
fn site(shop: &Shop, charge: impl Into<Charge>) -> (Site, Arc<AtomicUsize>) {
    let handler = Hesitant::default();
    let calls = handler.calls.clone();
    let paywall =
        tower_x402::Paywall::builder(Slow::new(shop.node.clone().with_shared_key()).hesitates())
            .origin(crate::shop::ORIGIN)
            .master_secret(Secrets::test_secret(7))
            .replay_store(Slow::new(shop.store.clone()).hesitates())
            .clock(shop.clock.clone())
            .dialects(ALL)
            .build()
            .unwrap();
    (paywall.charge(charge).unwrap().layer(handler), calls)
}

/// The call with a body that arrives one byte at a time and pends before each.
fn slowly(call: &Call, credential: &HeaderLine) -> Request<Body> {
    let frames = futures_util::stream::iter(call.body.clone()).then(|byte| async move {
        pend(1).await;
        Ok::<_, Infallible>(Bytes::from(vec![byte]))
    });
    call.paid(credential).map(|_| Body::from_stream(frames))
}

/// Polls at most this many times, then drops. Returns whether it finished.
async fn polled(site: &Site, request: Request<Body>, times: usize) -> bool {
    let mut answer = pin!(site.clone().oneshot(request));
    for _ in 0..times {
        if answer.as_mut().now_or_never().is_some() {
            return true;
        }
        // Lets what wakes us run, as a runtime would.
        tokio::task::yield_now().await;
    }
    false
}

/// Drops a paid request after each possible number of polls, each with a credential of its own.
async fn dropped_everywhere(charge: Charge, dialects: &[DialectName]) {
    let call = Call::post("/render", b"abc");
    for dialect in dialects {
        let (mut before_the_call, mut after_the_call) = (0, 0);
        for polls in 0.. {
            let shop = Shop::new();
            let (site, calls) = site(&shop, charge.clone());
            let credential = call.buy(&shop, &site, *dialect).await;
            let ended = polled(&site, slowly(&call, &credential), polls).await;
            let was_called = calls.load(Ordering::SeqCst) == 1;
            let answer = ask(&site, call.paid(&credential)).await;
            if was_called {
                after_the_call += 1;
                assert_eq!(
                    answer.status(),
                    StatusCode::PAYMENT_REQUIRED,
                    "{dialect}, dropped at poll {polls}"
                );
            } else {
                before_the_call += 1;
                assert_eq!(
                    answer.status(),
                    StatusCode::OK,
                    "{dialect}, dropped at poll {polls}: {}",
                    problem(&answer)
                );
            }
            assert_eq!(calls.load(Ordering::SeqCst), 1);
            if ended {
                break;
            }
        }
        assert!(
            before_the_call > 6 && after_the_call > 2,
            "{dialect}: {before_the_call} before, {after_the_call} after"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_at_any_await_gives_its_use_back_until_the_handler_was_called() {
    dropped_everywhere(Amount::from_sat(10).into(), &ALL).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_whose_body_the_price_function_reads_gives_its_use_back() {
    let by_length = price_fn(|q| async move {
        pend(2).await;
        Ok(Some(Amount::from_sat(u32::try_from(q.body().len())?)))
    });
    dropped_everywhere(Charge::new(by_length).reads_body(), &ALL).await;
}

#[tokio::test(start_paused = true)]
async fn an_unpaid_request_dropped_at_any_await_runs_nothing_and_holds_no_slot_for_ever() {
    let call = Call::post("/render", b"abc");
    let none = (http::header::ACCEPT, http::HeaderValue::from_static("*/*"));
    let shop = Shop::new();
    let (site, calls) = site(&shop, Amount::from_sat(10));
    for polls in 0.. {
        if polled(&site, slowly(&call, &none), polls).await {
            break;
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    // What the node was asked for holds a slot until its end, and no longer.
    shop.clock.advance(std::time::Duration::from_secs(301));
    for _ in 0..64 {
        let answer = ask(&site, call.request()).await;
        let _ = payment_hash(&answer);
    }
}

#[tokio::test(start_paused = true)]
async fn several_uses_lose_none_to_dropped_requests() {
    let call = Call::get("/render");
    let shop = Shop::new();
    let charge = Charge::new(Amount::from_sat(10)).uses(std::num::NonZeroU32::new(3).unwrap());
    let (site, calls) = site(&shop, charge);
    let credential = call.buy(&shop, &site, DialectName::L402).await;
    for polls in 0..12 {
        if calls.load(Ordering::SeqCst) == 1 {
            break;
        }
        polled(&site, call.paid(&credential), polls).await;
    }
    let spent_here = calls.load(Ordering::SeqCst);
    for _ in spent_here..3 {
        assert_eq!(
            ask(&site, call.paid(&credential)).await.status(),
            StatusCode::OK
        );
    }
    assert_eq!(
        problem(&ask(&site, call.paid(&credential)).await)["reason"],
        "spent"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}
