//! What a server's configuration promises.

use std::sync::{Arc, OnceLock};

use redis::{RedisError, Value, aio::MultiplexedConnection, cmd};

use super::{
    fault::{not_sent, refused, setup},
    reply::{bytes, items, text},
};
use crate::replay::StoreError;

/// What the configuration of one server promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The run of the server: another one begins with each start.
    pub(super) run: String,
    /// For example `Redis 7.0.15`.
    pub(super) version: String,
    /// Each answer comes after an fsync.
    pub(super) syncs: bool,
    /// How many replicas must acknowledge a write.
    pub(super) replicas: u32,
    /// What the server says about it, for the log.
    pub(super) summary: String,
}

/// What the store was opened with: whether all servers sync each write, and the fewest replicas that
/// acknowledge one. No server may promise less later, also none that takes the place of another.
pub(super) type Promise = Arc<OnceLock<(bool, u32)>>;

impl Settings {
    pub(super) fn is_less_than(&self, (syncs, replicas): (bool, u32)) -> bool {
        syncs && !self.syncs || replicas > self.replicas
    }
}

/// Reads the settings of a server that was just connected. Refuses one that cannot hold a store.
pub(super) async fn read(connection: &mut MultiplexedConnection) -> Result<Settings, StoreError> {
    let role = ask(connection, cmd("ROLE"))
        .await
        .map_err(|error| not_sent(&error))?;
    let role = items(role).into_iter().next().map(text).unwrap_or_default();
    if role != "master" {
        return Err(refused(format!(
            "a primary was expected, and the server is a {role}"
        )));
    }
    let info = ask(connection, cmd("INFO"))
        .await
        .map_err(|error| not_sent(&error))?;
    let info = text(info);
    let field = |name: &str| {
        let mut lines = info.lines();
        lines
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_default()
    };
    let version = check_version(field("redis_version"), field("valkey_version"))?;
    let policy = field("maxmemory_policy");
    if policy != "noeviction" {
        return Err(setup(format!(
            "the server must never forget a payment: set `maxmemory-policy noeviction`, it is {policy:?}"
        )));
    }
    let mut config = Vec::new();
    for name in [
        "appendonly",
        "appendfsync",
        "no-appendfsync-on-rewrite",
        "min-replicas-to-write",
    ] {
        let value = ask(connection, cmd("CONFIG").arg("GET").arg(name).clone()).await;
        match value {
            Ok(value) => config.push(items(value).into_iter().nth(1).map(text)),
            // A user without the right to read it, or a service that hides it.
            Err(error) if !error.is_io_error() => config.push(None),
            Err(error) => return Err(not_sent(&error)),
        }
    }
    Ok(judge(
        field("run_id").to_owned(),
        version,
        [&config[0], &config[1], &config[2], &config[3]].map(|it| it.as_deref()),
    ))
}

fn judge(
    run: String,
    version: String,
    [appendonly, appendfsync, not_on_rewrite, replicas]: [Option<&str>; 4],
) -> Settings {
    let shown = |value: Option<&str>| value.unwrap_or("unreadable").to_owned();
    Settings {
        run,
        version,
        // While the file is rewritten, a server may leave the fsyncs out.
        syncs: appendonly == Some("yes")
            && appendfsync == Some("always")
            && not_on_rewrite == Some("no"),
        replicas: replicas.and_then(|number| number.parse().ok()).unwrap_or(0),
        summary: format!(
            "appendonly {}, appendfsync {}, no-appendfsync-on-rewrite {}, min-replicas-to-write {}",
            shown(appendonly),
            shown(appendfsync),
            shown(not_on_rewrite),
            shown(replicas)
        ),
    }
}

fn check_version(redis: &str, valkey: &str) -> Result<String, StoreError> {
    let (name, version, least) = if valkey.is_empty() {
        ("Redis", redis, 7)
    } else {
        ("Valkey", valkey, 7)
    };
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= least) {
        Ok(format!("{name} {version}"))
    } else {
        Err(setup(format!(
            "Redis 7 or Valkey 8 was expected, and the server is {name} {version:?}"
        )))
    }
}

async fn ask(
    connection: &mut MultiplexedConnection,
    command: redis::Cmd,
) -> Result<Value, RedisError> {
    connection
        .send_packed_command(&command)
        .await?
        .extract_error()
}

/// Returns the address of the primary that a Sentinel knows by a name.
pub(super) async fn primary_of(
    connection: &mut MultiplexedConnection,
    name: &str,
) -> Result<Option<(String, u16)>, RedisError> {
    let command = cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(name)
        .clone();
    let mut address = items(ask(connection, command).await?)
        .into_iter()
        .map(bytes);
    let (host, port) = (address.next().flatten(), address.next().flatten());
    let word = |bytes: Option<Vec<u8>>| String::from_utf8(bytes?).ok();
    Ok(word(host).zip(word(port).and_then(|port| port.parse().ok())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_fsync_before_each_answer_counts() {
        let judged = |only, fsync, not, replicas| {
            let config = [only, fsync, not, replicas];
            judge(String::new(), "Redis 7".to_owned(), config)
        };
        let (yes, always, no) = (Some("yes"), Some("always"), Some("no"));
        assert!(judged(yes, always, no, Some("0")).syncs);
        for (only, fsync, not) in [
            (yes, Some("everysec"), no),
            (no, always, no),
            (None, always, no),
            (yes, None, no),
            (yes, always, yes),
            (yes, always, None),
        ] {
            assert!(!judged(only, fsync, not, None).syncs);
        }
        assert_eq!(judged(yes, always, no, Some("2")).replicas, 2);
        assert_eq!(
            judged(yes, None, no, Some("x")).summary,
            "appendonly yes, appendfsync unreadable, no-appendfsync-on-rewrite no, min-replicas-to-write x"
        );
    }

    #[test]
    fn an_old_server_is_refused() {
        assert_eq!(check_version("7.0.15", "").unwrap(), "Redis 7.0.15");
        assert_eq!(check_version("7.2.4", "8.1.0").unwrap(), "Valkey 8.1.0");
        for version in ["6.2.14", "", "x"] {
            let error = check_version(version, "").unwrap_err().to_string();
            assert!(
                error.contains("Redis 7 or Valkey 8 was expected"),
                "{error}"
            );
        }
    }
}
