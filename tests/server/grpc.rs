//! Routes that are gRPC methods: L402 in its trailers-only form, and bodies that nobody reads.

use std::{convert::Infallible, num::NonZeroU32, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_x402::{
    Amount, Charge, DialectName, Refusal, RefusalKind, price_fn,
    server::{BadRequest, OwnAnswer, PriceRequest},
};

use crate::{
    calls::{asks_to_pay, call, charge, is_served, pay, served, settled, status},
    customer::{ALL, Call, asks_for_money},
    shop::{Shop, ask, problem},
};

macro_rules! app {
    ($paywall:expr, $charge:expr) => {
        $paywall.charge($charge).unwrap().layer(service_fn(served))
    };
}

fn hour() -> Charge {
    charge().for_duration(Duration::from_secs(3_600))
}

fn times(uses: u32) -> Charge {
    charge().uses(NonZeroU32::new(uses).unwrap())
}

#[tokio::test]
async fn an_unpaid_call_gets_l402_alone_in_trailers_only_form_and_a_paid_one_is_served() {
    for (charge, uses) in [(charge(), 1), (times(3), 3), (hour(), 5)] {
        let shop = Shop::new();
        let app = app!(shop.paywall_of_every_dialect(), charge);
        let unpaid = ask(&app, call().request()).await;
        let credential = pay(&shop, &unpaid);
        assert_eq!(unpaid.extensions().get::<Refusal>(), None);
        for _ in 0..uses {
            is_served(&ask(&app, call().paid(&credential)).await);
        }
        let made = shop.node.invoices_created();
        if uses == 5 {
            shop.clock.advance(Duration::from_secs(3_901));
        }
        let refused = ask(&app, call().paid(&credential)).await;
        asks_to_pay(&refused);
        assert_eq!(shop.node.invoices_created(), made + 1, "a fresh challenge");
        let refusal = refused.extensions().get::<Refusal>().unwrap();
        let kind = match uses {
            5 => RefusalKind::Expired,
            _ => RefusalKind::Spent,
        };
        assert_eq!(refusal.kind(), kind);
        is_served(&ask(&app, call().paid(&pay(&shop, &refused))).await);
    }
}

#[tokio::test]
async fn a_token_in_metadata_with_its_preimage_opens_a_method_and_any_other_is_refused() {
    let shop = Shop::new();
    let app = app!(shop.paywall_of_every_dialect(), hour());
    let (challenge, preimage) = settled(&shop, &ask(&app, call().request()).await);
    let macaroon = challenge.macaroon().unwrap();
    let hex =
        |bytes: Vec<u8>| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let proven = |preimage: &str| {
        hex(macaroon
            .attenuate(format!("preimage={preimage}"))
            .unwrap()
            .to_bytes())
    };
    let good = proven(&preimage.expose_hex());
    for name in ["macaroon", "grpc-metadata-macaroon"] {
        is_served(&ask(&app, call().header(name, &good).request()).await);
        // The stock Go client sends it twice if it asks again.
        let twice = call().header(name, &good).header(name, &good);
        is_served(&ask(&app, twice.request()).await);
        for bad in [
            hex(macaroon.to_bytes()),
            proven(&"00".repeat(32)),
            good.replace(&good[100..102], "zz"),
        ] {
            asks_to_pay(&ask(&app, call().header(name, &bad).request()).await);
        }
    }
    let other = Call {
        target: "/weather.Weather/Other".into(),
        ..call()
    };
    asks_to_pay(&ask(&app, other.header("macaroon", &good).request()).await);
}

#[tokio::test]
async fn each_answer_of_the_layer_has_a_form_in_grpc() {
    let shop = Shop::new();
    let priced = |answer: fn(PriceRequest) -> Result<Option<Amount>, BadRequest>| {
        let price = price_fn(move |asked| async move { Ok(answer(asked)?) });
        app!(shop.paywall(), Charge::new(price).grpc())
    };
    let bad = priced(|_| Err(BadRequest::new("city: not 100 % \"K\u{f6}ln\"")));
    let answer = ask(&bad, call().request()).await;
    assert_eq!(status(&answer), (3, "city: not 100 %25 \"K%C3%B6ln\""));
    assert!(!answer.headers().contains_key("grpc-retry-pushback-ms"));

    let zero = priced(|_| Ok(Some(Amount::from_msat(0))));
    let answer = ask(&zero, call().request()).await;
    assert_eq!(status(&answer).0, 14);
    let app = app!(shop.paywall(), charge());
    let elsewhere = ask(&app, call().header("host", "evil.example").request()).await;
    assert_eq!(status(&elsewhere).0, 3);

    let few = shop.builder().max_unpaid(1).build().unwrap();
    let app = app!(few, charge());
    pay(&shop, &ask(&app, call().request()).await);
    let many = ask(&app, call().request()).await;
    let text = "this client holds as many unredeemed invoices as it may: pay one and send its credential, then ask again after Retry-After";
    assert_eq!(status(&many), (8, text));
    let seconds: u64 = many.headers()[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let pushback = &many.headers()["grpc-retry-pushback-ms"];
    assert_eq!(pushback, &HeaderValue::from(seconds * 1_000));

    shop.node.reachable(false);
    let app = app!(shop.paywall(), charge());
    let down = ask(&app, call().request()).await;
    assert_eq!(
        status(&down),
        (14, "the Lightning node could not create an invoice")
    );
    assert_eq!(down.headers()["grpc-retry-pushback-ms"], "5000");
    for answer in [&answer, &elsewhere, &many, &down] {
        assert!(!asks_for_money(answer), "{answer:?}");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn a_call_that_is_repeated_while_it_is_served_is_aborted_and_asks_nobody_to_pay() {
    for charge in [charge(), times(1), charge().bind_headers(["x-plan"])] {
        let shop = Shop::new();
        let waits = service_fn(async |_: Request<_>| {
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        });
        let app = shop.paywall().charge(charge).unwrap().layer(waits);
        let credential = pay(&shop, &ask(&app, call().request()).await);
        let mut first = Box::pin(app.clone().oneshot(call().paid(&credential)));
        for _ in 0..20 {
            assert!((&mut first).now_or_never().is_none());
        }
        let answer = ask(&app, call().paid(&credential)).await;
        assert_eq!(status(&answer).0, 10);
        assert_eq!(answer.headers()["grpc-retry-pushback-ms"], "5000");
        assert!(!asks_for_money(&answer));
    }
}

/// A body that must not be read.
fn untouched() -> Body {
    Body::new(StreamBody::new(stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            panic!("the layer reads the body of a call")
        },
    )))
}

/// The same, with a length that is announced.
struct Announced(u64);

impl http_body::Body for Announced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        panic!("the layer drains the body of a call")
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0)
    }
}

#[tokio::test]
async fn the_body_of_a_call_is_never_read_whether_it_is_paid_or_not() {
    let bodies = [
        untouched,
        || Body::new(Announced(7)),
        || Body::new(Announced(0x1_0000_0000)),
    ];
    for charge in [charge(), times(2), hour()] {
        for body in bodies {
            let shop = Shop::new();
            let app = app!(shop.paywall_of_every_dialect(), charge.clone());
            let unread = |mut request: Request<Body>| {
                *request.body_mut() = body();
                request
            };
            let credential = pay(&shop, &ask(&app, unread(call().request())).await);
            is_served(&ask(&app, unread(call().paid(&credential))).await);
            let other = Call {
                target: "/weather.Weather/Other".into(),
                ..call()
            };
            asks_to_pay(&ask(&app, unread(other.paid(&credential))).await);
        }
    }
}

#[tokio::test]
async fn a_token_that_bound_a_body_is_refused_and_the_body_not_read() {
    let reads = || Charge::new(price_fn(|_| async { Ok(Some(Amount::from_sat(3))) })).reads_body();
    for before in [
        reads(),
        reads().uses(NonZeroU32::MIN),
        reads().reads_headers(["x-plan"]),
    ] {
        let shop = Shop::new();
        let sold = app!(shop.paywall(), before);
        let credential = shop.buy(&sold, call().request()).await;
        let app = app!(shop.paywall(), charge());
        let mut request = call().paid(&(header::AUTHORIZATION, credential));
        *request.body_mut() = untouched();
        let answer = ask(&app, request).await;
        asks_to_pay(&answer);
        let refusal = answer.extensions().get::<Refusal>().unwrap();
        assert_eq!(refusal.kind(), RefusalKind::WrongRequest);
    }
}

#[tokio::test]
async fn credentials_of_other_dialects_are_not_read_on_a_method() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let http = app!(paywall, Amount::from_sat(10));
    let app = app!(paywall, charge());
    let good = pay(&shop, &ask(&app, call().request()).await);
    for dialect in [DialectName::Mpp, DialectName::X402] {
        let line = call().buy(&shop, &http, dialect).await;
        let answer = ask(&app, call().paid(&line)).await;
        asks_to_pay(&answer);
        assert_eq!(answer.extensions().get::<Refusal>(), None, "{dialect}");
        is_served(&ask(&http, call().paid(&line)).await);
    }
    let line = call().buy(&shop, &http, DialectName::X402).await;
    is_served(&ask(&app, call().with(&line).paid(&good)).await);
}

#[tokio::test]
async fn on_a_route_that_is_no_method_a_content_type_of_grpc_changes_nothing() {
    for name in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
    ] {
        for dialect in ALL {
            let shop = Shop::new();
            let app = app!(shop.paywall_of_every_dialect(), Amount::from_sat(10));
            let call = Call::post("/render", b"cheap").header("content-type", name);
            let unpaid = ask(&app, call.request()).await;
            assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
            assert_eq!(problem(&unpaid)["accepts"].as_array().unwrap().len(), 3);
            let bought = shop.bought(&call, &unpaid);
            if dialect != DialectName::L402 {
                let other = call.clone().body("dear");
                let answer = ask(&app, other.paid(bought.of(dialect))).await;
                assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
            }
            is_served(&ask(&app, call.paid(bought.of(dialect))).await);
        }
    }
}

#[tokio::test]
async fn the_function_of_answers_sets_metadata_and_neither_a_body_nor_a_status() {
    let shop = Shop::new();
    let hook = |answer: &mut OwnAnswer| {
        let value = || HeaderValue::from_static("1");
        let status = answer.status().as_u16();
        assert_eq!(
            answer.headers().contains_key("www-authenticate"),
            status == 402
        );
        answer.set_body(HeaderValue::from_static("text/html"), "<p>pay</p>");
        assert!(answer.set_header("x-status".parse().unwrap(), status.into()));
        for name in [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "content-type",
        ] {
            assert!(!answer.set_header(name.parse().unwrap(), value()), "{name}");
        }
    };
    let paywall = shop.builder().answers(hook).build().unwrap();
    let app = app!(paywall, charge());
    let unpaid = ask(&app, call().request()).await;
    asks_to_pay(&unpaid);
    assert_eq!(unpaid.headers()["x-status"], "402");
    let elsewhere = ask(&app, call().header("host", "evil.example").request()).await;
    let text = status(&elsewhere).1;
    assert!(text.contains("api.example.com"), "{text}");
    assert_eq!(elsewhere.headers()["x-status"], "421");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_with_what_was_bought_ends_with_a_status() {
    let shop = Shop::new();
    let forever = service_fn(async |_: Request<_>| {
        let silent = stream::pending::<Result<Bytes, Infallible>>();
        Ok::<_, Infallible>(Response::new(Body::from_stream(silent)))
    });
    let charge = || {
        Charge::new(Amount::from_sat(10))
            .for_duration(Duration::from_secs(60))
            .ends_streams()
    };
    for (charge, status) in [(charge().grpc(), Some("16")), (charge(), None)] {
        let app = shop.paywall().charge(charge).unwrap().layer(forever);
        let (challenge, preimage) = settled(&shop, &ask(&app, call().request()).await);
        let line = (header::AUTHORIZATION, challenge.answer(&preimage));
        let answer = app.oneshot(call().paid(&line)).await.unwrap();
        let heard = answer.into_body().collect().await.unwrap();
        let trailers = heard
            .trailers()
            .map(|trailers| trailers["grpc-status"].to_str().unwrap());
        assert_eq!(trailers, status);
    }
}
