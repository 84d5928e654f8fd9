//! Inner services that take axum's own body, in stacks and by hand: `for_axum` wraps them.

use std::convert::Infallible;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::StatusCode;
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceBuilder, service_fn, util::BoxCloneService};
use tower_x402::{Amount, Charge, PaymentReceipt, RouteTable, price_fn, server::PriceRequest};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask, problem},
};

/// A service for axum's own body and no other: answers with the request's body.
async fn echo(request: Request) -> Result<Response, Infallible> {
    assert!(request.extensions().get::<PaymentReceipt>().is_some());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(body.into_response())
}

async fn pass(request: Request, next: Next) -> Response {
    next.run(request).await
}

fn ten() -> Charge {
    Charge::new(Amount::from_sat(10))
}

/// Priced by its body, which the layer reads into memory.
fn by_the_body() -> Charge {
    let price = |q: PriceRequest| async move { Ok(Some(Amount::from_sat(q.body().len() as u32))) };
    Charge::new(price_fn(price)).reads_body()
}

#[tokio::test]
async fn a_service_for_axums_own_body_sells_in_every_dialect() {
    for charge in [ten(), by_the_body()] {
        for dialect in ALL {
            let shop = Shop::new();
            let paywall = shop.paywall_of_every_dialect();
            let table = RouteTable::new()
                .charge("POST /a", charge.clone())
                .otherwise_refuse();
            for layer in [
                paywall.charge(charge.clone()).unwrap(),
                paywall.routes(table).unwrap(),
            ] {
                let call = Call::post("/a", b"a body");
                let fixed = layer.clone().for_axum().layer(service_fn(echo));
                let boxed = layer
                    .for_axum()
                    .layer(BoxCloneService::new(service_fn(echo)));
                let line = call.buy(&shop, &fixed, dialect).await;
                let served = ask(&fixed, call.paid(&line)).await;
                assert_eq!(served.status(), StatusCode::OK, "{dialect}");
                assert_eq!(served.body(), "a body", "{dialect}");
                let again = problem(&ask(&boxed, call.paid(&line)).await);
                assert_eq!(again["kind"], "spent", "{dialect}");
            }
        }
    }
}

#[tokio::test]
async fn a_stack_with_from_fn_on_both_sides_sells_in_every_dialect() {
    for charge in [ten(), by_the_body()] {
        for dialect in ALL {
            let shop = Shop::new();
            let paywall = shop.paywall_of_every_dialect();
            let stack = ServiceBuilder::new()
                .layer(middleware::from_fn(pass))
                .layer(paywall.charge(charge.clone()).unwrap().for_axum())
                .layer(middleware::from_fn(pass));
            let handler = async |body: Bytes| body;
            let app = Router::new().route("/a", post(handler).route_layer(stack));
            let call = Call::post("/a", b"a body");
            let line = call.buy(&shop, &app, dialect).await;
            let served = ask(&app, call.paid(&line)).await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect}");
            assert_eq!(served.body(), "a body", "{dialect}");
            let again = problem(&ask(&app, call.paid(&line)).await);
            assert_eq!(again["kind"], "spent", "{dialect}");
        }
    }
}

/// A body that is limited further out, and is found to be too long only while it is read.
#[tokio::test]
async fn a_body_that_a_layer_further_out_cuts_off_is_413_and_takes_nothing() {
    for dialect in ALL {
        let shop = Shop::new();
        let paywall = shop.paywall_of_every_dialect();
        let layer = paywall.charge(by_the_body()).unwrap().for_axum();
        let app = layer.layer(service_fn(echo));
        let call = Call::post("/a", b"a body");
        let line = call.buy(&shop, &app, dialect).await;
        let before = shop.node.invoices_created();
        for bytes in [7, 1_000] {
            let mut request = call.paid(&line);
            let long = Body::from(vec![b'x'; bytes]);
            let chunked = Body::from_stream(long.into_data_stream());
            *request.body_mut() = Body::new(http_body_util::Limited::new(chunked, 6));
            let refused = ask(&app, request).await;
            assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE, "{dialect}");
        }
        assert_eq!(shop.node.invoices_created(), before);
        assert_eq!(ask(&app, call.paid(&line)).await.status(), StatusCode::OK);
    }
}
