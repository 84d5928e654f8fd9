//! Bodies that were held in memory, or that pass through untouched.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a request behind the layer: the application's own, untouched, or one that had to be read first.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    /// The body of an answer: the inner service's own, untouched, or a short one of the layer's.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    #[derive(Debug)]
    enum Kind<B> {
        // Boxed, because every request and answer is moved about with room for it.
        Held { held: Box<Held> },
        Inner { #[pin] body: B },
    }
}

/// A body in memory: one buffer, its trailers, and its share of the pool.
#[derive(Debug, Default)]
pub(crate) struct Held {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    _share: Option<Share>,
}

impl Held {
    pub(crate) fn new(data: Bytes, trailers: Option<HeaderMap>, share: Option<Share>) -> Self {
        Self { data: Some(data).filter(|data| !data.is_empty()), trailers, _share: share }
    }

    pub(crate) fn data(&self) -> Bytes {
        self.data.clone().unwrap_or_default()
    }

    fn next(&mut self) -> Option<Frame<Bytes>> {
        self.data.take().map(Frame::data).or_else(|| self.trailers.take().map(Frame::trailers))
    }
}

impl<B> RequestBody<B> {
    pub(crate) fn held(held: Held) -> Self {
        Self { kind: Kind::Held { held: Box::new(held) } }
    }

    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// The bytes of a body that was read; none of one that was passed through.
    pub(crate) fn data(&self) -> Bytes {
        match &self.kind {
            Kind::Inner { .. } => Bytes::new(),
            Kind::Held { held } => held.data(),
        }
    }

    /// The body that was passed through, or the one that was read.
    pub(crate) fn into_unread(self) -> Result<B, Box<Held>> {
        match self.kind {
            Kind::Inner { body } => Ok(body),
            Kind::Held { held } => Err(held),
        }
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn held(data: Bytes) -> Self {
        Self { kind: Kind::Held { held: Box::new(Held::new(data, None, None)) } }
    }

    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }
}

/// An empty one, as layers outside ask for that answer by themselves (tower-http's CORS and time limits).
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::held(Bytes::new())
    }
}

impl<B: Body<Data = Bytes>> Body for Kind<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            KindProjection::Held { held } => Poll::Ready(held.next().map(Ok)),
            KindProjection::Inner { body } => body.poll_frame(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held { held } => SizeHint::with_exact(held.data.as_ref().map_or(0, |data| data.len() as u64)),
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

macro_rules! forward {
    ($name:ident) => {
        impl<B: Body<Data = Bytes>> Body for $name<B> {
            type Data = Bytes;
            type Error = B::Error;

            fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
                self.project().kind.poll_frame(cx)
            }

            fn size_hint(&self) -> SizeHint {
                self.kind.size_hint()
            }

            fn is_end_stream(&self) -> bool {
                self.kind.is_end_stream()
            }
        }
    };
}

forward!(RequestBody);
forward!(ResponseBody);

/// How many bytes all held bodies together may take.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    free: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { free: Arc::new(AtomicUsize::new(bytes)) }
    }

    pub(crate) fn share(&self) -> Share {
        Share { pool: self.clone(), bytes: 0 }
    }
}

/// What one body takes of the pool; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Pool,
    bytes: usize,
}

impl Share {
    /// Takes more until it is `bytes` in all; false where the pool has not that much.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let took = self.pool.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(more)).is_ok();
        if took {
            self.bytes += more;
        }
        took
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.free.fetch_add(self.bytes, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_never_gives_more_than_it_has() {
        let pool = Pool::new(10);
        let (mut a, mut b) = (pool.share(), pool.share());
        assert!(a.grow_to(6) && !b.grow_to(5) && b.grow_to(4));
        drop(a);
        assert!(b.grow_to(10) && !b.grow_to(11));
        drop(b);
        assert!(pool.share().grow_to(10));
    }
}
