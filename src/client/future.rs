use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;

use super::{PayError, paid_body::PaidBody};
use crate::boxed::BoxFuture;

/// The future of [`AutoPay`](super::AutoPay).
pub struct ResponseFuture<R, E> {
    deciding: BoxFuture<'static, Result<Response<PaidBody<R>>, PayError<E>>>,
}

impl<R, E> ResponseFuture<R, E> {
    pub(super) const fn new(
        deciding: BoxFuture<'static, Result<Response<PaidBody<R>>, PayError<E>>>,
    ) -> Self {
        Self { deciding }
    }
}

impl<R, E> fmt::Debug for ResponseFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<R, E> Future for ResponseFuture<R, E> {
    type Output = Result<Response<PaidBody<R>>, PayError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.deciding.as_mut().poll(cx)
    }
}
