use std::{
    pin::Pin,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::mpsc;

use crate::{lock, payment::PaymentHash};

/// How many settlements a slow listener may fall behind before it misses some.
const BEHIND: usize = 1_024;

/// The listeners for settlements of an in-process node.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<mpsc::Sender<PaymentHash>>>);

impl Listeners {
    /// Returns a stream of everything that settles from now on.
    pub(crate) fn listen(&self) -> SettledHashes {
        let (sender, receiver) = mpsc::channel(BEHIND);
        let mut listeners = self.lock();
        listeners.retain(|listener| !listener.is_closed());
        listeners.push(sender);
        SettledHashes(receiver)
    }

    pub(crate) fn notify(&self, settled: PaymentHash) {
        for listener in self.lock().iter() {
            let _ = listener.try_send(settled);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<mpsc::Sender<PaymentHash>>> {
        lock::lock(&self.0)
    }
}

pub(crate) struct SettledHashes(mpsc::Receiver<PaymentHash>);

impl Stream for SettledHashes {
    type Item = PaymentHash;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<PaymentHash>> {
        self.0.poll_recv(context)
    }
}
