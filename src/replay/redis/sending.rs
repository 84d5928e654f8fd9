//! How scripts are sent to a server.

use std::sync::Arc;

use redis::{Cmd, Pipeline, RedisError, Value, cmd, pipe};

use super::{
    fault::{after_sending, kind, unavailable},
    gathering::{Batches, Sent, Waiting, of_transaction},
    primary::{Call, Connected, Failure, Server},
};
use crate::replay::{StoreError, StoreErrorKind};

impl Call<'_> {
    /// Returns the command that runs the script, by its hash or by its whole text.
    pub(super) fn command(&self, whole: bool) -> Cmd {
        let mut script = if whole { cmd("EVAL") } else { cmd("EVALSHA") };
        script
            .arg(if whole {
                &self.script.source
            } else {
                &self.script.hash
            })
            .arg(self.script.key_count());
        for key in self.script.keys(self.tag) {
            script.arg(key);
        }
        script.arg(self.arguments);
        script
    }
}

impl Server {
    /// Runs a script, and waits for the replicas that must acknowledge it.
    pub(super) async fn run(self: &Arc<Self>, call: &Call<'_>) -> Result<Value, Failure> {
        let mut sent = if call.asking {
            self.send_alone(call, false).await?
        } else {
            self.gather(call).await?
        };
        if let Err(error) = &sent.value
            && error.code() == Some("NOSCRIPT")
        {
            sent = self.send_alone(call, true).await?;
        }
        let value = sent.value.map_err(|error| {
            self.close_after(&error, sent.connection);
            Failure {
                error: after_sending(&error),
                cause: Some(error),
            }
        })?;
        let (acknowledged, wanted) = (sent.acknowledged, sent.wanted);
        if acknowledged < i64::from(wanted) {
            return Err(unavailable(format!(
                "{acknowledged} of {wanted} replicas acknowledged the write in time"
            ))
            .into());
        }
        Ok(value)
    }

    /// Sends a script with those of other callers.
    async fn gather(self: &Arc<Self>, call: &Call<'_>) -> Result<Sent, StoreError> {
        let server = self.clone();
        let send = |mut batches: Batches<_, _>| async move {
            while let Some(calls) = batches.next().await {
                server.send_all(calls).await;
            }
        };
        let (script, runtime) = (call.command(false), &self.common.runtime);
        self.gathering.ask(script, runtime, send).await
    }

    async fn send_all(self: &Arc<Self>, calls: Vec<Waiting<Cmd, Sent>>) {
        match self.next_connection().await {
            Ok(mut connected) => {
                let (scripts, answers): (Vec<_>, Vec<_>) = calls
                    .into_iter()
                    .map(|waiting| (waiting.call, waiting.answer))
                    .unzip();
                let mut sent = self
                    .send(&mut connected, &scripts, self.is_alone, false)
                    .await;
                // A server whose memory is full queues nothing for a transaction. Alone, a script
                // may run that makes room or needs none.
                if scripts.len() > 1 && self.is_alone && sent.iter().all(is_full) {
                    sent = self.send(&mut connected, &scripts, false, false).await;
                }
                for (answer, sent) in answers.into_iter().zip(sent) {
                    // The caller may have gone.
                    let _ = answer.send(Ok(sent));
                }
            }
            Err(error) => {
                for call in calls {
                    let _ = call.answer.send(Err(error.again()));
                }
            }
        }
    }

    async fn send_alone(
        self: &Arc<Self>,
        call: &Call<'_>,
        whole: bool,
    ) -> Result<Sent, StoreError> {
        let mut connected = self.next_connection().await?;
        let script = [call.command(whole)];
        let sent = self.send(&mut connected, &script, false, call.asking).await;
        let none = || unavailable("no answer came");
        sent.into_iter().next().ok_or_else(none)
    }

    /// Sends scripts, as one transaction if they may be one. Returns what became of each.
    async fn send(
        &self,
        connected: &mut Connected,
        scripts: &[Cmd],
        may_be_one: bool,
        asking: bool,
    ) -> Vec<Sent> {
        let (count, wanted) = (scripts.len(), connected.settings.promised.replicas);
        let is_one = may_be_one && count > 1;
        let mut commands = pipe();
        if asking {
            commands.add_command(cmd("ASKING"));
        }
        if is_one {
            commands.add_command(cmd("MULTI"));
        }
        for script in scripts {
            commands.add_command(script.clone());
        }
        if is_one {
            commands.add_command(cmd("EXEC"));
        }
        if wanted > 0 {
            commands.add_command(self.wait(wanted));
        }
        let (values, acknowledged) = match sent(connected, &commands).await {
            Ok(mut answers) => {
                let acknowledged = match (wanted > 0).then(|| answers.pop()).flatten() {
                    Some(Value::Int(number)) => number,
                    _ => 0,
                };
                let answers = answers.into_iter().skip(usize::from(asking));
                let values = if is_one {
                    of_transaction(answers, count)
                } else {
                    answers.map(Value::extract_error).collect()
                };
                (values, acknowledged)
            }
            Err(error) => (vec![Err(error); count], 0),
        };
        let of = |value| Sent {
            value,
            acknowledged,
            wanted,
            connection: connected.number,
        };
        values.into_iter().map(of).collect()
    }

    fn wait(&self, replicas: u32) -> Cmd {
        // Less than the time limit of the call, so that the answer comes in time.
        let patience = self.common.time_limit.as_millis() / 2;
        let patience = u64::try_from(patience).unwrap_or(u64::MAX).max(1);
        cmd("WAIT").arg(replicas).arg(patience).clone()
    }
}

/// Returns whether the server refused a script because its memory is full.
fn is_full(sent: &Sent) -> bool {
    let error = sent.value.as_ref().err();
    error.is_some_and(|error| kind(error) == StoreErrorKind::Full)
}

async fn sent(connected: &mut Connected, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
    let count = commands.len();
    let connection = &mut connected.connection;
    connection.send_packed_commands(commands, 0, count).await
}
