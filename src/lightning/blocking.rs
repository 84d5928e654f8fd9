//! Calls that block, made beside the threads of the runtime.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use super::{NodeError, NodeErrorKind};

/// The most calls of one node that run at the same time. Each holds a thread.
const MOST: usize = 16;

/// How long a caller waits for its turn and the answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A node whose calls block. Nothing else can reach the node, so no call holds up the runtime.
pub(crate) struct Blocking<N> {
    name: &'static str,
    node: Arc<N>,
    turns: Arc<Semaphore>,
}

/// The right to make one call.
pub(crate) struct Turn(OwnedSemaphorePermit);

impl<N: Send + Sync + 'static> Blocking<N> {
    pub(crate) fn new(name: &'static str, node: Arc<N>) -> Self {
        Self {
            name,
            node,
            turns: Arc::new(Semaphore::new(MOST)),
        }
    }

    /// Waits until a further call may be made. If the future is dropped, none was made.
    pub(crate) async fn turn(&self) -> Result<Turn, NodeError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        turn.map(Turn).map_err(|error| self.broken(error))
    }

    /// Makes a call when its turn has come. After the time limit it is an error. A call that was
    /// made goes on, and keeps its turn.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&N) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        let called = async { self.call_now(self.turn().await?, call).await };
        timeout(ANSWER, called).await.unwrap_or_else(|_| {
            let why = format!("no answer within {} seconds", ANSWER.as_secs());
            Err(NodeError::new(NodeErrorKind::Unreachable, self.name, why))
        })
    }

    /// Makes a call, which goes on if the future is dropped after its first poll.
    pub(crate) async fn call_now<T: Send + 'static>(
        &self,
        turn: Turn,
        call: impl FnOnce(&N) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        let node = Arc::clone(&self.node);
        let called = spawn_blocking(move || {
            let _turn = turn.0;
            call(&node)
        });
        called.await.map_err(|error| self.broken(error))
    }

    fn broken(&self, error: impl std::error::Error + Send + Sync + 'static) -> NodeError {
        NodeError::new(NodeErrorKind::BadAnswer, self.name, error)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::Duration,
    };

    use futures_util::{FutureExt as _, future::join_all};
    use tokio::time::advance;

    use super::*;
    use crate::lock::lock;

    /// A node each of whose calls waits until the test lets one go on.
    struct Slow {
        go_on: Mutex<mpsc::Receiver<()>>,
        begun: AtomicUsize,
        ended: AtomicUsize,
    }

    impl Slow {
        fn start() -> (mpsc::Sender<()>, Arc<Self>) {
            let (sender, receiver) = mpsc::channel();
            let slow = Self {
                go_on: Mutex::new(receiver),
                begun: AtomicUsize::new(0),
                ended: AtomicUsize::new(0),
            };
            (sender, Arc::new(slow))
        }

        fn call(&self) {
            self.begun.fetch_add(1, Ordering::SeqCst);
            // A limit, so that a call on a thread of the runtime fails the test.
            let told = lock(&self.go_on).recv_timeout(Duration::from_secs(60));
            told.expect("the test goes on meanwhile");
            self.ended.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn slow_calls_hold_up_nothing_else_and_only_so_many_run_at_once() {
        let (go_on, slow) = Slow::start();
        let node = Arc::new(Blocking::new("a node", Arc::clone(&slow)));
        let calls: Vec<_> = (0..2 * MOST)
            .map(|_| {
                let node = Arc::clone(&node);
                tokio::spawn(async move { node.call(Slow::call).await })
            })
            .collect();
        while slow.begun.load(Ordering::SeqCst) < MOST {
            tokio::task::yield_now().await;
        }
        assert!(node.turn().now_or_never().is_none());
        assert_eq!(slow.begun.load(Ordering::SeqCst), MOST);
        for _ in 0..2 * MOST {
            go_on.send(()).unwrap();
        }
        for called in join_all(calls).await {
            called.unwrap().unwrap();
        }
        assert_eq!(slow.ended.load(Ordering::SeqCst), 2 * MOST);
        assert_eq!(node.turns.available_permits(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn no_caller_waits_without_end_for_a_node_that_hangs() {
        let (go_on, slow) = Slow::start();
        let node = Blocking::new("a node", Arc::clone(&slow));
        let mut calls = join_all((0..=MOST).map(|_| node.call(Slow::call)));
        assert!((&mut calls).now_or_never().is_none());
        // A call on another thread stops the paused time, so it does not pass by itself.
        advance(ANSWER).await;
        for called in calls.await {
            let error = called.unwrap_err();
            assert_eq!(error.kind(), NodeErrorKind::Unreachable);
            assert!(error.to_string().contains("within 30 seconds"), "{error}");
        }
        for _ in 0..MOST {
            go_on.send(()).unwrap();
        }
    }

    #[tokio::test]
    async fn a_call_whose_caller_goes_away_is_made_and_gives_its_turn_back() {
        let (go_on, slow) = Slow::start();
        let node = Blocking::new("a node", Arc::clone(&slow));
        let turn = node.turn().await.unwrap();
        let called = node.call_now(turn, Slow::call).now_or_never();
        assert!(called.is_none(), "it is dropped under way");
        go_on.send(()).unwrap();
        while slow.ended.load(Ordering::SeqCst) == 0 || node.turns.available_permits() < MOST {
            tokio::task::yield_now().await;
        }
    }
}
