//! Uses of payments that are taken or ended at the same time. One script takes all that came while
//! the one before was under way, so that its fixed costs, which are most of its costs, are shared.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    engine::{Answer, Engine, decimal, exact},
    fault::{full, not_expected},
    gathering::{Batches, Gathering},
    reply::number,
    scripts::{self, Script},
};
use crate::replay::{Consumption, StoreError, StoreErrorKind, UseRequest, end::End};

/// Calls that wait for a script: the arguments for one use, and the two numbers that the script
/// answers to it. These are the answer and what remains. A script that ends uses answers neither.
type Parts = Gathering<Vec<Vec<u8>>, Option<[u64; 2]>>;
type PartBatches = Batches<Vec<Vec<u8>>, Option<[u64; 2]>>;

/// The calls that wait for a script of their bucket, for each bucket with payments. Those that take
/// uses are apart from those that end uses, because only the latter run on a server whose memory is
/// full.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) engine: Arc<Engine>,
    first: u16,
    takes: Box<[Parts]>,
    ends: Box<[Parts]>,
}

impl Together {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        let buckets = engine.layout.payments();
        let each = || buckets.clone().map(|_| Parts::default()).collect();
        let (takes, ends) = (each(), each());
        Self {
            engine,
            first: buckets.start,
            takes,
            ends,
        }
    }

    /// Takes a use of a payment.
    pub(super) async fn take(
        &self,
        deadline: Instant,
        request: &UseRequest,
    ) -> Result<Consumption, StoreError> {
        let key = request.key();
        let key = key.as_bytes();
        let part = vec![
            name(key),
            self.first_state(request),
            decimal(exact(request.retain_until()).next_multiple_of(ENDING_EVERY)),
            serving(request),
        ];
        let asked = self.ask(&scripts::CONSUME, &self.takes, key, part, deadline);
        let [answer, remaining] = asked.await?.ok_or_else(not_expected)?;
        Ok(match answer {
            GRANTED => Consumption::Granted {
                remaining: u32::try_from(remaining).unwrap_or(0),
            },
            IN_USE => Consumption::InUse,
            SPENT => Consumption::Spent,
            FULL => return Err(full()),
            _ => return Err(not_expected()),
        })
    }

    /// Ends a use of a payment.
    pub(super) async fn end(&self, end: &End) -> Result<(), StoreError> {
        let (key, id) = (end.key.as_bytes(), end.use_id.as_bytes());
        let part = vec![name(key), id.to_vec(), decimal(end.kind().into())];
        let deadline = self.engine.servers.deadline();
        let asked = self.ask(&scripts::RELEASE, &self.ends, key, part, deadline);
        asked.await.map(drop)
    }

    /// The state of a payment after this use, if the use is its first: `STATE` of
    /// `scripts/payment.lua`.
    fn first_state(&self, request: &UseRequest) -> Vec<u8> {
        let limits = request.limits();
        let (taken, restored, number, is_released) = (1_u32, 0_u32, 1_u32, 0_u8);
        let remaining = limits.uses.get() - taken;
        let mut state = Vec::with_capacity(53);
        state.extend(exact(request.retain_until()).to_be_bytes());
        for part in [taken, restored, limits.restores, number] {
            state.extend(part.to_be_bytes());
        }
        state.extend(exact(self.engine.clock.now()).to_be_bytes());
        state.extend(remaining.to_be_bytes());
        state.push(is_released);
        state.extend(request.use_id().as_bytes());
        state
    }

    /// Hands a part to the next script of its kind and bucket, and waits for its answer, until the
    /// deadline at most.
    async fn ask(
        &self,
        script: &'static Script,
        all: &[Parts],
        key: &[u8],
        part: Vec<Vec<u8>>,
        deadline: Instant,
    ) -> Result<Option<[u64; 2]>, StoreError> {
        let (engine, servers) = (self.engine.clone(), &self.engine.servers);
        let bucket = engine.layout.of_payment(key);
        let others = &all[usize::from(bucket - self.first)];
        let send = |batches| send_each(engine, script, bucket, batches);
        let asked = others.ask(part, &servers.common.runtime, send);
        servers.by(deadline, asked).await
    }
}

async fn send_each(
    engine: Arc<Engine>,
    script: &'static Script,
    bucket: u16,
    mut batches: PartBatches,
) {
    while let Some(waiting) = batches.next().await {
        let (parts, callers): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.call, waiting.answer))
            .unzip();
        let answer = ask_of_all(&engine, script, bucket, parts).await;
        let mut answers = answer.map(|answer| answer.rest.into_iter());
        for caller in callers {
            let answer = match &mut answers {
                Ok(answers) => {
                    let mut next = || answers.next().as_ref().and_then(number);
                    Ok(next()
                        .zip(next())
                        .map(|(answer, remaining)| [answer, remaining]))
                }
                Err(error) => Err(error.again()),
            };
            // The caller may have gone.
            let _ = caller.send(answer);
        }
    }
}

async fn ask_of_all(
    engine: &Engine,
    script: &'static Script,
    bucket: u16,
    parts: Vec<Vec<Vec<u8>>>,
) -> Result<Answer, StoreError> {
    let mut arguments = vec![Vec::new()];
    arguments.extend(parts.into_iter().flatten());
    // Not each call removes what has expired. If nothing has, some uses can be answered all the same.
    let mut fullness = [NOT_FULL, NOW_FULL, STILL_FULL].into_iter();
    loop {
        arguments[0] = decimal(fullness.next().unwrap_or(STILL_FULL));
        match engine.ask_bucket(script, bucket, &arguments).await {
            Err(error) if error.kind() == StoreErrorKind::Full && fullness.len() > 0 => {}
            answer => return answer,
        }
    }
}

/// The use and until when it is being served: `SERVED` bytes of `scripts/payment.lua`. Empty if that
/// is not said.
fn serving(request: &UseRequest) -> Vec<u8> {
    let with = |until| {
        let id = *request.use_id().as_bytes();
        [id.as_slice(), &exact(until).to_be_bytes()].concat()
    };
    request.serving_until().map(with).unwrap_or_default()
}

/// The name of a payment in the scripts: its key, after its length.
fn name(key: &[u8]) -> Vec<u8> {
    let length = u8::try_from(key.len()).unwrap_or(u8::MAX);
    [&[length], key].concat()
}

/// Payments that end within so many seconds are forgotten together.
const ENDING_EVERY: u64 = 256;
const SPENT: u64 = 0;
const GRANTED: u64 = 1;
const IN_USE: u64 = 2;
const FULL: u64 = 3;

/// How full the memory of the server was a moment ago.
const NOT_FULL: u64 = 0;
const NOW_FULL: u64 = 1;
/// Also after what has expired was removed.
const STILL_FULL: u64 = 2;
