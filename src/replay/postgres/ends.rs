//! Ends of uses, which the store carries out in its own time.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};
use tokio_postgres::types::Type;

use super::{
    connections::{Connections, Statement},
    error::NAME,
    gate::delay,
    seen::mark,
    statements::Parameter,
};
use crate::{
    lock::lock,
    replay::{ConsumptionKey, StoreError, StoreErrorKind, end::End},
};

/// The ends that wait, and whether expired rows should be removed.
#[derive(Debug, Default)]
pub(super) struct Ends {
    waiting: Mutex<Waiting>,
    /// The number of the last end before which none waits.
    done: watch::Sender<u64>,
    consumed: AtomicUsize,
    must_prune: AtomicBool,
    is_closing: watch::Sender<bool>,
    woken: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Each with its number, in order.
    ends: VecDeque<(u64, End)>,
    /// The number of the last end of each payment of which one waits or is under way.
    last: HashMap<ConsumptionKey, u64>,
    added: u64,
}

impl Ends {
    /// Adds an end. If too many wait, an end that was served is dropped. Releases are bounded by
    /// [`are_too_many`](Self::are_too_many).
    pub(super) fn push(&self, end: End) {
        let mut waiting = lock(&self.waiting);
        let most = if end.release.is_some() {
            2 * MOST
        } else {
            MOST
        };
        if waiting.ends.len() >= most {
            if end.release.is_some() {
                crate::trace::error(format_args!(
                    "{NAME}: a use stays taken, because too many releases wait"
                ));
            }
            return;
        }
        waiting.added += 1;
        let number = waiting.added;
        waiting.ends.push_back((number, end));
        waiting.last.insert(end.key, number);
        drop(waiting);
        self.woken.notify_one();
    }

    /// Returns whether so many ends wait that no use should be taken.
    pub(super) fn are_too_many(&self) -> bool {
        lock(&self.waiting).ends.len() >= MOST
    }

    /// Waits until what was added for a payment before is carried out. So a client that tries again
    /// at once finds the use that it got back.
    pub(super) async fn of_payment_are_done(&self, key: &ConsumptionKey) {
        let last = lock(&self.waiting).last.get(key).copied();
        if let Some(number) = last {
            let _ = self.done.subscribe().wait_for(|done| *done >= number).await;
        }
    }

    /// Waits until all that was added before is carried out.
    pub(super) async fn are_done(&self) {
        let last = lock(&self.waiting).added;
        let _ = self.done.subscribe().wait_for(|done| *done >= last).await;
    }

    /// Notes that a use was taken: now and then expired rows are removed.
    pub(super) fn note_consume(&self) {
        let consumed = self.consumed.fetch_add(1, Ordering::Relaxed);
        if consumed % CONSUMES_FOR_A_PRUNE == CONSUMES_FOR_A_PRUNE - 1 {
            self.must_prune.store(true, Ordering::Relaxed);
            self.woken.notify_one();
        }
    }

    /// Lets [`carry_out`](Self::carry_out) end once nothing waits, or a while later.
    pub(super) fn close(&self) {
        self.is_closing.send_replace(true);
        self.woken.notify_one();
    }

    fn is_closing(&self) -> bool {
        *self.is_closing.borrow()
    }

    fn take(&self) -> Vec<(u64, End)> {
        let mut waiting = lock(&self.waiting);
        let most = waiting.ends.len().min(AT_ONCE);
        waiting.ends.drain(..most).collect()
    }

    /// Notes that ends were carried out, or dropped.
    fn note_done(&self, ends: &[(u64, End)]) {
        let Some((last, _)) = ends.last() else { return };
        let mut waiting = lock(&self.waiting);
        for (_, end) in ends {
            if waiting
                .last
                .get(&end.key)
                .is_some_and(|number| number <= last)
            {
                waiting.last.remove(&end.key);
            }
        }
        drop(waiting);
        self.done.send_replace(*last);
    }

    /// Puts back what was not carried out, unless all of it may be lost.
    fn put_back(&self, ends: Vec<(u64, End)>) {
        if ends.iter().all(|(_, end)| end.release.is_none()) {
            return self.note_done(&ends);
        }
        let mut waiting = lock(&self.waiting);
        for (number, end) in ends.into_iter().rev() {
            waiting.ends.push_front((number, end));
        }
    }

    /// Drops all that wait.
    fn drop_all(&self) {
        let ends: Vec<_> = lock(&self.waiting).ends.drain(..).collect();
        self.note_done(&ends);
    }

    /// Carries out what is added, until the store is closed and nothing waits, or a while longer.
    pub(super) async fn carry_out(self: Arc<Self>, connections: Arc<Connections>) {
        tokio::select! {
            () = self.carry_out_all(&connections) => {}
            () = self.was_closed_long_ago() => {}
        }
    }

    async fn was_closed_long_ago(&self) {
        let _ = self.is_closing.subscribe().wait_for(|is| *is).await;
        tokio::time::sleep(CLOSING).await;
    }

    async fn carry_out_all(&self, connections: &Connections) {
        let mut failures = 0;
        loop {
            let ends = self.take();
            let result = if ends.is_empty() {
                if self.is_closing() {
                    return;
                }
                if !self.must_prune.swap(false, Ordering::Relaxed) {
                    self.woken.notified().await;
                    continue;
                }
                self.prune(connections).await
            } else {
                let result = connections.settle(&ends).await;
                match result {
                    Ok(()) => self.note_done(&ends),
                    Err(_) => self.put_back(ends),
                }
                result
            };
            match result {
                Ok(()) => failures = 0,
                // Nothing will ever be carried out.
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    self.drop_all();
                }
                Err(_) => {
                    let again = Instant::now() + delay(failures);
                    failures = failures.saturating_add(1);
                    self.wait_until(again).await;
                }
            }
        }
    }

    /// Waits, but not on while the store is being closed.
    async fn wait_until(&self, again: Instant) {
        while Instant::now() < again {
            let woken = timeout_at(again, self.woken.notified()).await;
            if woken.is_ok() && self.is_closing() {
                let soon = Instant::now() + delay(0);
                tokio::time::sleep_until(soon.min(again)).await;
                return;
            }
        }
    }

    async fn prune(&self, connections: &Connections) -> Result<(), StoreError> {
        if connections.prune().await? >= PRUNED_AT_ONCE {
            self.must_prune.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Connections {
    async fn settle(&self, ends: &[(u64, End)]) -> Result<(), StoreError> {
        let now = self.now();
        let keys: Vec<&[u8]> = ends.iter().map(|(_, end)| end.key.as_bytes()).collect();
        let uses: Vec<&[u8]> = ends
            .iter()
            .map(|(_, end)| end.use_id.as_bytes().as_slice())
            .collect();
        let kinds: Vec<i32> = ends.iter().map(|(_, end)| end.kind().into()).collect();
        let mark = mark()?;
        let parameters: [Parameter<'_>; 5] = [
            (&now, Type::INT8),
            (&mark, Type::INT8),
            (&keys, Type::BYTEA_ARRAY),
            (&uses, Type::BYTEA_ARRAY),
            (&kinds, Type::INT4_ARRAY),
        ];
        self.run(
            self.deadline(),
            Statement {
                text: &self.statements.settle,
                parameters: &parameters,
                is_idempotent: true,
                writes: &[],
            },
        )
        .await
        .map(drop)
    }

    async fn prune(&self) -> Result<i64, StoreError> {
        let now = self.now();
        let parameters: [Parameter<'_>; 2] = [(&now, Type::INT8), (&PRUNED_AT_ONCE, Type::INT8)];
        let rows = self
            .run(
                self.deadline(),
                Statement {
                    text: &self.statements.prune,
                    parameters: &parameters,
                    is_idempotent: true,
                    writes: &[],
                },
            )
            .await?;
        let removed = rows.first().and_then(|row| row.try_get("removed").ok());
        Ok(removed.unwrap_or_default())
    }
}

/// How many ends may wait before no use is taken.
const MOST: usize = 16_384;
const AT_ONCE: usize = 128;
const CONSUMES_FOR_A_PRUNE: usize = 64;
const PRUNED_AT_ONCE: i64 = 256;
/// How long a store that is dropped tries to carry out what waits.
const CLOSING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::time::timeout;

    use super::*;
    use crate::replay::{ReleaseReason, UseId};
    use crate::{
        Network, PaymentHash,
        clock::{SystemClock, Timestamp},
        replay::{
            StoreId,
            postgres::{open::Opened, statements::Statements, url::Database},
        },
    };

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_closed_gives_up_after_5_s_although_a_call_may_take_longer() {
        // It never answers.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://me@127.0.0.1:{port}/shop?connect_timeout=1000");
        let connections = Connections::new(
            Database::parse(&url).unwrap(),
            Statements::new("s"),
            Arc::new(SystemClock::new()),
            Duration::from_secs(1000),
            &Opened {
                id: StoreId::random().unwrap(),
                created_at: Timestamp::MAX,
                server: 1,
                is_durable: true,
                fix: None,
            },
        );
        let ends = Arc::<Ends>::default();
        ends.push(End {
            key: ConsumptionKey::lightning(Network::Regtest, PaymentHash::from_bytes([7; 32])),
            use_id: UseId::random().unwrap(),
            release: Some(ReleaseReason::NotServed),
        });
        let carrying = tokio::spawn(ends.clone().carry_out(Arc::new(connections)));
        tokio::task::yield_now().await;
        assert!(lock(&ends.waiting).ends.is_empty(), "a settle is under way");
        ends.close();
        let ended = timeout(CLOSING + Duration::from_secs(1), carrying).await;
        ended.expect("it must not wait for its call").unwrap();
    }
}
