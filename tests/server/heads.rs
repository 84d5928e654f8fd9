//! Credentials that the head alone refuses: no body is read before the limiter admits the request.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, routing::any};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tower_x402::{
    Amount, Charge, DialectName, Preimage, l402, mpp, price_fn, server::PaywallBuilder, x402,
};

use crate::{
    customer::{ALL, Bought, Call},
    shop::{Shop, ask, problem},
};

/// Announces 2 MiB and sends no more than this.
struct Stalls(&'static [u8]);

impl http_body::Body for Stalls {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match std::mem::take(&mut self.0) {
            b"" => Poll::Pending,
            bytes => Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(2 << 20)
    }
}

fn app(builder: PaywallBuilder, charge: impl Into<Charge>) -> Router {
    let layer = builder
        .dialects(ALL)
        .build()
        .unwrap()
        .charge(charge)
        .unwrap();
    Router::new().route("/{*path}", any(async || "done").layer(layer))
}

fn stalled(call: &Call) -> Request<Body> {
    call.request().map(|_| Body::new(Stalls(b"a")))
}

/// The answer, if there is one before the body's first byte.
fn at_once(app: &Router, request: Request<Body>) -> Option<Response<Bytes>> {
    match tokio_test::task::spawn(ask(app, request)).poll() {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn by_body() -> Charge {
    Charge::new(price_fn(|asked| async move {
        Ok(Some(Amount::from_sat(
            1 + u32::from(!asked.body().is_empty()),
        )))
    }))
    .reads_body()
}

/// The same credential, with a preimage that is not the payment's.
fn unpaid(bought: &Bought, dialect: DialectName, answer: &Response<Bytes>) -> HeaderValue {
    let wrong = Preimage::from_bytes([0; 32]);
    match dialect {
        DialectName::L402 => l402::Challenge::in_headers(answer.headers())[0].answer(&wrong),
        DialectName::Mpp => mpp::Credential::new(
            mpp::Challenge::in_headers(answer.headers()).remove(0),
            &wrong,
        )
        .to_header_value()
        .unwrap(),
        _ => {
            let text = x402::decode_header(bought.of(dialect).1.as_bytes()).unwrap();
            let text = text.replace(&bought.preimage.expose_hex(), &wrong.expose_hex());
            tower_x402::internals::codec::base64::encode_standard(text)
                .parse()
                .unwrap()
        }
    }
}

#[tokio::test]
async fn a_credential_that_the_head_refuses_reads_no_body_past_the_limiter() {
    for (charge, is_fixed) in [
        (Charge::new(Amount::from_sat(10)), true),
        (by_body(), false),
    ] {
        for dialect in ALL {
            let shop = Shop::new();
            let open = app(shop.builder(), charge.clone());
            let shut = app(
                shop.builder().max_unpaid_per_client(1).max_unpaid(1),
                charge.clone(),
            );
            let call = Call::new("POST", "/render").body("a scene");
            // The one invoice that there may be.
            assert_eq!(
                ask(&shut, call.request()).await.status(),
                StatusCode::PAYMENT_REQUIRED
            );
            let answer = ask(&open, call.request()).await;
            let bought = shop.bought(&call, &answer);
            let (name, good) = bought.of(dialect);
            let refused = |call: &Call, line: &HeaderValue| {
                let answer = at_once(&shut, stalled(&call.with(&(name.clone(), line.clone()))));
                answer.map(|answer| answer.status())
            };
            let too_many = Some(StatusCode::TOO_MANY_REQUESTS);

            assert_eq!(
                refused(&call, &unpaid(&bought, dialect, &answer)),
                too_many,
                "{dialect}: unpaid"
            );
            let elsewhere = Call {
                target: "/elsewhere".into(),
                ..call.clone()
            };
            let by_method = Call {
                method: "PUT",
                ..call.clone()
            };
            // x402 binds method, target and body in one hash, and MPP what the price saw in one
            // with the target.
            let is_told = match dialect {
                DialectName::L402 => true,
                DialectName::Mpp => is_fixed,
                _ => false,
            };
            if is_told {
                assert_eq!(
                    refused(&elsewhere, good),
                    too_many,
                    "{dialect}: another target"
                );
                assert_eq!(
                    refused(&by_method, good),
                    too_many,
                    "{dialect}: another method"
                );
            }
            let is_read = dialect != DialectName::L402 || !is_fixed;
            assert_eq!(
                refused(&call, good).is_none(),
                is_read,
                "{dialect}: what is paid for is read where it is bound"
            );
            shop.clock.advance(Duration::from_secs(365 * 86_400));
            assert_eq!(
                ask(&shut, call.request()).await.status(),
                StatusCode::PAYMENT_REQUIRED
            );
            assert_eq!(refused(&call, good), too_many, "{dialect}: over a year ago");
        }
    }
}

#[tokio::test]
async fn one_unpaid_challenge_leaves_the_pool_of_bodies_to_those_who_paid() {
    let shop = Shop::new();
    let app = app(shop.builder().body_pool(1 << 20), Amount::from_sat(10));
    let call = Call::new("POST", "/render").body("a scene");
    let paid = shop.bought(&call, &ask(&app, call.request()).await);
    let answer = ask(&app, call.request()).await;
    let forged = mpp::Credential::new(
        mpp::Challenge::in_headers(answer.headers()).remove(0),
        &Preimage::from_bytes([0; 32]),
    );
    let forged = call.with(&(forged.header_name(), forged.to_header_value().unwrap()));
    let mut held: Vec<_> = (0..40)
        .map(|_| tokio_test::task::spawn(ask(&app, stalled(&forged))))
        .collect();
    held.iter_mut().for_each(|task| drop(task.poll()));
    let served = ask(&app, call.with(paid.of(DialectName::Mpp)).request()).await;
    assert_eq!(served.status(), StatusCode::OK, "{:?}", problem(&served));
}
