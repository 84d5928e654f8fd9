//! The body of a response that was paid for.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::StatusCode;
use http_body::{Body, Frame, SizeHint};

use super::hand::Hand;

pin_project_lite::pin_project! {
    /// The body of a response that may have been paid for.
    ///
    /// If a paid body breaks off with an error, the same request made again presents the same payment.
    /// A body that is dropped before its end counts as received.
    pub struct PaidBody<R> {
        #[pin]
        inner: R,
        redeeming: Option<Redeeming>,
    }
}

/// A payment that is redeemed once the body of its answer has come to its end.
pub(super) struct Redeeming {
    hand: Hand,
    status: StatusCode,
    is_broken: bool,
}

impl Redeeming {
    pub(super) const fn new(hand: Hand, status: StatusCode) -> Self {
        Self {
            hand,
            status,
            is_broken: false,
        }
    }
}

impl Drop for Redeeming {
    fn drop(&mut self) {
        if self.is_broken {
            self.hand.answered(self.status);
        } else {
            self.hand.redeemed(self.status, false);
        }
    }
}

impl<R: Body> PaidBody<R> {
    pub(super) fn new(inner: R, redeeming: Option<Redeeming>) -> Self {
        let redeeming = redeeming.filter(|_| !inner.is_end_stream());
        Self { inner, redeeming }
    }
}

impl<R> PaidBody<R> {
    /// Returns the body of the inner client. What was paid then counts as received.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Returns whether the payment is still to be redeemed.
    #[cfg(feature = "reqwest")]
    pub(super) const fn is_redeeming(&self) -> bool {
        self.redeeming.is_some()
    }
}

impl<R: Body> Body for PaidBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        match &frame {
            Some(Err(_)) => {
                if let Some(mut redeeming) = this.redeeming.take() {
                    redeeming.is_broken = true;
                }
            }
            None => *this.redeeming = None,
            Some(Ok(_)) if this.inner.is_end_stream() => *this.redeeming = None,
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<R> fmt::Debug for PaidBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaidBody").finish_non_exhaustive()
    }
}
