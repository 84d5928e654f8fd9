use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use super::{BoxFuture, BoxStream};

/// Makes a stream of what `next` returns, again and again, from a state that it hands on. The stream
/// never ends.
pub(crate) fn unfold<'a, S, T, F>(state: S, next: F) -> BoxStream<'a, T>
where
    S: Send + 'a,
    T: 'a,
    F: Fn(S) -> BoxFuture<'a, (T, S)> + Send + Unpin + 'a,
{
    let running = next(state);
    Box::pin(Unfold { next, running })
}

struct Unfold<'a, S, T, F> {
    next: F,
    running: BoxFuture<'a, (T, S)>,
}

impl<'a, S, T, F> Stream for Unfold<'a, S, T, F>
where
    F: Fn(S) -> BoxFuture<'a, (T, S)> + Unpin,
{
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let (item, state) = ready!(self.running.as_mut().poll(context));
        self.running = (self.next)(state);
        Poll::Ready(Some(item))
    }
}
