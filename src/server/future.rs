use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    answer_form::AnswerForm,
    caches::keep_private,
    config::BoxError,
    request::{
        admission::Admission,
        answers::GrpcStatus,
        decision::Decision,
        keeping::{Keeping, Kept},
        redeem,
    },
};
use crate::{
    body::{RequestBody, ResponseBody},
    payment::PaymentReceipt,
};

pin_project! {
    /// The future of [`X402Service`](super::X402Service).
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<RequestBody<B>>>,
    {
        #[pin]
        state: State<S, S::Future, S::Error, B, R>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F, E, B, R> {
        /// Waiting for the node, the store, the price function or the inner service to be ready, or
        /// about to do what was decided.
        Deciding { inner: S, decision: Option<Decision<B>>, form: AnswerForm },
        /// The inner service failed to become ready.
        Failed { error: Option<E> },
        Serving { #[pin] future: F, admission: Admission },
        /// The answer is read and kept before it is sent.
        Keeping { keeping: Box<Keeping<R>>, receipt: Option<PaymentReceipt> },
        /// The answer passes unchanged.
        Free { #[pin] future: F },
    }
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<RequestBody<B>>>,
{
    pub(super) const fn deciding(inner: S, decision: Decision<B>, form: AnswerForm) -> Self {
        Self {
            state: State::Deciding {
                inner,
                decision: Some(decision),
                form,
            },
        }
    }

    /// Serves a request that is free by the table.
    #[inline]
    pub(super) fn free(inner: S, request: Request<RequestBody<B>>) -> Self {
        Self::at_once(inner, request, Admission::default(), |future, _| {
            State::Free { future }
        })
    }

    /// Serves a request that is decided already.
    #[inline]
    pub(super) fn passing(
        inner: S,
        request: Request<RequestBody<B>>,
        admission: Admission,
    ) -> Self {
        Self::at_once(inner, request, admission, |future, admission| {
            State::Serving { future, admission }
        })
    }

    /// Calls the inner service at once if it is ready, as most are.
    #[inline(always)]
    fn at_once(
        mut inner: S,
        request: Request<RequestBody<B>>,
        mut admission: Admission,
        called: impl FnOnce(S::Future, Admission) -> State<S, S::Future, S::Error, B, R>,
    ) -> Self {
        match inner.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {
                let future = admission.within(|| inner.call(request));
                Self {
                    state: called(future, admission),
                }
            }
            Poll::Ready(Err(error)) => Self {
                state: State::Failed { error: Some(error) },
            },
            // It is polled again with a real waker, and keeps its place in a queue.
            Poll::Pending => Self {
                state: State::Deciding {
                    inner,
                    decision: Some(Decision::Pass(Box::new((request, admission)))),
                    form: AnswerForm::default(),
                },
            },
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Deciding {
                    inner,
                    decision,
                    form,
                } => {
                    // Made ready only now, and before a use is consumed, which is the last step.
                    if matches!(decision, Some(Decision::Pass(..) | Decision::Verified(..))) {
                        ready!(inner.poll_ready(cx))?;
                    }
                    match decision.take().expect("not polled after completion") {
                        Decision::Pass(admitted) | Decision::Serve(admitted) => {
                            let (request, mut admission) = *admitted;
                            let future = admission.within(|| inner.call(request));
                            this.state.set(State::Serving { future, admission });
                        }
                        Decision::Answer(response) => {
                            let response = form.written(*response);
                            return Poll::Ready(Ok(response.map(ResponseBody::held)));
                        }
                        Decision::Again(answer) => {
                            let (response, share) = *answer;
                            let response =
                                response.map(|data| ResponseBody::held_with(data, share));
                            return Poll::Ready(Ok(response));
                        }
                        Decision::Wait(mut waiting) => match waiting.as_mut().poll(cx) {
                            Poll::Ready(next) => *decision = Some(next),
                            Poll::Pending => {
                                *decision = Some(Decision::Wait(waiting));
                                return Poll::Pending;
                            }
                        },
                        Decision::Verified(pending, dialect, proof) => {
                            *decision = Some(redeem::consume(pending, dialect, proof));
                        }
                        Decision::Spent(pending, dialect) => {
                            // A fresh clone gives back the permit of the one that was made ready.
                            *inner = inner.clone();
                            *decision = Some(redeem::refuse_spent(pending, dialect));
                        }
                    }
                }
                StateProjection::Failed { error } => {
                    return Poll::Ready(Err(error.take().expect("not polled after completion")));
                }
                StateProjection::Free { future } => {
                    return Poll::Ready(Ok(ready!(future.poll(cx))?.map(ResponseBody::inner)));
                }
                StateProjection::Keeping { keeping, receipt } => {
                    let mut response = match ready!(keeping.poll(cx)) {
                        Kept::Answer(answer) => answer,
                        Kept::Own {
                            answer,
                            hook,
                            is_grpc,
                        } => {
                            let form = AnswerForm { hook, is_grpc };
                            form.written(*answer).map(ResponseBody::held)
                        }
                    };
                    if let Some(receipt) = receipt.take() {
                        response.extensions_mut().insert(receipt);
                    }
                    // The use ends now, when the answer can be found.
                    this.state.set(State::Failed { error: None });
                    return Poll::Ready(Ok(response));
                }
                StateProjection::Serving { future, admission } => {
                    let answer = ready!(admission.within(|| future.poll(cx)));
                    let Admission {
                        paid,
                        receipt,
                        keep_private: is_private,
                        to_keep,
                        ends_at,
                    } = std::mem::take(admission);
                    return Poll::Ready(match answer {
                        Ok(mut response) => {
                            if is_private {
                                keep_private(response.headers_mut());
                            }
                            if let Some(mut paid) = paid {
                                let failed = paid.answered(&mut response);
                                if let Some(to_keep) = to_keep.filter(|_| !failed) {
                                    match Keeping::begin(response, to_keep, paid) {
                                        Ok(keeping) => {
                                            this.state.set(State::Keeping { keeping, receipt });
                                            continue;
                                        }
                                        Err(passed) => response = passed,
                                    }
                                }
                            }
                            if let Some(receipt) = receipt {
                                response.extensions_mut().insert(receipt);
                            }
                            Ok(match ends_at {
                                None => response.map(ResponseBody::inner),
                                Some(end) => {
                                    let trailers =
                                        end.is_grpc.then(|| GrpcStatus::time_is_over().trailers());
                                    response.map(|body| {
                                        ResponseBody::inner_until(body, end.at, trailers)
                                    })
                                }
                            })
                        }
                        Err(error) => {
                            paid.into_iter().for_each(|paid| paid.failed());
                            Err(error)
                        }
                    });
                }
            }
        }
    }
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<RequestBody<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
