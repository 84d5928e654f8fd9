//! Calls that come while others are under way: the next transaction, or the next script, takes all of
//! them. So a server that syncs before it answers does so once for many callers.

use std::sync::{Arc, Mutex};

use redis::{ErrorKind, RedisError, Value};
use tokio::{runtime::Handle, sync::oneshot};

use super::fault::has_ended;
use crate::{lock::lock, replay::StoreError};

/// What became of a call that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) value: Result<Value, RedisError>,
    /// How many replicas have acknowledged it, and how many must.
    pub(super) acknowledged: i64,
    pub(super) wanted: u32,
    /// The number of the connection.
    pub(super) connection: usize,
}

/// A call that is not sent yet: what is to be sent, and who waits for the answer.
#[derive(Debug)]
pub(super) struct Waiting<Q, A> {
    pub(super) call: Q,
    pub(super) answer: oneshot::Sender<Result<A, StoreError>>,
}

/// The calls that wait for those that are under way.
#[derive(Debug)]
pub(super) struct Gathering<Q, A>(Arc<Mutex<State<Q, A>>>);

impl<Q, A> Default for Gathering<Q, A> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            waiting: Vec::new(),
            is_under_way: false,
            last: 0,
        })))
    }
}

#[derive(Debug)]
struct State<Q, A> {
    waiting: Vec<Waiting<Q, A>>,
    is_under_way: bool,
    /// How many calls were sent together the last time.
    last: usize,
}

/// The calls to send, for the only one who sends them. If this is dropped before nobody waits,
/// those who wait learn that nobody sends their calls, and the next call finds nobody.
#[derive(Debug)]
pub(super) struct Batches<Q, A> {
    state: Arc<Mutex<State<Q, A>>>,
    are_over: bool,
}

impl<Q, A> Gathering<Q, A> {
    /// Adds a call. Returns what to send if nobody is there to send it.
    fn add(&self, waiting: Waiting<Q, A>) -> Option<Batches<Q, A>> {
        let mut state = lock(&self.0);
        state.waiting.push(waiting);
        (!std::mem::replace(&mut state.is_under_way, true)).then(|| Batches {
            state: self.0.clone(),
            are_over: false,
        })
    }

    /// Hands in a call, and waits for its answer. Lets `send` run if nobody sends.
    pub(super) async fn ask<F>(
        &self,
        call: Q,
        runtime: &Handle,
        send: impl FnOnce(Batches<Q, A>) -> F,
    ) -> Result<A, StoreError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        if let Some(batches) = self.add(Waiting { call, answer }) {
            runtime.spawn(send(batches));
        }
        answered.await.unwrap_or_else(|_| Err(has_ended()))
    }
}

impl<Q, A> Batches<Q, A> {
    /// Returns the calls to send now, or `None` if nobody waits. First it lets those run who were
    /// answered a moment ago, because they may call again.
    pub(super) async fn next(&mut self) -> Option<Vec<Waiting<Q, A>>> {
        for _ in 0..YIELDS {
            if self.are_as_many_as_before() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut state = lock(&self.state);
        // Nobody waits for the answer of one that was given up: it is not sent at all.
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        let count = state.waiting.len().min(AT_ONCE);
        state.last = count;
        state.is_under_way = count > 0;
        self.are_over = count == 0;
        (count > 0).then(|| state.waiting.drain(..count).collect())
    }

    fn are_as_many_as_before(&self) -> bool {
        let state = lock(&self.state);
        state.waiting.len() >= state.last
    }
}

impl<Q, A> Drop for Batches<Q, A> {
    fn drop(&mut self) {
        if !self.are_over {
            let mut state = lock(&self.state);
            state.is_under_way = false;
            state.waiting.clear();
        }
    }
}

/// Returns the answer to each of so many scripts, from the answers to `MULTI`, the scripts and
/// `EXEC`.
pub(super) fn of_transaction(
    answers: impl IntoIterator<Item = Value>,
    count: usize,
) -> Vec<Result<Value, RedisError>> {
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or(Value::Nil);
    let begun = next().extract_error();
    let queued: Vec<_> = (0..count).map(|_| next().extract_error()).collect();
    // Without a transaction the scripts ran one by one.
    if begun.is_err() {
        return queued;
    }
    match next() {
        Value::Array(values) if values.len() == count => {
            values.into_iter().map(Value::extract_error).collect()
        }
        // It says only that one could not be queued, and that one says why. None ran.
        other => {
            let why = queued.into_iter().find_map(Result::err);
            let why = why.or_else(|| other.extract_error().err());
            vec![Err(why.unwrap_or_else(not_expected)); count]
        }
    }
}

fn not_expected() -> RedisError {
    RedisError::from((
        ErrorKind::UnexpectedReturnType,
        "a transaction gave an answer that was not expected",
    ))
}

const YIELDS: usize = 8;
const AT_ONCE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> (
        Waiting<&'static str, ()>,
        oneshot::Receiver<Result<(), StoreError>>,
    ) {
        let (answer, answered) = oneshot::channel();
        let call = "a call";
        (Waiting { call, answer }, answered)
    }

    #[tokio::test]
    async fn what_comes_while_others_are_under_way_goes_together_and_one_sends() {
        let gathering = Gathering::default();
        let (first, _first) = waiting();
        let mut batches = gathering.add(first).expect("nobody sends");
        assert_eq!(batches.next().await.unwrap().len(), 1);
        let (second, _second) = waiting();
        let (third, third_gone) = waiting();
        let (fourth, _fourth) = waiting();
        for call in [second, third, fourth] {
            assert!(gathering.add(call).is_none(), "somebody sends");
        }
        drop(third_gone);
        assert_eq!(batches.next().await.unwrap().len(), 2);
        assert!(batches.next().await.is_none());
        let (last, _last) = waiting();
        let mut next = gathering.add(last).expect("nobody sends any more");
        drop(batches);
        assert_eq!(next.next().await.unwrap().len(), 1, "that changed nothing");
    }

    #[tokio::test]
    async fn if_the_sender_ends_all_who_wait_learn_it_and_the_next_call_is_sent() {
        let gathering = Gathering::default();
        let (first, first_answer) = waiting();
        let (second, second_answer) = waiting();
        let mut batches = gathering.add(first).unwrap();
        let under_way = batches.next().await.unwrap();
        assert!(gathering.add(second).is_none());
        drop((batches, under_way));
        assert!(first_answer.await.is_err() && second_answer.await.is_err());
        let (third, _third) = waiting();
        let mut batches = gathering.add(third).expect("nobody sends");
        assert_eq!(batches.next().await.unwrap().len(), 1);
    }

    fn texts(answers: Vec<Result<Value, RedisError>>) -> Vec<String> {
        let text = |answer: Result<Value, RedisError>| match answer {
            Ok(Value::Int(number)) => number.to_string(),
            Ok(value) => format!("{value:?}"),
            Err(error) => error.code().unwrap_or("?").to_owned(),
        };
        answers.into_iter().map(text).collect()
    }

    fn parsed(text: &str) -> Value {
        redis::parse_redis_value(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_script_of_a_transaction_has_its_own_answer() {
        let answers = [
            "+OK\r\n",
            "+QUEUED\r\n",
            "+QUEUED\r\n",
            "*2\r\n:7\r\n-NOSCRIPT x\r\n",
        ];
        let answers = of_transaction(answers.map(parsed), 2);
        assert_eq!(texts(answers), ["7", "NOSCRIPT"]);
    }

    #[test]
    fn a_transaction_that_did_not_run_says_why() {
        let queued = [
            "+OK\r\n",
            "+QUEUED\r\n",
            "-MISCONF x\r\n",
            "-EXECABORT x\r\n",
        ];
        assert_eq!(
            texts(of_transaction(queued.map(parsed), 2)),
            ["MISCONF", "MISCONF"]
        );
        let queued = ["+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "-READONLY x\r\n"];
        assert_eq!(
            texts(of_transaction(queued.map(parsed), 2)),
            ["READONLY", "READONLY"]
        );
    }

    #[test]
    fn without_a_transaction_each_script_ran_by_itself() {
        let answers = ["-NOPERM x\r\n", ":1\r\n", "-OOM x\r\n", "-ERR x\r\n"];
        assert_eq!(texts(of_transaction(answers.map(parsed), 2)), ["1", "OOM"]);
    }
}
