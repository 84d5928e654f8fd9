//! Settlements of a node that is asked for them again and again.

use std::{collections::VecDeque, time::Duration};

use tokio::time::sleep;

use super::{BoxFuture, BoxStream, NodeError, unfold::unfold};
use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    payment::PaymentHash,
    trace,
};

/// How long to wait before the node is asked again, and how long at most if it fails.
#[derive(Clone, Copy)]
pub(crate) struct Pauses {
    pub(crate) usual: Duration,
    pub(crate) longest: Duration,
}

impl Pauses {
    /// For a node that is asked over REST.
    #[cfg(any(feature = "lnbits", feature = "phoenixd"))]
    pub(crate) const REST: Self = Self {
        usual: Duration::from_secs(2),
        longest: Duration::from_secs(60),
    };
}

/// How far back each question goes. A node may list a settlement some time after it.
const OVERLAP: Duration = Duration::from_secs(60);

/// How far the clock of another machine may be behind.
#[cfg(any(feature = "lnbits", feature = "phoenixd"))]
const SKEW: Duration = Duration::from_secs(300);

/// Returns the moment to name to a node on another machine. Its clock may be behind, so what settled
/// shortly before the moment may be reported too.
#[cfg(any(feature = "lnbits", feature = "phoenixd"))]
pub(crate) const fn allow_for_skew(since: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(since.as_unix_seconds().saturating_sub(SKEW.as_secs()))
}

/// How many payment hashes are remembered, so that a settlement is not reported again.
const REMEMBERED: usize = 10_000;

/// Returns the payment hashes that `list` returns for what settled since a moment, each once.
pub(crate) fn stream<'a, F>(pauses: Pauses, list: F) -> BoxStream<'a, PaymentHash>
where
    F: Fn(Timestamp) -> BoxFuture<'a, Result<Vec<PaymentHash>, NodeError>> + Send + 'a,
{
    let now = SystemClock::new().now();
    let polling = Polling {
        pauses,
        list,
        begin: now,
        asked: now,
        reported: VecDeque::new(),
        found: VecDeque::new(),
        pause: pauses.usual,
    };
    unfold(polling, |mut polling| {
        Box::pin(async move { (polling.next().await, polling) })
    })
}

struct Polling<F> {
    pauses: Pauses,
    list: F,
    begin: Timestamp,
    /// When the node last answered.
    asked: Timestamp,
    reported: VecDeque<PaymentHash>,
    found: VecDeque<PaymentHash>,
    pause: Duration,
}

impl<'a, F> Polling<F>
where
    F: Fn(Timestamp) -> BoxFuture<'a, Result<Vec<PaymentHash>, NodeError>>,
{
    async fn next(&mut self) -> PaymentHash {
        loop {
            if let Some(found) = self.found.pop_front() {
                self.reported.push_back(found);
                if self.reported.len() > REMEMBERED {
                    self.reported.pop_front();
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
                    self.pause = self.pauses.usual;
                    for hash in settled {
                        if !self.knows(hash) {
                            self.found.push_back(hash);
                        }
                    }
                }
                Err(error) => {
                    trace::warn(format_args!(
                        "settlements cannot be asked for, again in {} seconds: {error}",
                        self.pause.as_secs()
                    ));
                    self.pause = self.pauses.longest.min(self.pause * 2);
                }
            }
            if self.found.is_empty() {
                sleep(self.pause).await;
            }
        }
    }

    fn knows(&self, hash: PaymentHash) -> bool {
        let latest_first = self.reported.iter().rev();
        latest_first.chain(&self.found).any(|known| *known == hash)
    }
}
