use std::{
    mem,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    Wallet,
    error::{Cause, PayError},
    future::ResponseFuture,
    paid_body::PaidBody,
    pay,
};
use crate::boxed::BoxError;

/// The client that [`AutoPayLayer`](super::AutoPayLayer) puts around another one.
///
/// A request keeps the type of its body. A response has a [`PaidBody`](super::PaidBody) around the
/// inner client's. A request's body of at most
/// [`Policy::max_body`](super::Policy::max_body) bytes is kept to be sent again. A longer one, or
/// one that does not say how long it can be, is sent as it is, and the request is never paid for.
#[derive(Clone, Debug)]
pub struct AutoPay<S> {
    inner: S,
    wallet: Wallet,
}

impl<S> AutoPay<S> {
    pub(super) const fn new(inner: S, wallet: Wallet) -> Self {
        Self { inner, wallet }
    }
}

impl<S, B, R> Service<Request<B>> for AutoPay<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body + Send + 'static,
    R::Data: Send,
{
    type Response = Response<PaidBody<R>>;
    type Error = PayError<S::Error>;
    type Future = ResponseFuture<R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let ready = self.inner.poll_ready(cx);
        ready.map_err(|error| PayError::new(Cause::Inner(error)))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was made ready is called. A fresh clone takes its place.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        pay::call(self.wallet.clone(), ready, request)
    }
}
