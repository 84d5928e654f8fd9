//! Settlements of a node that is asked for them again and again.

use std::{collections::VecDeque, time::Duration};

use tokio::time::sleep;

use super::{BoxFuture, BoxStream, rest::CallError, unfold::unfold};
use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    payment::PaymentHash,
    trace,
};

/// How often the node is asked, and how seldom if it fails.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// How far back each question goes. A node may list a settlement some time after it.
const OVERLAP: Duration = Duration::from_secs(60);

/// How many payment hashes are remembered, so that none is told twice soon.
const REMEMBERED: usize = 10_000;

/// Returns the payment hashes that `list` returns for what settled since a moment, each once.
pub(crate) fn stream<'a, F>(node: &'static str, list: F) -> BoxStream<'a, PaymentHash>
where
    F: Fn(Timestamp) -> BoxFuture<'a, Result<Vec<PaymentHash>, CallError>> + Send + 'a,
{
    let now = SystemClock::new().now();
    let polling = Polling {
        node,
        list,
        begin: now,
        asked: now,
        told: VecDeque::new(),
        found: VecDeque::new(),
        pause: PAUSES.0,
    };
    unfold(polling, |mut polling| {
        Box::pin(async move { (polling.next().await, polling) })
    })
}

struct Polling<F> {
    node: &'static str,
    list: F,
    begin: Timestamp,
    /// When the node last answered.
    asked: Timestamp,
    told: VecDeque<PaymentHash>,
    found: VecDeque<PaymentHash>,
    pause: Duration,
}

impl<'a, F> Polling<F>
where
    F: Fn(Timestamp) -> BoxFuture<'a, Result<Vec<PaymentHash>, CallError>>,
{
    async fn next(&mut self) -> PaymentHash {
        loop {
            if let Some(found) = self.found.pop_front() {
                self.told.push_back(found);
                if self.told.len() > REMEMBERED {
                    self.told.pop_front();
                }
                return found;
            }
            let now = SystemClock::new().now();
            let since = Timestamp::from_unix_seconds(
                self.asked
                    .as_unix_seconds()
                    .saturating_sub(OVERLAP.as_secs()),
            );
            match (self.list)(since.max(self.begin)).await {
                Ok(settled) => {
                    self.asked = now;
                    self.pause = PAUSES.0;
                    let new = settled.into_iter().filter(|hash| !self.told.contains(hash));
                    self.found.extend(new);
                }
                Err(error) => {
                    trace::warn(format_args!(
                        "settlements cannot be asked for, again in {} seconds: {}",
                        self.pause.as_secs(),
                        error.into_node_error(self.node)
                    ));
                    self.pause = PAUSES.1.min(self.pause * 2);
                }
            }
            if self.found.is_empty() {
                sleep(self.pause).await;
            }
        }
    }
}
