//! What a layer outside and the log can see: the refusal of a 402, the receipt of a paid answer, and
//! one event for each.

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, body::Body, routing::get as on_get};
use http::{Request, Response, StatusCode, header};
use tower_x402::{
    Amount, Charge, DialectName, PaymentReceipt, Refusal, RefusalKind, server::ClientAddr,
};

use crate::{
    customer::{ALL, Call},
    journal::Journal,
    shop::{Shop, ask, get, paid, problem},
};

fn app(shop: &Shop, charge: impl Into<Charge>) -> Router {
    let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
    let route = on_get(async || "sunny").route_layer(layer);
    Router::new().route("/weather", route)
}

/// A request of a client whose address is known.
fn known(call: &Call) -> Request<Body> {
    let mut request = call.request();
    let client = ClientAddr::new([192, 0, 2, 1].into());
    request.extensions_mut().insert(client);
    request
}

fn receipt<B>(answer: &Response<B>) -> Option<&PaymentReceipt> {
    answer.extensions().get()
}

fn refusal<B>(answer: &Response<B>) -> Option<&Refusal> {
    answer.extensions().get()
}

#[tokio::test]
async fn a_layer_outside_sees_the_receipt_of_a_paid_answer_and_the_refusal_of_a_402() {
    let shop = Shop::new();
    let app = app(&shop, Amount::from_sat(10));
    let call = Call::new("GET", "/weather");
    for (dialect, code) in [
        (DialectName::L402, "spent"),
        (DialectName::Mpp, "invalid-challenge"),
        (DialectName::X402, "duplicate_settlement"),
    ] {
        let unpaid = ask(&app, call.request()).await;
        assert!(receipt(&unpaid).is_none() && refusal(&unpaid).is_none());
        let bought = shop.bought(&call, &unpaid);
        let call = call.with(bought.of(dialect));

        let served = ask(&app, call.request()).await;
        let seen = receipt(&served).unwrap();
        assert_eq!(seen.payment_hash(), Some(bought.payment_hash));
        assert_eq!(seen.dialect(), dialect);
        assert!(refusal(&served).is_none());

        let refused = ask(&app, call.request()).await;
        assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
        let seen = refusal(&refused).unwrap();
        assert_eq!(
            (seen.dialect(), seen.kind(), seen.code()),
            (dialect, RefusalKind::Spent, code)
        );
        assert!(receipt(&refused).is_none());
        let problem = problem(&refused);
        assert_eq!(
            (&problem["dialect"], &problem["kind"], &problem["reason"]),
            (&dialect.as_str().into(), &"spent".into(), &code.into())
        );
    }
}

#[tokio::test]
async fn the_receipt_is_in_every_answer_that_a_payment_buys_whatever_its_status() {
    let shop = Shop::new();
    let paywall = shop.paywall();
    let uses = Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(3).unwrap());
    let day = Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(86_400));
    for charge in [uses, day] {
        let handler = on_get(async || StatusCode::NOT_FOUND);
        let route = handler.route_layer(paywall.charge(charge).unwrap());
        let app = Router::new().route("/a", route);
        let credential = shop.buy(&app, get("/a")).await;
        for _ in 0..3 {
            let answer = ask(&app, paid("/a", &credential)).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            assert!(receipt(&answer).is_some());
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_payment_has_no_receipt_and_no_refusal() {
    let shop = Shop::new();
    let free = tower_x402::price_fn(|_| async { Ok(None) });
    let answer = ask(&app(&shop, Charge::new(free)), get("/weather")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(receipt(&answer).is_none() && refusal(&answer).is_none());
}

#[tokio::test]
async fn a_refused_credential_is_seen_if_the_node_fails_too() {
    let shop = Shop::new();
    let app = app(&shop, Amount::from_sat(10));
    shop.node.reachable(false);
    let bad = (header::AUTHORIZATION, "L402 AAAA:00".parse().unwrap());
    let call = Call::new("GET", "/weather").with(&bad);
    let answer = ask(&app, call.request()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refusal(&answer).unwrap().kind(), RefusalKind::Malformed);
}

#[tokio::test]
async fn each_refusal_is_one_debug_event_with_fields_and_without_the_query() {
    let shop = Shop::new();
    let app = app(&shop, Amount::from_sat(10));
    let call = Call::new("GET", "/weather?key=hidden");
    for (dialect, code) in [
        (DialectName::L402, "spent"),
        (DialectName::Mpp, "invalid-challenge"),
        (DialectName::X402, "duplicate_settlement"),
    ] {
        let bought = shop.bought(&call, &ask(&app, known(&call)).await);
        let call = call.with(bought.of(dialect));
        assert_eq!(ask(&app, known(&call)).await.status(), StatusCode::OK);
        let journal = Journal::begin();
        ask(&app, known(&call)).await;
        let lines = journal.lines();
        let debug = lines.lines().filter(|line| line.starts_with("DEBUG"));
        assert_eq!(
            debug.map(|line| format!("{line}\n")).collect::<String>(),
            format!(
                "DEBUG tower_x402 message=credential refused dialect=\"{dialect}\" kind=\"spent\" code=\"{code}\" \
                 path=\"/weather\"\n"
            )
        );
    }
}

#[tokio::test]
async fn each_settled_payment_is_one_info_event_however_often_it_is_used() {
    let once = Charge::new(Amount::from_sat(10));
    let uses = once.clone().uses(NonZeroU32::new(3).unwrap());
    let day = once.clone().for_duration(Duration::from_secs(86_400));
    for (charge, dialects, times) in [
        (once, &ALL[..], 1),
        (uses, &[DialectName::L402], 3),
        (day, &[DialectName::L402], 3),
    ] {
        for dialect in dialects {
            let shop = Shop::new();
            let app = app(&shop, charge.clone());
            let call = Call::new("GET", "/weather?key=hidden");
            let journal = Journal::begin();
            let bought = shop.bought(&call, &ask(&app, known(&call)).await);
            assert_eq!(journal.lines(), "", "nothing is settled yet");
            let call = call.with(bought.of(*dialect));
            for _ in 0..times {
                assert_eq!(ask(&app, known(&call)).await.status(), StatusCode::OK);
            }
            assert_eq!(
                journal.lines(),
                format!(
                    "INFO tower_x402 message=payment settled dialect=\"{dialect}\" amount_msat=10000 payment_hash={} \
                     client=192.0.2.1 resource=GET https://api.example.com/weather\n",
                    bought.payment_hash
                )
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_logged_even_if_the_client_hangs_up_before_the_answer() {
    use tower::ServiceExt as _;

    let shop = Shop::new();
    let app = app(&shop, Amount::from_sat(10));
    shop.node.pause();
    let journal = Journal::begin();
    let request = paid("/weather", &"L402 AAAA:00".parse().unwrap());
    let asked = app.oneshot(request);
    tokio::time::timeout(Duration::from_secs(1), asked)
        .await
        .unwrap_err();
    let lines = journal.lines();
    assert_eq!(lines.matches("credential refused").count(), 1, "{lines}");
}
