//! How scripts are sent to a server.

use redis::{Cmd, Pipeline, RedisError, Value, cmd, pipe};

use super::{
    gathering::{Sent, of_transaction},
    primary::{Call, Connected, Server},
};

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
    /// Sends scripts, as one transaction if they may be one. Returns what became of each.
    pub(super) async fn send(
        &self,
        connected: &mut Connected,
        scripts: Vec<Cmd>,
        asking: bool,
    ) -> Vec<Sent> {
        let (count, wanted) = (scripts.len(), connected.settings.replicas);
        let is_one = self.is_alone && count > 1;
        let mut commands = pipe();
        if asking {
            commands.add_command(cmd("ASKING"));
        }
        if is_one {
            commands.add_command(cmd("MULTI"));
        }
        for script in scripts {
            commands.add_command(script);
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
        let patience = self.time_limit.as_millis() / 2;
        let patience = u64::try_from(patience).unwrap_or(u64::MAX).max(1);
        cmd("WAIT").arg(replicas).arg(patience).clone()
    }
}

async fn sent(connected: &mut Connected, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
    let count = commands.len();
    let connection = &mut connected.connection;
    connection.send_packed_commands(commands, 0, count).await
}
