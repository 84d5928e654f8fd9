//! The stream of settled invoices.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    fault::bad,
    rpc::{self, ANSWER, Fault},
    wire::{After, Settled},
};
use crate::{
    lightning::{BoxFuture, BoxStream, NodeError, unfold::unfold},
    payment::PaymentHash,
    trace,
};

/// The error code that no invoice was paid in time.
const NONE_YET: i64 = 904;

/// How long one call waits for the next settlement. A node that hangs is asked again after that.
const WAIT: Duration = Duration::from_secs(600);

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(60);

/// Returns the first settled invoice after the index, if there is one within `wait`.
async fn after(socket: &Path, index: u64, wait: Duration) -> Result<Option<Settled>, Fault> {
    let params = After {
        lastpay_index: index,
        timeout: wait.as_secs(),
    };
    match rpc::call(socket, "waitanyinvoice", params, Some(wait + ANSWER)).await {
        Ok(settled) => Ok(Some(settled)),
        Err(Fault::Refused { code: NONE_YET, .. }) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Returns the index of the invoice that settled last, or zero.
///
/// No method returns it. So this searches for the greatest index after which nothing settled, with
/// about two calls for each binary digit of the result.
pub(super) async fn last(socket: &Path) -> Result<u64, Fault> {
    let (mut settled, mut none) = (0, u64::MAX);
    let mut guess = 0;
    // Nothing settled after `none`, and something is the last after `settled - 1`.
    while settled < none {
        match after(socket, guess, Duration::ZERO).await? {
            Some(next) if next.pay_index <= guess => {
                return Err(Fault::Unreadable("expected a later pay_index".into()));
            }
            Some(next) => settled = next.pay_index,
            None => none = guess,
        }
        guess = match none {
            u64::MAX => settled.saturating_mul(2),
            none => settled + none.saturating_sub(settled) / 2,
        };
    }
    Ok(settled)
}

/// Returns a stream of the invoices that settle after the one that `known` names. It updates
/// `known`.
pub(super) fn stream<'a>(socket: &'a Path, known: &'a AtomicU64) -> BoxStream<'a, PaymentHash> {
    asking(known, move |index| Box::pin(after(socket, index, WAIT)))
}

fn asking<'a, A>(known: &'a AtomicU64, ask: A) -> BoxStream<'a, PaymentHash>
where
    A: Fn(u64) -> BoxFuture<'a, Result<Option<Settled>, Fault>> + Send + 'a,
{
    let start = Waiting {
        ask,
        known,
        index: known.load(Ordering::Relaxed),
    };
    unfold(start, |mut waiting| {
        Box::pin(async move { (waiting.next().await, waiting) })
    })
}

struct Waiting<'a, A> {
    /// Waits for the first settled invoice after an index.
    ask: A,
    known: &'a AtomicU64,
    index: u64,
}

impl<'a, A: Fn(u64) -> BoxFuture<'a, Result<Option<Settled>, Fault>>> Waiting<'a, A> {
    async fn next(&mut self) -> PaymentHash {
        let mut delay = FIRST_DELAY;
        loop {
            let error = match (self.ask)(self.index).await {
                Ok(Some(settled)) => {
                    let hash = PaymentHash::from_hex(&settled.payment_hash);
                    if let Some(hash) = hash.filter(|_| self.index < settled.pay_index) {
                        self.index = settled.pay_index;
                        self.known.fetch_max(self.index, Ordering::Relaxed);
                        return hash;
                    }
                    bad("expected a payment hash and a later pay_index")
                }
                Ok(None) => {
                    // The node should have waited, but perhaps it did not.
                    sleep(FIRST_DELAY).await;
                    delay = FIRST_DELAY;
                    continue;
                }
                Err(fault) => NodeError::from(fault),
            };
            trace::warn(format_args!(
                "settlements are late, and the next attempt is in {} s: {error}",
                delay.as_secs()
            ));
            sleep(delay).await;
            delay = LAST_DELAY.min(delay * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::atomic::AtomicUsize};

    use tokio::time::timeout;

    use super::*;

    /// The time is paused, so that no second passes.
    #[tokio::test(start_paused = true)]
    async fn a_node_that_never_waits_is_asked_once_a_second() {
        let (known, asked) = (AtomicU64::new(0), AtomicUsize::new(0));
        let mut stream = asking(&known, |_| {
            let before = asked.fetch_add(1, Ordering::Relaxed);
            assert!(before < 100, "it is asked without a pause");
            Box::pin(async { Ok(None) })
        });
        let next = poll_fn(|context| stream.as_mut().poll_next(context));
        timeout(Duration::from_millis(9_500), next)
            .await
            .unwrap_err();
        assert_eq!(asked.load(Ordering::Relaxed), 10);
    }
}
