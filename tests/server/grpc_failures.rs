//! Which answers to gRPC calls are failures of the service, whose use is given back.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::body::Body;
use http::{HeaderMap, Request, Response};
use http_body_util::StreamBody;
use tower::{Layer as _, service_fn};
use tower_x402::{Amount, Charge, body::RequestBody};

use crate::{
    calls::{call, charge, settled},
    shop::{Shop, ask},
};

/// How a handler answers a call.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Trailers-only, with this status.
    Only(&'static str),
    /// After a head without a status.
    AtTheEnd(&'static str),
    Http(u16),
}

/// How often the handler runs for one payment of three more tries.
async fn runs(charge: Charge, answer: Answer) -> usize {
    let (shop, runs) = (Shop::new(), Arc::new(AtomicUsize::new(0)));
    let counted = runs.clone();
    let handler = service_fn(move |_: Request<RequestBody<Body>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let head = Response::builder();
            Ok::<_, Infallible>(
                match answer {
                    Answer::Only(status) => head.header("grpc-status", status).body(Body::empty()),
                    Answer::Http(status) => head.status(status).body(Body::empty()),
                    Answer::AtTheEnd(status) => {
                        let line = ("grpc-status".parse().unwrap(), status.parse().unwrap());
                        let frame = http_body::Frame::trailers(HeaderMap::from_iter([line]));
                        let frames = futures_util::stream::iter([Ok::<_, Infallible>(frame)]);
                        head.body(Body::new(StreamBody::new(frames)))
                    }
                }
                .unwrap(),
            )
        }
    });
    let app = shop.paywall().charge(charge).unwrap().layer(handler);
    let (challenge, preimage) = settled(&shop, &ask(&app, call().request()).await);
    let line = (http::header::AUTHORIZATION, challenge.answer(&preimage));
    for _ in 0..4 {
        ask(&app, call().paid(&line)).await;
    }
    runs.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_trailers_only_failure_of_the_service_gives_the_use_back_two_times() {
    for code in 0..=17 {
        let expected = if [2, 4, 8, 13, 14, 15].contains(&code) {
            3
        } else {
            1
        };
        let status: &str = code.to_string().leak();
        let seen = runs(charge(), Answer::Only(status)).await;
        assert_eq!(seen, expected, "{code}");
    }
    for status in ["", "x", "-1", "13.0"] {
        assert_eq!(runs(charge(), Answer::Only(status)).await, 1, "{status}");
    }
    // HTTP's own statuses count as elsewhere.
    for (status, expected) in [(503, 3), (408, 3), (404, 1)] {
        let seen = runs(charge(), Answer::Http(status)).await;
        assert_eq!(seen, expected, "{status}");
    }
}

#[tokio::test]
async fn a_status_after_the_head_of_an_answer_comes_too_late() {
    for status in ["2", "13", "14"] {
        assert_eq!(
            runs(charge(), Answer::AtTheEnd(status)).await,
            1,
            "{status}"
        );
    }
}

#[tokio::test]
async fn the_function_of_a_charge_decides_about_methods_too() {
    let code =
        |answer: &Response<()>| Some(answer.headers().get("grpc-status")?.as_bytes().to_vec());
    let only_5 = charge().failed_if(move |answer| code(answer).is_some_and(|code| code == b"5"));
    for (status, expected) in [("5", 3), ("13", 1), ("0", 1)] {
        let seen = runs(only_5.clone(), Answer::Only(status)).await;
        assert_eq!(seen, expected, "{status}");
    }
    // A panic leaves it to the default.
    let broken = charge().failed_if(|_| panic!("out of order"));
    for (status, expected) in [("5", 1), ("13", 3), ("14", 3)] {
        let seen = runs(broken.clone(), Answer::Only(status)).await;
        assert_eq!(seen, expected, "{status}");
    }
}

#[tokio::test]
async fn on_a_route_that_is_no_method_a_grpc_status_says_nothing() {
    for status in ["2", "13", "14"] {
        let charge = Charge::new(Amount::from_sat(10));
        assert_eq!(runs(charge, Answer::Only(status)).await, 1, "{status}");
    }
}
