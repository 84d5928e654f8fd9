//! Small servers for tests: functions from a request to an answer.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, util::BoxCloneService};
use tower_x402::client::{AutoPay, AutoPayLayer, PayError, Wallet};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Client = AutoPay<BoxCloneService<Request<Body>, Response<Body>, Infallible>>;
pub(crate) type Answer = Result<Response<Body>, PayError<Infallible>>;

/// What a server was sent: the URL, and the headers.
pub(crate) type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// A client in front of a function that answers requests, and what that function was sent.
pub(crate) fn client<F, A>(wallet: &Wallet, answer: F) -> (Client, Seen)
where
    F: Fn(Request<Body>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let server = tower::service_fn(move |request: Request<Body>| {
        let line = (request.uri().to_string(), request.headers().clone());
        noted.lock().unwrap().push(line);
        let answer = answer(request);
        async move {
            tokio::task::yield_now().await;
            let answer = answer.await;
            tokio::task::yield_now().await;
            Ok(answer)
        }
    });
    let server = BoxCloneService::new(server);
    (AutoPayLayer::new(wallet.clone()).layer(server), seen)
}

pub(crate) fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Body::default()).unwrap()
}

/// Sends a request, and reads the answer to its end.
pub(crate) async fn ask(client: &Client, request: Request<Body>) -> Answer {
    let (head, body) = client.clone().oneshot(request).await?.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Ok(Response::from_parts(head, body.into()))
}

pub(crate) fn answer(status: u16) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::from("an answer"))
        .unwrap()
}

/// How many requests were seen with a credential in some header.
pub(crate) fn credentials(seen: &Seen) -> usize {
    let seen = seen.lock().unwrap();
    let names = [
        "authorization",
        "payment-authorization",
        "payment-signature",
    ];
    let has = |headers: &HeaderMap| names.iter().any(|name| headers.contains_key(*name));
    seen.iter().filter(|(_, headers)| has(headers)).count()
}
