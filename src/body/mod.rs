//! Bodies of requests and responses: passed through untouched, or held in memory.

mod pool;
mod read;

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use self::{
    pool::{Pool, Pools, Share},
    read::{ReadError, fault, read_to_end},
};

pin_project! {
    /// The body of a request behind the layer. It is the original body, untouched, or one that the
    /// layer read into memory first.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    /// The body of a response of the layer. It is the body of the inner service, untouched, or a
    /// short body that the layer wrote. It ends with the time that was bought if the charge says so
    /// (`Charge::ends_streams`).
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
        // If it is set, the body ends at a moment.
        end: Option<Box<End>>,
        // Instead of `kind`.
        rest: Option<Box<Rest<B>>>,
    }
}

/// A body of which the layer has read the beginning.
#[derive(Debug)]
struct Rest<B> {
    first: VecDeque<Frame<Bytes>>,
    body: Pin<Box<B>>,
}

pin_project! {
    #[project = KindProjection]
    #[derive(Debug)]
    enum Kind<B> {
        // Boxed, because requests and responses with another body would be larger otherwise.
        Held { held: Box<Held> },
        Inner { #[pin] body: B },
    }
}

/// When a body ends, and what comes then.
#[derive(Debug)]
struct End {
    at: Pin<Box<Sleep>>,
    then: Box<Held>,
}

/// A body in memory: one buffer, its trailers, and what it takes of the pools.
#[derive(Debug, Default)]
pub(crate) struct Held {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    _share: Option<Share>,
}

impl Held {
    pub(crate) fn new(data: Bytes, trailers: Option<HeaderMap>, share: Option<Share>) -> Self {
        Self {
            data: Some(data).filter(|data| !data.is_empty()),
            trailers,
            _share: share,
        }
    }

    pub(crate) fn data(&self) -> Bytes {
        self.data.clone().unwrap_or_default()
    }

    fn next(&mut self) -> Option<Frame<Bytes>> {
        self.data
            .take()
            .map(Frame::data)
            .or_else(|| self.trailers.take().map(Frame::trailers))
    }
}

impl<B> RequestBody<B> {
    pub(crate) fn held(held: Held) -> Self {
        Self {
            kind: Kind::Held {
                held: Box::new(held),
            },
        }
    }

    pub(crate) fn inner(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
        }
    }

    /// Returns the bytes of a body that was read. Returns none for one that is passed through.
    pub(crate) fn data(&self) -> Bytes {
        match &self.kind {
            Kind::Inner { .. } => Bytes::new(),
            Kind::Held { held } => held.data(),
        }
    }

    /// Returns the body that is passed through, or else the one that was read.
    pub(crate) fn into_unread(self) -> Result<B, Box<Held>> {
        match self.kind {
            Kind::Inner { body } => Ok(body),
            Kind::Held { held } => Err(held),
        }
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn held(data: Bytes) -> Self {
        Self {
            kind: Kind::Held {
                held: Box::new(Held::new(data, None, None)),
            },
            end: None,
            rest: None,
        }
    }

    /// Sends a body in memory, and gives its share back after that.
    #[cfg(feature = "server")]
    pub(crate) fn held_with(data: Bytes, share: Share) -> Self {
        Self {
            kind: Kind::Held {
                held: Box::new(Held::new(data, None, Some(share))),
            },
            end: None,
            rest: None,
        }
    }

    /// Sends the frames that were read already, and passes the rest of the body through.
    #[cfg(feature = "server")]
    pub(crate) fn resumed(first: VecDeque<Frame<Bytes>>, body: Pin<Box<B>>) -> Self {
        Self {
            rest: Some(Box::new(Rest { first, body })),
            ..Self::held(Bytes::new())
        }
    }

    pub(crate) fn inner(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
            end: None,
            rest: None,
        }
    }

    /// Passes the body through until this moment. Then it ends, with these trailers if there are any,
    /// and the inner body is dropped.
    pub(crate) fn inner_until(body: B, end: Instant, trailers: Option<HeaderMap>) -> Self {
        let end = End {
            at: Box::pin(sleep_until(end)),
            then: Box::new(Held::new(Bytes::new(), trailers, None)),
        };
        Self {
            kind: Kind::Inner { body },
            end: Some(Box::new(end)),
            rest: None,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if let Some(end) = this.end
            && end.at.as_mut().poll(cx).is_ready()
            && let Some(end) = this.end.take()
        {
            this.kind.set(Kind::Held { held: end.then });
        }
        if let Some(rest) = this.rest {
            return match rest.first.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => rest.body.as_mut().poll_frame(cx),
            };
        }
        this.kind.poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(rest) = &self.rest else {
            return self.kind.size_hint();
        };
        let first: u64 = rest.first.iter().map(length).sum();
        let mut hint = rest.body.size_hint();
        // The upper bound first: it may not be below the lower one.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(first));
        }
        hint.set_lower(hint.lower().saturating_add(first));
        hint
    }

    fn is_end_stream(&self) -> bool {
        match &self.rest {
            Some(rest) => rest.first.is_empty() && rest.body.is_end_stream(),
            None => self.kind.is_end_stream(),
        }
    }
}

/// Returns how many bytes of data a frame has.
fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| data.len() as u64)
}

/// Creates an empty body. Layers outside this one need it for their own answers, such as
/// tower-http's CORS and timeouts.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::held(Bytes::new())
    }
}

impl<B: Body<Data = Bytes>> Body for Kind<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            KindProjection::Held { held } => Poll::Ready(held.next().map(Ok)),
            KindProjection::Inner { body } => body.poll_frame(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held { held } => {
                SizeHint::with_exact(held.data.as_ref().map_or(0, |data| data.len() as u64))
            }
            Self::Inner { body } => body.size_hint(),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Held { held } => held.data.is_none() && held.trailers.is_none(),
            Self::Inner { body } => body.is_end_stream(),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().kind.poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.kind.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.kind.is_end_stream()
    }
}
