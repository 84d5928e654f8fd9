//! Uses that callers want to take. While all connections are busy, requests gather, and the next
//! free connection takes many of them in one statement and one commit.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tokio_postgres::{Row, types::Type};

use super::{
    connections::{Connections, Held, Statement},
    error::{not_understood, refused, unavailable},
    seen::{Write, mark},
    statements::{Parameter, seconds},
};
use crate::{
    lock::lock,
    replay::{Consumption, StoreError, UseRequest},
};

/// The requests that wait for a connection.
#[derive(Debug, Default)]
pub(super) struct Consumes {
    waiting: Mutex<VecDeque<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    request: UseRequest,
    reply: oneshot::Sender<Answer>,
}

type Answer = Result<Consumption, StoreError>;

impl Consumes {
    /// Takes one use, alone or together with others that wait.
    pub(super) async fn consume(
        self: Arc<Self>,
        connections: Arc<Connections>,
        request: UseRequest,
        deadline: Instant,
    ) -> Answer {
        let (reply, answer) = oneshot::channel();
        let use_id = request.use_id();
        lock(&self.waiting).push_back(Waiting { request, reply });
        let consumes = self.clone();
        tokio::spawn(async move { consumes.carry_out_some(&connections).await });
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unavailable("the request was dropped")),
            Err(_) => {
                let mut waiting = lock(&self.waiting);
                let before = waiting.len();
                waiting.retain(|waiting| waiting.request.use_id() != use_id);
                if waiting.len() < before {
                    return Err(refused(
                        "all connections were busy for too long; `connections` in the URL allows more",
                    ));
                }
                Err(unavailable("the database did not answer in time"))
            }
        }
    }

    /// Carries out some of the requests that wait once a connection is free.
    async fn carry_out_some(&self, connections: &Connections) {
        let held = connections.hold().await;
        let some: Vec<_> = {
            let mut waiting = lock(&self.waiting);
            let most = waiting.len().min(AT_ONCE);
            waiting.drain(..most).collect()
        };
        if some.is_empty() {
            return;
        }
        let answers = match held {
            Ok(mut held) => take(connections, &mut held, &some).await,
            Err(error) => Err(error),
        };
        match answers {
            Ok(rows) => reply_to_all(some, &rows),
            Err(error) => {
                for Waiting { reply, .. } in some {
                    let _ = reply.send(Err(error.again()));
                }
            }
        }
    }
}

/// Takes several uses in one statement.
async fn take(
    connections: &Connections,
    held: &mut Held<'_>,
    some: &[Waiting],
) -> Result<Vec<Row>, StoreError> {
    let requests = || some.iter().map(|waiting| &waiting.request);
    let now = connections.now();
    let keys: Vec<_> = requests().map(UseRequest::key).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    let ids: Vec<_> = requests().map(UseRequest::use_id).collect();
    let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    let uses: Vec<i64> = requests()
        .map(|request| request.limits().uses.get().into())
        .collect();
    let restores: Vec<i64> = requests()
        .map(|request| request.limits().restores.into())
        .collect();
    let retain_until: Vec<i64> = requests()
        .map(|request| seconds(request.retain_until()))
        .collect();
    let serving_until: Vec<Option<i64>> = requests()
        .map(|request| request.serving_until().map(seconds))
        .collect();
    let mark = mark()?;
    let parameters: [Parameter<'_>; 8] = [
        (&now, Type::INT8),
        (&mark, Type::INT8),
        (&keys, Type::BYTEA_ARRAY),
        (&ids, Type::BYTEA_ARRAY),
        (&uses, Type::INT8_ARRAY),
        (&restores, Type::INT8_ARRAY),
        (&retain_until, Type::INT8_ARRAY),
        (&serving_until, Type::INT8_ARRAY),
    ];
    let writes: Vec<_> = requests()
        .map(|request| Write {
            key: [b"p", request.key().as_bytes()].concat(),
            use_id: Some(request.use_id()),
            mark,
        })
        .collect();
    let statement = Statement {
        text: &connections.statements.consume,
        parameters: &parameters,
        is_idempotent: true,
        writes: &writes,
    };
    held.run(connections.deadline(), &statement).await
}

fn reply_to_all(some: Vec<Waiting>, rows: &[Row]) {
    let mut answers: Vec<_> = some.iter().map(|_| Err(not_understood())).collect();
    for row in rows {
        let number = row.try_get::<_, i64>("number").ok();
        let place = number.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
        if let (Some(place), Some(answer)) = (place, read_answer(row))
            && let Some(known) = answers.get_mut(place)
        {
            *known = Ok(answer);
        }
    }
    for (Waiting { reply, .. }, answer) in some.into_iter().zip(answers) {
        let _ = reply.send(answer);
    }
}

fn read_answer(row: &Row) -> Option<Consumption> {
    match row.try_get::<_, i32>("answer").ok()? {
        0 => Some(Consumption::Spent),
        1 => {
            let remaining: i64 = row.try_get("left_after").ok()?;
            let remaining = remaining.try_into().ok()?;
            Some(Consumption::Granted { remaining })
        }
        2 => Some(Consumption::InUse),
        _ => None,
    }
}

/// How many uses one statement takes at most.
const AT_ONCE: usize = 32;
