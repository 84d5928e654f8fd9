use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    ResponseFuture,
    answer_form::AnswerForm,
    config::BoxError,
    request::{admission::Admission, answers, aside, decision::Decision, gate},
    routes::{
        priced::PricedRoutes,
        triage::{Triage, triage},
    },
};
use crate::body::{RequestBody, ResponseBody};

/// The service that [`X402Layer`](super::X402Layer) puts around another one.
///
/// The inner service takes `Request<RequestBody<B>>`, where `B` is the body type of the request. A
/// service for `Request<RequestBody<Incoming>>` can be wrapped, one for `Request<Incoming>` cannot.
/// One for `Request<axum::body::Body>` can, with [`X402Layer::for_axum`](super::X402Layer::for_axum).
#[derive(Clone, Debug)]
pub struct X402Service<S> {
    inner: S,
    routes: Arc<PricedRoutes>,
}

impl<S> X402Service<S> {
    pub(super) const fn new(inner: S, routes: Arc<PricedRoutes>) -> Self {
        Self { inner, routes }
    }

    fn form(&self, is_grpc: bool) -> AnswerForm {
        let hook = self.routes.paywall.setup().answer_hook.clone();
        AnswerForm { hook, is_grpc }
    }
}

impl<S, B, R> Service<Request<B>> for X402Service<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    /// Returns `Ready`, always. The future makes its own clone of the inner service ready once it
    /// knows that the request will be served. So a request that is not decided yet holds no
    /// capacity of the inner service.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> ResponseFuture<S, B, R> {
        let inner = self.inner.clone();
        aside::bring_back(self.routes.paywall.setup(), &mut request);
        match triage(&self.routes, &request) {
            Triage::Free => {
                let Some(aside) =
                    aside::set_aside(self.routes.paywall.setup(), request.headers_mut())
                else {
                    return ResponseFuture::free(inner, request.map(RequestBody::inner));
                };
                aside.keep_in(request.extensions_mut());
                let admission = Admission {
                    keep_private: true,
                    ..Admission::default()
                };
                ResponseFuture::passing(inner, request.map(RequestBody::inner), admission)
            }
            Triage::Priced(rule, captures) => {
                let is_grpc = rule.terms.is_grpc;
                match gate::decide(&self.routes, rule, captures, request) {
                    Ok((request, admission)) => ResponseFuture::passing(inner, request, admission),
                    Err(decision) => ResponseFuture::deciding(inner, decision, self.form(is_grpc)),
                }
            }
            Triage::Unpriced(why) => {
                let answer = Box::new(answers::unpriced(why));
                ResponseFuture::deciding(inner, Decision::Answer(answer), self.form(false))
            }
        }
    }
}
