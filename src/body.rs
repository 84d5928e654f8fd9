//! Request and response bodies: either buffered in memory, or passed through unread.

use std::{
    collections::HashMap,
    hash::Hash,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a request that the layer passes on: the original body unread, or a buffered copy
    /// if the layer had to read it first.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    /// The body of a response: the inner service's body, or a short one that the layer wrote.
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
        // Boxed, because otherwise every request and response would reserve space for it.
        Held { held: Box<Held> },
        Inner { #[pin] body: B },
    }
}

/// A body in memory: one buffer, the trailers, and the memory that it takes from the pools.
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

    /// Returns the bytes of a buffered body, or no bytes if the body was not read.
    pub(crate) fn data(&self) -> Bytes {
        match &self.kind {
            Kind::Inner { .. } => Bytes::new(),
            Kind::Held { held } => held.data(),
        }
    }

    /// Returns the original body if it was not read, and otherwise the buffered one as the error.
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
        }
    }

    pub(crate) fn inner(body: B) -> Self {
        Self {
            kind: Kind::Inner { body },
        }
    }
}

/// Creates an empty body. Outer layers such as tower-http's CORS and timeouts need this to answer
/// by themselves.
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

macro_rules! forward {
    ($name:ident) => {
        impl<B: Body<Data = Bytes>> Body for $name<B> {
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
    };
}

forward!(RequestBody);
forward!(ResponseBody);

/// A pool of memory, in bytes, that bodies take from and give back to.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    free: Arc<AtomicUsize>,
}

impl Pool {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            free: Arc::new(AtomicUsize::new(bytes)),
        }
    }

    fn take(&self, bytes: usize) -> bool {
        self.free
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| {
                free.checked_sub(bytes)
            })
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::SeqCst);
    }
}

/// One pool for each key, such as a client. A pool is created when a body needs it, and removed
/// some time after the last body is gone.
#[derive(Debug)]
pub(crate) struct Pools<K> {
    /// The size of each pool, in bytes.
    bytes: usize,
    open: Mutex<Open<K>>,
}

#[derive(Debug)]
struct Open<K> {
    pools: HashMap<K, Pool>,
    sweep_at: usize,
}

impl<K: Eq + Hash> Pools<K> {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            open: Mutex::new(Open {
                pools: HashMap::new(),
                sweep_at: FEW,
            }),
        }
    }

    pub(crate) fn of(&self, key: K) -> Pool {
        let Open { pools, sweep_at } =
            &mut *self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Sweeps each time the table has doubled. So it holds at most twice as many pools as there
        // are bodies, and the cost of one addition does not grow.
        if pools.len() >= *sweep_at {
            pools.retain(|_, pool| Arc::strong_count(&pool.free) > 1);
            *sweep_at = (2 * pools.len()).max(FEW);
        }
        pools
            .entry(key)
            .or_insert_with(|| Pool::new(self.bytes))
            .clone()
    }
}

/// Fewer pools than this are not swept.
const FEW: usize = 64;

/// The bytes that one body has taken from each of its pools. They are given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    pools: [Option<Pool>; 5],
    bytes: usize,
}

impl Share {
    pub(crate) const fn of(pools: [Option<Pool>; 5]) -> Self {
        Self { pools, bytes: 0 }
    }

    /// Takes more until the total is `bytes`. Returns `false` and takes nothing if one of the pools
    /// has too few bytes left.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let pools = || self.pools.iter().flatten();
        if let Some(empty) = pools().position(|pool| !pool.take(more)) {
            pools().take(empty).for_each(|pool| pool.give_back(more));
            return false;
        }
        self.bytes += more;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pools
            .iter()
            .flatten()
            .for_each(|pool| pool.give_back(self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(pool: &Pool) -> Share {
        Share::of([Some(pool.clone()), None, None, None, None])
    }

    #[test]
    fn the_pool_never_gives_more_than_it_has() {
        let pool = Pool::new(10);
        let (mut a, mut b) = (share(&pool), share(&pool));
        assert!(a.grow_to(6) && !b.grow_to(5) && b.grow_to(4));
        drop(a);
        assert!(b.grow_to(10) && !b.grow_to(11));
        drop(b);
        assert!(share(&pool).grow_to(10));
    }

    #[test]
    fn a_body_takes_from_all_its_pools_or_from_none() {
        let (whole, of_one) = (Pool::new(10), Pools::new(4));
        let share =
            |key: u32| Share::of([Some(whole.clone()), None, None, None, Some(of_one.of(key))]);
        let (mut a, mut b, mut c) = (share(1), share(1), share(2));
        assert!(a.grow_to(3) && !b.grow_to(2) && b.grow_to(1) && c.grow_to(4));
        assert!(share(3).grow_to(2), "a refused body has kept some bytes");
        drop(a);
        assert!(b.grow_to(4) && !b.grow_to(5));
    }

    #[test]
    fn unused_pools_are_removed() {
        let pools = Pools::new(4);
        let held = pools.of(0_u32);
        assert!(held.take(3));
        for key in 1..10_000 {
            assert!(pools.of(key).take(1));
        }
        assert!(pools.open.lock().unwrap().pools.len() <= 2 * FEW);
        assert!(
            !pools.of(0).take(2),
            "a pool was removed while a body held bytes of it"
        );
    }
}
