//! Answers that end with the time that was bought.

use std::{convert::Infallible, num::NonZeroU32, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_x402::{Amount, Charge, DialectName, PaymentReceipt, body::RequestBody, price_fn};

use crate::{customer::Call, shop::Shop};

/// What is bought: a minute, which begins when the invoice expires after 300 s.
const BOUGHT: u64 = 300 + 60;

const DAY: Duration = Duration::from_secs(86_400);

fn minute() -> Charge {
    Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(60))
}

/// Says that it was dropped.
struct Told(Arc<std::sync::atomic::AtomicBool>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

/// A word each second, without an end.
fn words() -> Body {
    Body::from_stream(stream::unfold((), async |()| {
        sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Infallible>("word "), ()))
    }))
}

/// Buys, presents after so many seconds, and gives the answer.
macro_rules! answer {
    ($shop:expr, $paywall:expr, $charge:expr, $after:expr, $body:expr) => {{
        let handler = service_fn(async |request: Request<RequestBody<Body>>| {
            let mut answer = Response::new($body);
            if let Some(receipt) = request.extensions().get::<PaymentReceipt>() {
                answer.extensions_mut().insert(receipt.valid_until());
            }
            Ok::<_, Infallible>(answer)
        });
        let app = $paywall.charge($charge).unwrap().layer(handler);
        let call = Call::get("/events");
        let asked = app.clone().oneshot(call.request()).await.unwrap();
        let (head, body) = asked.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let asked = Response::from_parts(head, body);
        let credential = $shop.bought(&call, &asked).of(DialectName::L402).clone();
        $shop.clock.advance(Duration::from_secs($after));
        let answer = app.oneshot(call.paid(&credential)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer
    }};
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_cleanly_at_the_end_of_what_was_bought_and_goes_on_without_the_opt_in() {
    let priced = || {
        Charge::new(price_fn(|_| async { Ok(Some(Amount::from_sat(3))) }))
            .for_duration(Duration::from_secs(60))
            .reads_body()
    };
    for after in [0, 10, BOUGHT - 1] {
        for charge in [minute(), minute().bind_headers(["x-plan"]), priced()] {
            let shop = Shop::new();
            let answer = answer!(shop, shop.paywall(), charge.ends_streams(), after, words());
            let ends: &tower_x402::clock::Timestamp = answer.extensions().get().unwrap();
            assert_eq!(ends.as_unix_seconds(), crate::shop::NOW + BOUGHT);
            let begin = Instant::now();
            let heard = timeout(DAY, answer.into_body().collect()).await;
            let heard = heard.expect("it ends").expect("a clean end");
            assert_eq!(begin.elapsed().as_secs(), BOUGHT - after);
            let words = heard.to_bytes().len() / "word ".len();
            assert!((BOUGHT - after).abs_diff(words as u64) <= 1, "{words}");
        }
    }
    let shop = Shop::new();
    let answer = answer!(shop, shop.paywall(), minute(), 0, words());
    let day = timeout(DAY, answer.into_body().collect()).await;
    assert!(day.is_err(), "it goes on");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_says_nothing_ends_too_and_its_body_is_dropped_then() {
    let shop = Shop::new();
    let dropped = Arc::<std::sync::atomic::AtomicBool>::default();
    let told = dropped.clone();
    let silent = move || {
        let told = Told(told.clone());
        Body::from_stream(stream::once(async move {
            let _told = told;
            std::future::pending::<Result<Bytes, Infallible>>().await
        }))
    };
    let answer = answer!(shop, shop.paywall(), minute().ends_streams(), 0, silent());
    let (begin, mut body) = (Instant::now(), answer.into_body());
    let end = timeout(DAY, body.frame()).await.expect("it ends");
    assert!(end.is_none(), "a clean end");
    assert_eq!(begin.elapsed().as_secs(), BOUGHT);
    assert!(dropped.load(std::sync::atomic::Ordering::SeqCst));
    assert!(body.is_end_stream() && body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_complete_before_the_end_is_untouched() {
    let shop = Shop::new();
    let whole = || Full::new(Bytes::from_static(b"all of it"));
    let answer = answer!(shop, shop.paywall(), minute().ends_streams(), 0, whole());
    assert_eq!(answer.body().size_hint().exact(), Some(9));
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "all of it"
    );

    let with_trailers = || {
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())]);
        let frames = [
            Frame::data(Bytes::from_static(b"a")),
            Frame::trailers(trailers),
        ];
        StreamBody::new(stream::iter(frames).map(Ok::<_, Infallible>))
    };
    let answer = answer!(
        shop,
        shop.paywall(),
        minute().ends_streams(),
        0,
        with_trailers()
    );
    let whole = answer.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-sum"], "1");
}

#[tokio::test]
async fn only_a_duration_can_end_streams() {
    let shop = Shop::new();
    for charge in [
        Charge::new(Amount::from_sat(10)),
        Charge::new(Amount::from_sat(10)).once(),
        Charge::new(Amount::from_sat(10)).uses(NonZeroU32::MIN),
    ] {
        let error = shop.paywall().charge(charge.ends_streams()).unwrap_err();
        assert!(error.to_string().contains(".for_duration(..)"), "{error}");
    }
}

/// Ends what a redeploy finds: sold under one charge, presented under another.
#[tokio::test(start_paused = true)]
async fn after_a_redeploy_only_a_duration_ends_its_stream_and_a_request_keeps_its_whole_answer() {
    let once = || Charge::new(Amount::from_sat(10));
    for (sold, today, dialect, ends) in [
        (once(), minute().ends_streams(), DialectName::L402, false),
        (once(), minute().ends_streams(), DialectName::Mpp, false),
        (once(), minute().ends_streams(), DialectName::X402, false),
        (
            once().uses(NonZeroU32::MIN),
            minute().ends_streams(),
            DialectName::L402,
            false,
        ),
        (minute(), minute().ends_streams(), DialectName::L402, true),
        (
            minute().ends_streams(),
            once().earlier(minute().ends_streams()),
            DialectName::L402,
            true,
        ),
    ] {
        let shop = Shop::new();
        let app = |charge| {
            let handler = service_fn(async |_: Request<RequestBody<Body>>| {
                Ok::<_, Infallible>(Response::new(words()))
            });
            let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
            layer.layer(handler)
        };
        let call = Call::get("/events");
        let asked = app(sold.clone()).oneshot(call.request()).await.unwrap();
        let (head, body) = asked.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let asked = Response::from_parts(head, body);
        let credential = shop.bought(&call, &asked).of(dialect).clone();
        let answer = app(today).oneshot(call.paid(&credential)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let heard = timeout(DAY, answer.into_body().collect()).await;
        assert_eq!(heard.is_ok(), ends, "{sold:?} {dialect}");
    }
}
