//! The layer for services that take axum's own body.

use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxError, X402Layer, X402Service};
use crate::body::RequestBody;

/// [`X402Layer`] for inner services that take `Request<axum::body::Body>` and no other body, such as
/// axum's `middleware::from_fn`. [`X402Layer::for_axum`] creates it.
#[derive(Clone, Debug)]
#[must_use]
pub struct AxumLayer(X402Layer);

/// The inner service of [`AxumLayer`]: gets the body of the layer as axum's own.
#[derive(Clone, Debug)]
pub struct AxumBody<S>(S);

impl X402Layer {
    /// Returns the same layer for an inner service that takes `Request<axum::body::Body>`.
    ///
    /// axum's routes and routers take any body, so they need no such call. Services that are written
    /// for axum's own body do: `middleware::from_fn` further in, `service_fn` with axum's `Request`,
    /// and boxed services. Without it they are a compile error (E0277).
    ///
    /// ```
    /// use axum::{Router, extract::Request, middleware::{self, Next}, response::Response, routing::get};
    /// use tower::ServiceBuilder;
    /// use tower_x402::{Amount, Paywall};
    ///
    /// async fn after_payment(request: Request, next: Next) -> Response {
    ///     next.run(request).await
    /// }
    ///
    /// # fn app(paywall: Paywall) -> Result<Router, tower_x402::server::ConfigError> {
    /// let stack = ServiceBuilder::new()
    ///     .layer(paywall.charge(Amount::from_sat(10))?.for_axum())
    ///     .layer(middleware::from_fn(after_payment));
    /// Ok(Router::new().route("/weather", get(|| async { "sunny" }).route_layer(stack)))
    /// # }
    /// ```
    pub const fn for_axum(self) -> AxumLayer {
        AxumLayer(self)
    }
}

impl<S> Layer<S> for AxumLayer
where
    S: Service<Request<Body>> + Clone,
{
    type Service = X402Service<AxumBody<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(AxumBody(inner))
    }
}

impl<S, B> Service<Request<RequestBody<B>>> for AxumBody<S>
where
    S: Service<Request<Body>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody<B>>) -> S::Future {
        self.0.call(request.map(|body| match body.into_unread() {
            // axum's own body stays as it is.
            Ok(body) => Body::new(body),
            Err(held) => Body::new(RequestBody::<B>::held(*held)),
        }))
    }
}
