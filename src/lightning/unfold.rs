use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::BoxFuture;

/// An endless stream. Each item comes from a future, which also returns the state for the next.
pub(crate) struct Unfold<'a, S, T> {
    next: fn(S) -> BoxFuture<'a, (T, S)>,
    future: BoxFuture<'a, (T, S)>,
}

impl<'a, S, T> Unfold<'a, S, T> {
    pub(crate) fn new(state: S, next: fn(S) -> BoxFuture<'a, (T, S)>) -> Self {
        Self {
            next,
            future: next(state),
        }
    }
}

impl<S, T> Stream for Unfold<'_, S, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.future.as_mut().poll(context).map(|(item, state)| {
            self.future = (self.next)(state);
            Some(item)
        })
    }
}
