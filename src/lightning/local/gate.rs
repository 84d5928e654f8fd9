use tokio::sync::watch;

/// A gate at which calls wait while the node is paused.
#[derive(Debug)]
pub(super) struct Gate {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            open: watch::Sender::new(true),
            waiting: watch::Sender::new(0),
        }
    }

    pub(super) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// Returns at once if the gate is open, and otherwise when it opens.
    pub(super) async fn pass(&self) {
        if *self.open.borrow() {
            return;
        }
        let _waiting = Waiting::new(&self.waiting);
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// Returns when at least `calls` calls wait at the gate.
    pub(super) async fn crowd(&self, calls: usize) {
        let _ = self
            .waiting
            .subscribe()
            .wait_for(|waiting| *waiting >= calls)
            .await;
    }
}

/// Counts one waiting call until it passes or is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|waiting| *waiting += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0
            .send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}
