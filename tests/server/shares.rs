//! Memory for bodies: no request is sold whose body cannot be buffered, and neither one payment nor
//! one client takes it all.

use std::convert::Infallible;

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::{Request, StatusCode};
use http_body::{Frame, SizeHint};
use tower_x402::{
    Amount, DialectName, Paywall,
    server::{Charge, ClientAddr, PriceRequest, price_fn},
};

use crate::{
    customer::{ALL, Bought, Call},
    shop::{Shop, ask},
};

pub(crate) const LIMIT: usize = 2 << 20;

pub(crate) fn service(paywall: &Paywall, charge: impl Into<Charge>) -> Router {
    let layer = paywall.charge(charge).unwrap();
    Router::new().route(
        "/render",
        post(async |body: Bytes| body.len().to_string()).route_layer(layer),
    )
}

pub(crate) fn priced_by_the_body() -> Charge {
    Charge::new(price_fn(|_: PriceRequest| async {
        Ok(Some(Amount::from_sat(10)))
    }))
    .reads_body()
}

pub(crate) fn call(bytes: usize) -> Call {
    Call::new("POST", "/render").body(vec![b'b'; bytes])
}

/// A body that announces so many bytes, and stalls.
struct Stalls(BoxStream<'static, Bytes>, u64);

impl http_body::Body for Stalls {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_next_unpin(cx)
            .map(|data| data.map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.1)
    }
}

/// The same request from this address, of whose body only the first bytes come.
pub(crate) fn stalled(call: &Call, first: usize, client: u8) -> Request<Body> {
    let sent = stream::iter([call.body.slice(..first)])
        .chain(stream::pending())
        .boxed();
    from(call, client).map(|_| Body::new(Stalls(sent, call.body.len() as u64)))
}

/// From this network of 64 bits, 256 of which are one household's.
pub(crate) fn of_ipv6(mut request: Request<Body>, network: u16) -> Request<Body> {
    let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, network, 0, 0, 0, 1);
    request
        .extensions_mut()
        .insert(ClientAddr::new(address.into()));
    request
}

pub(crate) fn from(call: &Call, client: u8) -> Request<Body> {
    let mut request = call.request();
    request
        .extensions_mut()
        .insert(ClientAddr::new([198, 51, 100, client].into()));
    request
}

pub(crate) async fn buy(shop: &Shop, app: &Router, call: &Call) -> Bought {
    shop.bought(call, &ask(app, call.request()).await)
}

/// Starts each request; gives back those that wait, and how many were answered with 503.
pub(crate) fn start(
    app: &Router,
    requests: impl IntoIterator<Item = Request<Body>>,
) -> (Vec<impl Sized>, usize) {
    let (mut waiting, mut refused) = (Vec::new(), 0);
    for request in requests {
        let app = app.clone();
        let mut asking = tokio_test::task::spawn(async move { ask(&app, request).await.status() });
        match asking.poll() {
            std::task::Poll::Pending => waiting.push(asking),
            std::task::Poll::Ready(status) => {
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                refused += 1;
            }
        }
    }
    (waiting, refused)
}

#[tokio::test]
async fn what_the_pool_cannot_hold_is_not_sold_whether_the_limit_was_set_or_not() {
    for charge in [Charge::new(Amount::from_sat(10)), priced_by_the_body()] {
        for (pool, limit) in [
            (0, None),
            (1, None),
            (1_000, None),
            (1_000, Some(500)),
            (2_047, Some(1_023)),
            (3 << 20, None),
        ] {
            let shop = Shop::new();
            let builder = shop.builder_of_every_dialect().body_pool(pool);
            let builder = limit
                .into_iter()
                .fold(builder, |builder, limit| builder.body_limit(limit));
            let app = service(&builder.build().unwrap(), charge.clone());
            let limit = limit.unwrap_or(pool / 16);
            let refused = ask(&app, call(limit + 1).request()).await;
            assert_eq!(
                refused.status(),
                StatusCode::PAYLOAD_TOO_LARGE,
                "{limit} of {pool}"
            );
            let largest = call(limit);
            for dialect in ALL {
                let bought = buy(&shop, &app, &largest).await;
                let served = ask(&app, from(&largest.with(bought.of(dialect)), 1)).await;
                assert_eq!(served.status(), StatusCode::OK, "{dialect}, {pool}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_pool_has_shares_too_if_the_limit_was_not_set() {
    for pool in [64 << 10, 1 << 20, 8 << 20, 64 << 20] {
        let shop = Shop::new();
        let app = service(
            &shop
                .builder_of_every_dialect()
                .body_pool(pool)
                .build()
                .unwrap(),
            Amount::from_sat(10),
        );
        let (large, other) = (call(pool / 32), call(1 << 10));
        let paid = other.with(buy(&shop, &app, &other).await.of(DialectName::X402));
        let replayed = large.with(buy(&shop, &app, &large).await.of(DialectName::X402));
        let (waiting, _) = start(
            &app,
            (0..40).map(|client| stalled(&replayed, large.body.len() - 1, client)),
        );
        assert!(!waiting.is_empty());
        assert_eq!(
            ask(&app, paid.request()).await.status(),
            StatusCode::OK,
            "{pool}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_payment_that_is_presented_again_and_again_leaves_room_for_others() {
    for is_spent in [true, false] {
        let shop = Shop::new();
        let app = service(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
        let large = call(LIMIT);
        let other = call(1 << 10);
        let paid = other.with(buy(&shop, &app, &other).await.of(DialectName::X402));
        let replayed = large.with(buy(&shop, &app, &large).await.of(DialectName::X402));
        if is_spent {
            assert_eq!(ask(&app, replayed.request()).await.status(), StatusCode::OK);
        }
        let (waiting, refused) = start(
            &app,
            (0..40).map(|client| stalled(&replayed, LIMIT - 1, client)),
        );
        assert_eq!(
            refused,
            if is_spent { 0 } else { 38 },
            "spent bodies are hashed, others have a share"
        );
        assert_eq!(
            ask(&app, paid.request()).await.status(),
            StatusCode::OK,
            "spent: {is_spent}"
        );
        drop(waiting);
        let whole = ask(&app, replayed.request()).await;
        assert_eq!(
            whole.status(),
            if is_spent {
                StatusCode::PAYMENT_REQUIRED
            } else {
                StatusCode::OK
            }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_client_with_many_payments_leaves_room_for_others() {
    let shop = Shop::new();
    let app = service(
        &shop.builder_of_every_dialect().build().unwrap(),
        Amount::from_sat(10),
    );
    let (large, other) = (call(LIMIT), call(1 << 10));
    let paid = other.with(buy(&shop, &app, &other).await.of(DialectName::Mpp));
    let mut stalling = Vec::new();
    for _ in 0..20 {
        stalling.push(stalled(
            &large.with(buy(&shop, &app, &large).await.of(DialectName::X402)),
            LIMIT - 1,
            1,
        ));
    }
    let (_waiting, refused) = start(&app, stalling);
    assert_eq!(refused, 16);
    assert_eq!(ask(&app, from(&paid, 2)).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn one_client_without_a_payment_leaves_room_for_other_prices() {
    let shop = Shop::new();
    let app = service(&shop.paywall_of_every_dialect(), priced_by_the_body());
    let large = call(LIMIT);
    let (_waiting, refused) = start(&app, (0..20).map(|_| stalled(&large, LIMIT - 1, 1)));
    assert_eq!(refused, 16);
    assert_eq!(
        ask(&app, from(&large, 2)).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
}

#[tokio::test(start_paused = true)]
async fn one_household_and_one_site_leave_room_for_others() {
    // Of 16 bodies in each half; the networks of a site are those of many households.
    for (step, most) in [(1, 6), (256, 8)] {
        for is_paid in [true, false] {
            let shop = Shop::new();
            let charge = if is_paid {
                Charge::new(Amount::from_sat(10))
            } else {
                priced_by_the_body()
            };
            let app = service(&shop.paywall_of_every_dialect(), charge);
            let large = call(LIMIT);
            let mut stalling = Vec::new();
            for network in 0..20 {
                let call = match is_paid {
                    true => large.with(buy(&shop, &app, &large).await.of(DialectName::X402)),
                    false => large.clone(),
                };
                stalling.push(of_ipv6(stalled(&call, LIMIT - 1, 0), network * step));
            }
            let other = if is_paid {
                large.with(buy(&shop, &app, &large).await.of(DialectName::X402))
            } else {
                large
            };
            let (waiting, refused) = start(&app, stalling);
            assert_eq!((waiting.len(), refused), (most, 20 - most));
            let expected = if is_paid {
                StatusCode::OK
            } else {
                StatusCode::PAYMENT_REQUIRED
            };
            assert_eq!(ask(&app, from(&other, 2)).await.status(), expected);
            if step == 1 {
                let neighbour = ask(&app, of_ipv6(other.request(), 256)).await.status();
                assert_ne!(
                    neighbour,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "another household of the site"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn memory_is_taken_as_bytes_come_and_not_as_they_are_announced() {
    let shop = Shop::new();
    let app = service(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
    let large = call(LIMIT);
    let paid = large.with(buy(&shop, &app, &large).await.of(DialectName::X402));
    let mut stalling = Vec::new();
    // Each of a payment and a client of its own, so that no share stops them.
    for client in 0..200 {
        stalling.push(stalled(
            &large.with(buy(&shop, &app, &large).await.of(DialectName::X402)),
            1,
            client,
        ));
    }
    let (waiting, refused) = start(&app, stalling);
    assert_eq!((waiting.len(), refused), (200, 0));
    assert_eq!(ask(&app, paid.request()).await.status(), StatusCode::OK);
}

/// A pool in which one body fills all that is there for the paid.
pub(crate) fn for_one_body(shop: &Shop) -> Paywall {
    shop.builder_of_every_dialect()
        .body_limit(4 << 10)
        .body_pool(8 << 10)
        .build()
        .unwrap()
}
