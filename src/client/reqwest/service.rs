use std::{
    task::{Context, Poll},
    time::Duration,
};

use ::reqwest::{Body, Client, Error};
use http::{Request, Response};
use tower_service::Service;

use crate::boxed::BoxFuture;

/// A client of reqwest as a service of http's types, with redirects off.
#[derive(Clone, Debug)]
pub(super) struct Plain(pub(super) Client);

/// The time limit of a request, which http's type has no place for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeout(pub(super) Duration);

impl Service<Request<Body>> for Plain {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let timeout = request.extensions().get::<Timeout>().copied();
            let mut request = ::reqwest::Request::try_from(request)?;
            *request.timeout_mut() = timeout.map(|timeout| timeout.0);
            Ok(client.execute(request).await?.into())
        })
    }
}
