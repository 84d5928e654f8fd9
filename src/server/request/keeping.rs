//! Reads an answer to its end and keeps it, before its first byte is sent.

use std::{
    collections::VecDeque,
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response, response};
use http_body::{Body, Frame};
use tokio::time::Sleep;

use super::{answers, settle::PaidUse};
use crate::{
    body::{ResponseBody, Share},
    boxed::{BoxError, BoxFuture},
    server::{
        address::ClientKey,
        kept::{
            KeptAnswers,
            answer::{encode, is_keepable},
            key::AnswerKey,
            shelf::{Put, memory},
        },
        own_answer::AnswerHook,
        routes::priced::PricedRoutes,
    },
    trace,
};

/// What is needed to keep the answer to a paid request.
pub(in crate::server) struct ToKeep {
    pub(in crate::server) kept: KeptAnswers,
    pub(in crate::server) key: AnswerKey,
    pub(in crate::server) client: ClientKey,
    pub(in crate::server) method: Method,
    /// The headers of the request, without credentials.
    pub(in crate::server) headers: HeaderMap,
    pub(in crate::server) routes: Arc<PricedRoutes>,
    /// Memory for the body.
    pub(in crate::server) share: Share,
    /// The request is for a gRPC method.
    pub(in crate::server) is_grpc: bool,
}

/// An answer that is being read or kept. Its use counts as being served meanwhile, so a
/// repeated request is not refused as spent before the answer can be found.
pub(in crate::server) struct Keeping<R> {
    head: Option<response::Parts>,
    body: Option<Pin<Box<R>>>,
    frames: VecDeque<Frame<Bytes>>,
    length: usize,
    to_keep: Option<Box<ToKeep>>,
    paid: PaidUse,
    deadline: Pin<Box<Sleep>>,
    storing: Option<Storing>,
}

/// An answer that was read and is being written to the records.
struct Storing {
    written: BoxFuture<'static, ()>,
    whole: Bytes,
    share: Option<Share>,
}

impl ToKeep {
    /// How long the body and the records may each take.
    fn time_limit(&self) -> Duration {
        self.routes.paywall.setup().time_limit
    }
}

impl<R> Keeping<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    /// Begins to read an answer, if it is one that is kept. Otherwise returns it.
    pub(in crate::server) fn begin(
        response: Response<R>,
        to_keep: Box<ToKeep>,
        paid: PaidUse,
    ) -> Result<Box<Self>, Response<R>> {
        let (head, body) = response.into_parts();
        let fits = body.size_hint().lower() <= to_keep.kept.longest_body() as u64;
        if !fits || !is_keepable(&to_keep.method, &head) {
            return Err(Response::from_parts(head, body));
        }
        let deadline = Box::pin(tokio::time::sleep(to_keep.time_limit()));
        Ok(Box::new(Self {
            head: Some(head),
            body: Some(Box::pin(body)),
            frames: VecDeque::new(),
            length: 0,
            to_keep: Some(to_keep),
            paid,
            deadline,
            storing: None,
        }))
    }

    /// Returns the answer once it is kept, or once it is known that it will not be.
    pub(in crate::server) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Kept<R>> {
        if self.storing.is_none() {
            match ready!(self.poll_read(cx)) {
                Read::Whole => self.store(),
                Read::Broken(error) => return Poll::Ready(self.broken(&*error)),
                Read::Part => return Poll::Ready(Kept::Answer(self.resumed())),
            }
        }
        let storing = self.storing.as_mut().expect("it was read");
        ready!(storing.written.as_mut().poll(cx));
        let whole = std::mem::take(&mut storing.whole);
        let body = match storing.share.take() {
            Some(share) => ResponseBody::held_with(whole, share),
            None => ResponseBody::held(whole),
        };
        let answer = Response::from_parts(self.take_head(), body);
        Poll::Ready(Kept::Answer(answer))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        let (Some(body), Some(to_keep)) = (&mut self.body, &mut self.to_keep) else {
            return Poll::Ready(Read::Part);
        };
        loop {
            // Nothing was sent yet, so a panic counts as a failure.
            self.paid.stepping(true);
            let polled = body.as_mut().poll_frame(cx);
            self.paid.stepping(false);
            let frame = match polled {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Read::Broken(error.into())),
                Poll::Ready(None) => return Poll::Ready(Read::Whole),
                Poll::Pending => {
                    ready!(self.deadline.as_mut().poll(cx));
                    return Poll::Ready(Read::Part);
                }
            };
            let data = frame.data_ref().map(Bytes::len);
            self.frames.push_back(frame);
            // Trailers are not kept.
            let Some(bytes) = data else {
                return Poll::Ready(Read::Part);
            };
            self.length = self.length.saturating_add(bytes);
            // A frame is counted with what it takes besides its data.
            let taken = self.length + self.frames.len() * size_of::<Frame<Bytes>>();
            if self.length > to_keep.kept.longest_body() || !to_keep.share.grow_to(taken) {
                return Poll::Ready(Read::Part);
            }
        }
    }

    /// The whole answer was read.
    fn store(&mut self) {
        let mut frames = self
            .frames
            .drain(..)
            .filter_map(|frame| frame.into_data().ok());
        let first = frames.next().unwrap_or_default();
        let whole = match frames.next() {
            None => first,
            Some(second) => {
                let mut whole = BytesMut::with_capacity(self.length);
                [first, second]
                    .into_iter()
                    .chain(frames)
                    .for_each(|data| whole.extend_from_slice(&data));
                whole.freeze()
            }
        };
        let to_keep = self.to_keep.take();
        let answer = self.head.as_ref().zip(to_keep.as_ref());
        let mut answer = answer.and_then(|(head, to_keep)| encode(head, &whole, &to_keep.headers));
        let (written, share) = match to_keep.map(|to_keep| *to_keep) {
            Some(mut to_keep) => {
                // Only what can be read again is kept.
                let share = &mut to_keep.share;
                answer = answer.filter(|answer| share.grow_to(memory(answer.len())));
                let time_limit = to_keep.time_limit();
                let ToKeep {
                    kept,
                    key,
                    client,
                    routes,
                    share,
                    ..
                } = to_keep;
                let written: BoxFuture<'static, ()> = Box::pin(async move {
                    let Some(answer) = answer else { return };
                    let setup = routes.paywall.setup();
                    let put = kept.put(key, client, answer, setup.clock.now());
                    match tokio::time::timeout(time_limit, put).await {
                        Ok(Ok(Put::Done)) => {}
                        Ok(Ok(Put::Full)) => setup.notices.answer_not_kept(setup.clock.now()),
                        Ok(Ok(Put::Exists)) => trace::warn(format_args!(
                            "an answer was not kept, because an earlier one to the same credential and request is kept"
                        )),
                        Ok(Err(error)) => {
                            trace::error(format_args!("an answer was not kept: {error}"));
                        }
                        Err(_) => trace::error(format_args!(
                            "an answer was not kept: the records did not answer in time"
                        )),
                    }
                });
                (written, Some(share))
            }
            None => (Box::pin(async {}) as BoxFuture<'static, ()>, None),
        };
        self.storing = Some(Storing {
            written,
            whole,
            share,
        });
    }

    /// The body broke off. Nothing was sent yet, so the payer gets no half answer, and the use counts
    /// as failed.
    fn broken(&mut self, error: &dyn Error) -> Kept<R> {
        trace::error(format_args!(
            "an answer was not sent, because its body broke off while it was read to be kept: {error}"
        ));
        let mut response = answers::unavailable("the server could not finish its answer");
        self.paid.answered(&mut response);
        let to_keep = self.to_keep.as_ref();
        Kept::Own {
            answer: Box::new(response),
            hook: to_keep.and_then(|to_keep| to_keep.routes.paywall.setup().answer_hook.clone()),
            is_grpc: to_keep.is_some_and(|to_keep| to_keep.is_grpc),
        }
    }

    /// The answer is too long, too slow, or has trailers: it goes on as it is.
    fn resumed(&mut self) -> Response<ResponseBody<R>> {
        let frames = std::mem::take(&mut self.frames);
        let body = match self.body.take() {
            Some(body) => ResponseBody::resumed(frames, body),
            None => ResponseBody::default(),
        };
        Response::from_parts(self.take_head(), body)
    }

    fn take_head(&mut self) -> response::Parts {
        self.head.take().expect("not polled after completion")
    }
}

/// What is sent.
pub(in crate::server) enum Kept<R> {
    Answer(Response<ResponseBody<R>>),
    /// An answer of the layer's own, because the body broke off.
    Own {
        answer: Box<Response<Bytes>>,
        hook: Option<AnswerHook>,
        is_grpc: bool,
    },
}

/// How reading an answer ended.
enum Read {
    Broken(BoxError),
    /// No more is read.
    Part,
    Whole,
}
