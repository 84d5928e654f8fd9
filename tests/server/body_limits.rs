//! Bodies that are too long, too slow or too many: each has a limit in bytes, a limit in time and a
//! share of one pool.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use http_body_util::StreamBody;
use tokio::sync::mpsc;
use tower_x402::{Amount, DialectName, server::Charge};

use crate::{
    bodies::{data, endless, service, with_body},
    customer::Call,
    shop::{Shop, ask, problem, reason},
};

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_costs_no_invoice() {
    let shop = Shop::new();
    let app = service(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
    let call = Call::new("POST", "/render");
    let (body, asked) = endless();
    let answer = ask(&app, with_body(&call, body)).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        problem(&answer)["detail"],
        "the body must have at most 2097152 bytes"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2049);

    // One that announces its length is not even begun.
    let announced = ask(&app, call.clone().body(vec![0; (2 << 20) + 1]).request()).await;
    assert_eq!(announced.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(shop.node.invoices_created(), 0);

    let whole = call.body(vec![b'w'; 2 << 20]);
    let answer = ask(&app, whole.request()).await;
    let bought = shop.bought(&whole, &answer);
    for (dialect, served) in [(DialectName::X402, 200), (DialectName::Mpp, 402)] {
        assert_eq!(
            ask(&app, whole.with(bought.of(dialect)).request())
                .await
                .status(),
            served
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_408_after_the_time_limit() {
    let shop = Shop::new();
    let app = service(
        &shop
            .builder_of_every_dialect()
            .time_limit(Duration::from_secs(4))
            .build()
            .unwrap(),
        Amount::from_sat(10),
    );
    let call = Call::new("POST", "/render");
    let slow = || {
        let body =
            stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"s"))]).chain(stream::pending());
        Body::from_stream(body)
    };
    let before = tokio::time::Instant::now();
    let answer = ask(&app, with_body(&call, slow())).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(before.elapsed().as_secs(), 4);
    assert_eq!(shop.node.invoices_created(), 0);

    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let paid = call.with(bought.of(DialectName::X402));
    assert_eq!(
        ask(&app, with_body(&paid, slow())).await.status(),
        StatusCode::REQUEST_TIMEOUT
    );
    assert_eq!(
        ask(&app, paid.request()).await.status(),
        StatusCode::OK,
        "a slow body has spent the payment"
    );
}

#[tokio::test]
async fn if_the_pool_for_bodies_is_empty_the_answer_is_503_and_nothing_is_spent() {
    let shop = Shop::new();
    let app = service(
        &shop
            .builder_of_every_dialect()
            .body_limit(4096)
            .body_pool(2 * 4096)
            .build()
            .unwrap(),
        Amount::from_sat(10),
    );
    let call = Call::new("POST", "/render").body(vec![b'p'; 3000]);
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let paid = call.with(bought.of(DialectName::X402));

    // Another body is being held, and does not end.
    let other = shop.bought(&call, &ask(&app, call.request()).await);
    let (sender, mut receiver) = mpsc::channel(1);
    let body = Body::from_stream(stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let mut holding = tokio_test::task::spawn(ask(
        &app,
        with_body(&call.with(other.of(DialectName::Mpp)), body),
    ));
    sender
        .send(Ok::<_, io::Error>(Bytes::from(vec![b'p'; 3000])))
        .await
        .unwrap();
    assert!(holding.poll().is_pending());

    let refused = ask(&app, paid.request()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "5");
    assert!(
        !refused.headers().contains_key("www-authenticate")
            && !refused.headers().contains_key("payment-required")
    );
    drop(sender);
    assert_eq!(holding.await.status(), StatusCode::OK);
    assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_beside_a_refused_credential_is_hashed_and_not_held() {
    let shop = Shop::new();
    let app = service(
        &shop
            .builder_of_every_dialect()
            .body_limit(100_000)
            .body_pool(200_000)
            .build()
            .unwrap(),
        Amount::from_sat(10),
    );
    let call = Call::new("POST", "/render").body(vec![b'h'; 100_000]);
    // All that may be held is.
    let held = shop.bought(&call, &ask(&app, call.request()).await);
    let endless = stream::iter([Ok::<_, io::Error>(call.body.clone())]).chain(stream::pending());
    let mut holding = tokio_test::task::spawn(ask(
        &app,
        with_body(
            &call.with(held.of(DialectName::X402)),
            Body::from_stream(endless),
        ),
    ));
    assert!(holding.poll().is_pending());
    for (name, value) in [
        ("authorization", "L402 AAAA:00"),
        ("authorization", "Payment e30"),
        ("payment-signature", "e30="),
    ] {
        let answer = ask(&app, call.clone().header(name, value).request()).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{value}");
        assert_ne!(reason(&answer), "");
        assert_eq!(shop.bought(&call, &answer).dialects().len(), 3);
    }
}

/// Announces so many bytes and sends none.
struct Announced(u64);

impl http_body::Body for Announced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_announced_and_never_come_take_the_pool_from_nobody() {
    let shop = Shop::new();
    let app = service(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
    let call = Call::new("POST", "/render").body(vec![b'p'; 2 << 20]);
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let spent = shop.bought(&call, &ask(&app, call.request()).await);
    let spent = call.with(spent.of(DialectName::X402));
    assert_eq!(ask(&app, spent.request()).await.status(), StatusCode::OK);
    // One payment, long spent, that is presented again and again beside bodies that never come.
    let mut stalled = Vec::new();
    for _ in 0..200 {
        let mut request =
            tokio_test::task::spawn(ask(&app, with_body(&spent, Body::new(Announced(2 << 20)))));
        assert!(request.poll().is_pending());
        stalled.push(request);
    }
    assert_eq!(
        ask(&app, call.with(bought.of(DialectName::X402)).request())
            .await
            .status(),
        StatusCode::OK
    );
    drop(stalled);
}

/// So many frames of 1 KiB, of an announced length, and how many were asked for.
struct Counted(
    StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>,
    u64,
);

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.1)
    }
}

fn counted(frames: usize) -> (Body, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let stream = stream::iter(0..frames).map(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        data(&[b'c'; 1024])
    });
    (
        Body::new(Counted(
            StreamBody::new(stream.boxed()),
            frames as u64 * 1024,
        )),
        read,
    )
}

#[tokio::test(start_paused = true)]
async fn an_unneeded_body_of_known_length_is_drained_so_that_its_client_gets_the_402() {
    let shop = Shop::new();
    let app = service(
        &shop.paywall_of_every_dialect(),
        Charge::new(Amount::from_sat(10)).stream_body(),
    );
    let call = Call::new("POST", "/render");
    let limit = (2 << 20) / 1024;
    for (frames, expected) in [(1, 1), (limit, limit), (limit + 1, 0)] {
        let (body, read) = counted(frames);
        assert_eq!(
            ask(&app, with_body(&call, body)).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
        assert_eq!(read.load(Ordering::SeqCst), expected, "{frames}");
    }
    let (body, read) = counted(1);
    let asking_first = call.clone().header("expect", "100-continue");
    assert_eq!(
        ask(&app, with_body(&asking_first, body)).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert_eq!(
        read.load(Ordering::SeqCst),
        0,
        "its sender was to send nothing yet"
    );
    let stalled = with_body(&call, Body::new(Announced(1 << 20)));
    assert_eq!(
        ask(&app, stalled).await.status(),
        StatusCode::PAYMENT_REQUIRED,
        "it is not waited for for ever"
    );
    for frame in [&b"more than it said"[..], b""] {
        let endless = stream::repeat_with(|| data(frame)).boxed();
        let liar = Body::new(Counted(StreamBody::new(endless), 10));
        assert_eq!(
            ask(&app, with_body(&call, liar)).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
    }
}
