//! Payments whose handler failed: L402 gives the use back, the other dialects do not.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::timeout::TimeoutLayer;
use tower_x402::{Amount, Charge, DialectName, Paywall, body::RequestBody};

use crate::{
    customer::{ALL, Call, asks_for_money},
    shop::{Shop, ask},
};

#[derive(Clone, Copy, Debug)]
enum Failure {
    Status(u16),
    /// 200, and a header that says that nothing was made.
    Marked,
    Error,
    PanicInCall,
    PanicLater,
    /// Nothing is wrong, and the client hangs up while the handler works.
    HungUp,
}

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Status(StatusCode),
    NoAnswer,
}

async fn present(
    paywall: &Paywall,
    charge: &Charge,
    runs: &Arc<AtomicUsize>,
    failure: Failure,
    request: Request<Body>,
) -> Outcome {
    let runs = runs.clone();
    let handler = service_fn(move |_: Request<RequestBody<Body>>| {
        runs.fetch_add(1, Ordering::SeqCst);
        if matches!(failure, Failure::PanicInCall) {
            panic!("the handler panics when it is called");
        }
        async move {
            tokio::task::yield_now().await;
            match failure {
                Failure::Status(status) => Ok(Response::builder()
                    .status(status)
                    .body(Body::empty())
                    .unwrap()),
                Failure::Marked => Ok(Response::builder()
                    .header("x-made", "nothing")
                    .body(Body::empty())
                    .unwrap()),
                Failure::Error => Err("the handler has an error of its own"),
                Failure::PanicInCall | Failure::PanicLater => {
                    panic!("the handler panics while it works")
                }
                Failure::HungUp => std::future::pending::<Result<_, _>>().await,
            }
        }
    });
    let service = paywall.charge(charge.clone()).unwrap().layer(handler);
    let answer = std::panic::AssertUnwindSafe(service.oneshot(request)).catch_unwind();
    let answer = if matches!(failure, Failure::HungUp) {
        let mut answer = std::pin::pin!(answer);
        let mut ended = None;
        for _ in 0..20 {
            ended = ended.or((&mut answer).now_or_never());
            if ended.is_some() {
                break;
            }
        }
        ended
    } else {
        Some(answer.await)
    };
    match answer {
        Some(Ok(Ok(response))) => Outcome::Status(response.status()),
        _ => Outcome::NoAnswer,
    }
}

/// How often the handler runs for one payment, when it fails each time and the client tries again
/// and again.
async fn runs(
    shop: &Shop,
    paywall: &Paywall,
    charge: Charge,
    dialect: DialectName,
    failure: Failure,
) -> usize {
    let shown = paywall.charge(charge.clone()).unwrap();
    let shown = shown.layer(service_fn(async |_: Request<RequestBody<Body>>| {
        Ok::<_, Infallible>(Response::<Body>::default())
    }));
    let call = Call::get("/render");
    let credential = call.buy(shop, &shown, dialect).await;
    let count = Arc::default();
    for _ in 0..12 {
        let before = count_of(&count);
        let outcome = present(paywall, &charge, &count, failure, call.paid(&credential)).await;
        if count_of(&count) == before {
            assert_eq!(
                outcome,
                Outcome::Status(StatusCode::PAYMENT_REQUIRED),
                "{dialect} {failure:?}"
            );
        }
    }
    count_of(&count)
}

fn count_of(count: &Arc<AtomicUsize>) -> usize {
    count.load(Ordering::SeqCst)
}

const FAILURES: [Failure; 9] = [
    Failure::Status(408),
    Failure::Status(425),
    Failure::Status(429),
    Failure::Status(500),
    Failure::Status(503),
    Failure::Status(599),
    Failure::Error,
    Failure::PanicInCall,
    Failure::PanicLater,
];

#[tokio::test]
async fn a_failed_use_of_l402_comes_back_twice_and_never_a_third_time() {
    for failure in FAILURES {
        let shop = Shop::new();
        let paywall = shop.paywall_of_every_dialect();
        assert_eq!(
            runs(
                &shop,
                &paywall,
                Amount::from_sat(10).into(),
                DialectName::L402,
                failure
            )
            .await,
            3,
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn max_restores_says_how_often_and_zero_turns_it_off() {
    for (restores, expected) in [(0, 1), (1, 2), (5, 6)] {
        for failure in FAILURES {
            let shop = Shop::new();
            let paywall = shop.builder().max_restores(restores).build().unwrap();
            let charge = Amount::from_sat(10);
            assert_eq!(
                runs(&shop, &paywall, charge.into(), DialectName::L402, failure).await,
                expected,
                "{failure:?}"
            );
        }
    }
}

#[tokio::test]
async fn in_x402_and_mpp_a_failed_use_stays_spent() {
    for dialect in [DialectName::Mpp, DialectName::X402] {
        for failure in FAILURES {
            let shop = Shop::new();
            let paywall = shop.paywall_of_every_dialect();
            assert_eq!(
                runs(
                    &shop,
                    &paywall,
                    Amount::from_sat(10).into(),
                    dialect,
                    failure
                )
                .await,
                1,
                "{dialect} {failure:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_while_the_handler_runs_gets_nothing_back() {
    for dialect in ALL {
        let shop = Shop::new();
        let paywall = shop.paywall_of_every_dialect();
        assert_eq!(
            runs(
                &shop,
                &paywall,
                Amount::from_sat(10).into(),
                dialect,
                Failure::HungUp
            )
            .await,
            1,
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_blames_the_client_is_served_and_spent() {
    for status in [
        200, 204, 302, 400, 401, 403, 404, 407, 409, 413, 422, 424, 426, 428, 431, 499,
    ] {
        let shop = Shop::new();
        let paywall = shop.paywall();
        let charge = Amount::from_sat(10);
        let runs = runs(
            &shop,
            &paywall,
            charge.into(),
            DialectName::L402,
            Failure::Status(status),
        )
        .await;
        assert_eq!(runs, 1, "{status}");
    }
}

#[tokio::test]
async fn without_a_charge_for_failures_every_dialect_gives_a_failed_use_back() {
    for (restores, expected) in [(0, 1), (1, 2), (2, 3)] {
        for dialect in ALL {
            for failure in FAILURES {
                let shop = Shop::new();
                let builder = shop.builder_of_every_dialect().max_restores(restores);
                let charge = Charge::new(Amount::from_sat(10)).no_charge_for_failures();
                let runs = runs(&shop, &builder.build().unwrap(), charge, dialect, failure).await;
                assert_eq!(runs, expected, "{dialect} {failure:?}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_charge_for_failures_one_payment_still_buys_one_answer() {
    for dialect in ALL {
        for good in [Failure::Status(200), Failure::Status(404), Failure::HungUp] {
            let shop = Shop::new();
            let paywall = shop.paywall_of_every_dialect();
            let charge = Charge::new(Amount::from_sat(10)).no_charge_for_failures();
            let runs = runs(&shop, &paywall, charge, dialect, good).await;
            assert_eq!(runs, 1, "{dialect} {good:?}");
        }
    }
}

#[tokio::test]
async fn the_function_of_a_charge_decides_which_answers_are_failures() {
    let marked = |answer: &Response<()>| answer.headers().contains_key("x-made");
    let never = |_: &Response<()>| false;
    let only_503 = |answer: &Response<()>| answer.status() == StatusCode::SERVICE_UNAVAILABLE;
    let charge = || Charge::new(Amount::from_sat(10));
    for (charge, failure, expected) in [
        (charge(), Failure::Marked, 1),
        (charge().failed_if(marked), Failure::Marked, 3),
        (charge().failed_if(marked), Failure::Status(500), 1),
        (charge().failed_if(only_503), Failure::Status(503), 3),
        (charge().failed_if(only_503), Failure::Status(408), 1),
        (charge().failed_if(never), Failure::Status(503), 1),
        // What has no answer cannot be asked about.
        (charge().failed_if(never), Failure::Error, 3),
        (charge().failed_if(never), Failure::PanicLater, 3),
        (
            charge().failed_if(marked).failed_if(never),
            Failure::Marked,
            1,
        ),
    ] {
        let (shop, what) = (Shop::new(), format!("{charge:?} {failure:?}"));
        let paywall = shop.paywall();
        let runs = runs(&shop, &paywall, charge, DialectName::L402, failure).await;
        assert_eq!(runs, expected, "{what}");
    }
}

#[tokio::test]
async fn a_function_that_panics_leaves_the_decision_to_the_status_and_the_answer_whole() {
    let charge = Charge::new(Amount::from_sat(10)).failed_if(|_| panic!("out of order"));
    for (failure, expected) in [(Failure::Marked, 1), (Failure::Status(429), 3)] {
        let shop = Shop::new();
        let paywall = shop.paywall();
        let runs = runs(&shop, &paywall, charge.clone(), DialectName::L402, failure).await;
        assert_eq!(runs, expected, "{failure:?}");
    }
    let shop = Shop::new();
    let whole = service_fn(async |_: Request<RequestBody<Body>>| {
        let answer = Response::builder().status(203).header("x-made", "all");
        Ok::<_, Infallible>(answer.body(Body::from("content")).unwrap())
    });
    let service = shop.paywall().charge(charge).unwrap().layer(whole);
    let call = Call::get("/render");
    let credential = call.buy(&shop, &service, DialectName::L402).await;
    let answer = ask(&service, call.paid(&credential)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-made"]),
        (203, &"all".parse().unwrap())
    );
    assert_eq!(answer.body(), "content");
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_inside_the_layer_costs_the_payer_nothing_two_times() {
    let slow = || {
        service_fn(async |_: Request<RequestBody<Body>>| {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok::<_, Infallible>(Response::<Body>::default())
        })
    };
    let limit = Duration::from_secs(5);
    for dialect in ALL {
        let shop = Shop::new();
        let charge = Charge::new(Amount::from_sat(10)).no_charge_for_failures();
        let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
        let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limit);
        let answers_408 = layer.layer(timeout.layer(slow()));
        let errs = ServiceBuilder::new()
            .layer(layer)
            .timeout(limit)
            .service(slow());
        let call = Call::get("/render");
        let (one, two) = (
            call.buy(&shop, &answers_408, dialect).await,
            call.buy(&shop, &answers_408, dialect).await,
        );
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(ask(&answers_408, call.paid(&one)).await.status().as_u16());
        }
        assert_eq!(statuses, [408, 408, 408, 402], "{dialect}");
        for _ in 0..3 {
            assert!(
                errs.clone().oneshot(call.paid(&two)).await.is_err(),
                "{dialect}"
            );
        }
        let answer = errs.oneshot(call.paid(&two)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
    }
}

#[tokio::test]
async fn restores_are_counted_for_the_payment_and_not_for_each_use() {
    let shop = Shop::new();
    let charge = Charge::new(Amount::from_sat(10)).uses(std::num::NonZeroU32::new(4).unwrap());
    assert_eq!(
        runs(
            &shop,
            &shop.paywall(),
            charge,
            DialectName::L402,
            Failure::Status(500)
        )
        .await,
        4 + 2
    );
}

#[tokio::test]
async fn a_failure_without_an_answer_never_asks_for_money_by_itself() {
    let shop = Shop::new();
    let paywall = shop.paywall();
    let service = paywall.charge(Amount::from_sat(10)).unwrap();
    let failing = service.layer(service_fn(async |_: Request<RequestBody<Body>>| {
        Ok::<_, Infallible>(Response::builder().status(500).body(Body::empty()).unwrap())
    }));
    let call = Call::get("/render");
    let credential = call.buy(&shop, &failing, DialectName::L402).await;
    let made = shop.node.invoices_created();
    for _ in 0..3 {
        let answer = ask(&failing, call.paid(&credential)).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!asks_for_money(&answer));
    }
    assert_eq!(shop.node.invoices_created(), made);
}
