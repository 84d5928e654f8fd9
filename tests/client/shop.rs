//! Our own server, with a wallet in front of it.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service as _, ServiceExt as _};
use tower_x402::{
    Charge, DialectName, MemoryStore, Paywall, Secrets, body::RequestBody, lightning::BoxFuture,
    server::KeptAnswers,
};

use crate::{
    bank::{Bank, sat},
    stall::Body,
};

pub(crate) const ALL: [DialectName; 3] = [DialectName::X402, DialectName::Mpp, DialectName::L402];
pub(crate) const URL: &str = "https://api.example.com/weather?city=oslo";

/// A server as [`sells`] makes it, for 10 sat in every dialect, which keeps its answers.
pub(crate) fn keeps_answers(
    bank: &Bank,
) -> impl Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Clone + Send + Sync + 'static {
    let kept = KeptAnswers::new(MemoryStore::new().unwrap().with_clock(bank.clock.clone()));
    sells(bank, ALL, Charge::new(sat(10)).keep_answers(kept))
}

/// Our server at `https://api.example.com`, as a function from a request to an answer.
pub(crate) fn sells(
    bank: &Bank,
    dialects: impl IntoIterator<Item = DialectName>,
    charge: impl Into<Charge>,
) -> impl Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Clone + Send + Sync + 'static {
    let store = MemoryStore::new().unwrap().with_clock(bank.clock.clone());
    let paywall = Paywall::builder(bank.node.clone())
        .origin("https://api.example.com")
        .master_secret(Secrets::test_secret(7))
        .replay_store(store)
        .clock(bank.clock.clone())
        .dialects(dialects)
        .build()
        .unwrap();
    let handler = tower::service_fn(async |_: Request<RequestBody<Body>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("sunny"))))
    });
    let server = paywall.charge(charge).unwrap().layer(handler);
    move |request| {
        let mut server = server.clone();
        Box::pin(async move {
            let answer = server.ready().await.unwrap().call(request).await.unwrap();
            let (head, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Response::from_parts(head, Full::new(body))
        })
    }
}
