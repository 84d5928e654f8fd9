//! What nobody waits for: releases, and ends of serving. One task of the store carries them out.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    select,
    sync::{mpsc, watch},
    task::JoinSet,
    time::sleep,
};

use super::{fault::NAME, together::Together, upkeep::upkeep};
use crate::{
    lock::lock,
    replay::{ConsumptionKey, StoreErrorKind, end::End},
    trace,
};

/// The queue of what is to be carried out, and how much is in it or under way.
#[derive(Debug)]
pub(super) struct Tasks {
    queue: mpsc::UnboundedSender<End>,
    open: Open,
}

/// How much is open, in all and of each payment.
#[derive(Clone, Debug)]
struct Open {
    count: watch::Sender<usize>,
    of_payments: Arc<Mutex<HashMap<ConsumptionKey, usize>>>,
}

impl Open {
    fn begin(&self, task: &End) {
        *lock(&self.of_payments).entry(task.key).or_default() += 1;
        self.count.send_modify(|open| *open += 1);
    }

    fn end(&self, task: &End) {
        if let Entry::Occupied(mut open) = lock(&self.of_payments).entry(task.key) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
        self.count.send_modify(|open| *open -= 1);
    }

    fn has_any(&self, key: &ConsumptionKey) -> bool {
        lock(&self.of_payments).contains_key(key)
    }
}

impl Tasks {
    /// Starts the task, on the runtime that this is called on. It ends once this is dropped and
    /// what was asked before is carried out.
    pub(super) fn start(together: Arc<Together>) -> Self {
        let (queue, asked) = mpsc::unbounded_channel();
        let open = Open {
            count: watch::Sender::new(0),
            of_payments: Arc::default(),
        };
        tokio::spawn(work(together, asked, open.clone()));
        Self { queue, open }
    }

    /// Asks for something. Each release follows a consume, and no use is taken any more when half
    /// of the queue is full. So it takes all releases but those of very many uses under way.
    pub(super) fn ask(&self, task: End) {
        let room = match task.release {
            Some(_) => MAX_OPEN,
            None => MAX_OPEN / 4,
        };
        if *self.open.count.borrow() >= room {
            trace::warn(format_args!(
                "{NAME} has too much to carry out, and leaves out: {task:?}"
            ));
            return;
        }
        self.open.begin(&task);
        let _ = self.queue.send(task);
    }

    /// Returns whether so much is to be carried out that no use should be taken.
    pub(super) fn are_too_many(&self) -> bool {
        *self.open.count.borrow() >= MAX_OPEN / 2
    }

    /// Waits until all that was asked for a payment is carried out, so that a use that was given
    /// back here is there for the next consume.
    pub(super) async fn done_for(&self, key: &ConsumptionKey) {
        if self.open.has_any(key) {
            self.until(|_| !self.open.has_any(key)).await;
        }
    }

    /// Waits until all is carried out.
    pub(super) async fn done(&self) {
        self.until(|open| open == 0).await;
    }

    /// Waits until it is so, or until nothing is carried out any more because the runtime has
    /// ended.
    async fn until(&self, is_so: impl Fn(usize) -> bool) {
        let mut open = self.open.count.subscribe();
        select! {
            _ = open.wait_for(|open| is_so(*open)) => {}
            () = self.queue.closed() => {}
        }
    }
}

/// Carries tasks out. Those of one payment come one after the other: of two releases of a use the
/// first counts.
async fn work(together: Arc<Together>, mut asked: mpsc::UnboundedReceiver<End>, open: Open) {
    let mut running = JoinSet::new();
    let mut waiting = HashMap::<ConsumptionKey, VecDeque<End>>::new();
    let mut is_asked = true;
    let mut upkeep = pin!(upkeep(&together.engine));
    let run = |running: &mut JoinSet<_>, task: End| {
        let (together, open) = (together.clone(), open.clone());
        running.spawn(async move {
            carry_out(&together, task).await;
            open.end(&task);
            task.key
        });
    };
    while is_asked || !running.is_empty() {
        select! {
            biased;
            () = &mut upkeep => {}
            Some(Ok(key)) = running.join_next(), if !running.is_empty() => {
                match waiting.get_mut(&key).and_then(VecDeque::pop_front) {
                    Some(next) => run(&mut running, next),
                    None => drop(waiting.remove(&key)),
                }
            }
            task = asked.recv(), if is_asked && running.len() < AT_ONCE => match task {
                Some(task) => match waiting.entry(task.key) {
                    Entry::Occupied(mut others) => others.get_mut().push_back(task),
                    Entry::Vacant(none) => {
                        none.insert(VecDeque::new());
                        run(&mut running, task);
                    }
                },
                None => is_asked = false,
            },
        }
    }
}

/// Repeats a task until it is carried out, for a day at most: by then its payment is redeemed or
/// not.
async fn carry_out(together: &Together, task: End) {
    let mut delay = FIRST_DELAY;
    for _ in 0..ATTEMPTS {
        match together.end(&task).await {
            Ok(()) => return,
            Err(error) if error.kind() == StoreErrorKind::Corrupt => return,
            // Its deadline ends it.
            Err(_) if task.release.is_none() && delay > LAST_DELAY => return,
            Err(_) => {
                sleep(delay.min(LAST_DELAY)).await;
                delay = (delay * 2).min(2 * LAST_DELAY);
            }
        }
    }
    trace::warn(format_args!("{NAME} could not carry out: {task:?}"));
}

const AT_ONCE: usize = 256;
const MAX_OPEN: usize = 65_536;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LAST_DELAY: Duration = Duration::from_secs(2);
/// A day of the last delay.
const ATTEMPTS: usize = 43_200;
