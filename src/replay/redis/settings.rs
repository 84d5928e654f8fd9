//! What a server's configuration promises.

use std::sync::{Arc, OnceLock};

use redis::{RedisError, Value, aio::MultiplexedConnection, cmd, pipe};

use super::{
    fault::{not_sent, refused, setup},
    reply::{bytes, items, text},
};
use crate::replay::StoreError;

/// A server that was just connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The run of the server: another one begins with each start.
    pub(super) run: String,
    /// For example `Redis 7.0.15`.
    pub(super) version: String,
    pub(super) promised: Promised,
    /// What the server says about it, for the log.
    pub(super) summary: String,
    /// What to change so that each write is synced, if something is.
    pub(super) to_sync: Option<String>,
}

/// What is true of each write before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Promised {
    /// It is synced.
    pub(super) syncs: bool,
    /// So many replicas have it.
    pub(super) replicas: u32,
    /// These are all replicas that the server has. Any other one could take its place without it.
    pub(super) all_replicas: bool,
}

/// What the store was opened with: what all servers promise. None may promise less later, also none
/// that takes the place of another.
pub(super) type Promise = Arc<OnceLock<Promised>>;

impl Promised {
    /// Returns what both promise.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            syncs: self.syncs && other.syncs,
            replicas: self.replicas.min(other.replicas),
            all_replicas: self.all_replicas && other.all_replicas,
        }
    }

    pub(super) fn is_less_than(self, other: Self) -> bool {
        self.and(other) != other
    }
}

/// Reads the settings of a server that was just connected, in one round trip. Refuses one that
/// cannot hold a store.
pub(super) async fn read(connection: &mut MultiplexedConnection) -> Result<Settings, StoreError> {
    let mut commands = pipe();
    commands.cmd("ROLE").cmd("INFO");
    commands.cmd("CONFIG").arg("GET").arg(&CONFIG);
    let answers = connection.send_packed_commands(&commands, 0, 3).await;
    let answers = answers.map_err(|error| not_sent(&error))?.into_iter();
    let mut answers = answers.map(Value::extract_error);
    let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
    let role = next().map_err(|error| not_sent(&error))?;
    let info = next().map_err(|error| not_sent(&error))?;
    // A user may have no right to read it, or a service may hide it.
    let config = next().unwrap_or(Value::Nil);
    let role = items(role).into_iter().next().map(text).unwrap_or_default();
    if role != "master" {
        return Err(refused(format!(
            "a primary was expected, and the server is a {role}"
        )));
    }
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
    let config: Vec<_> = items(config).into_iter().map(text).collect();
    let value = |name: &str| {
        let mut pairs = config.chunks_exact(2);
        pairs.find_map(|pair| (pair[0] == name).then_some(pair[1].as_str()))
    };
    let values = CONFIG.map(value);
    let (promised, summary, to_sync) = judge(values, field("connected_slaves"));
    Ok(Settings {
        run: field("run_id").to_owned(),
        version,
        promised,
        summary,
        to_sync,
    })
}

/// Returns what a server promises with these values of [`CONFIG`], a text about them, and what to
/// change so that it syncs each write.
fn judge(values: [Option<&str>; 4], connected: &str) -> (Promised, String, Option<String>) {
    let replicas = values[3]
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let is_all = |connected| replicas > 0 && replicas >= connected;
    let to_sync = to_sync(values);
    let promised = Promised {
        syncs: to_sync.is_none(),
        replicas,
        all_replicas: connected.parse().is_ok_and(is_all),
    };
    let shown = CONFIG.iter().zip(values).map(|(name, value)| {
        let value = value.unwrap_or("unreadable");
        format!("{name} {value}, ")
    });
    let summary = format!("{}replicas {connected}", shown.collect::<String>());
    (promised, summary, to_sync)
}

/// Returns what to change so that a server with these values of [`CONFIG`] syncs each write.
fn to_sync(values: [Option<&str>; 4]) -> Option<String> {
    let wanted = CONFIG.into_iter().zip(SYNCED).zip(values);
    let mut lacking = Vec::new();
    for ((name, wanted), value) in wanted {
        match value {
            None => {
                return Some(format!(
                    "`{name}` cannot be read: let the user of the store run `CONFIG GET`, or use a server that allows it"
                ));
            }
            Some(value) if value != wanted => lacking.push(format!("`{name} {wanted}`")),
            Some(_) => {}
        }
    }
    (!lacking.is_empty()).then(|| format!("set {} at the server", lacking.join(" and ")))
}

/// The values of the first settings of [`CONFIG`] with which a server syncs before it answers. While
/// the file is rewritten, it may leave the fsyncs out.
const SYNCED: [&str; 3] = ["yes", "always", "no"];

/// The settings that say what a write is worth.
const CONFIG: [&str; 4] = [
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "min-replicas-to-write",
];

fn check_version(redis: &str, valkey: &str) -> Result<String, StoreError> {
    let (name, version, least) = if valkey.is_empty() {
        ("Redis", redis, 7)
    } else {
        ("Valkey", valkey, 8)
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

/// Returns the address of the primary that a Sentinel knows by a name.
pub(super) async fn primary_of(
    connection: &mut MultiplexedConnection,
    name: &str,
) -> Result<Option<(String, u16)>, RedisError> {
    let command = cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(name)
        .clone();
    let answer = connection.send_packed_command(&command).await?;
    let mut address = items(answer.extract_error()?).into_iter().map(bytes);
    let (host, port) = (address.next().flatten(), address.next().flatten());
    let word = |bytes: Option<Vec<u8>>| String::from_utf8(bytes?).ok();
    Ok(word(host).zip(word(port).and_then(|port| port.parse().ok())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_fsync_before_each_answer_counts() {
        let judged = |only, fsync, not| judge([only, fsync, not, None], "0").0.syncs;
        let (yes, always, no) = (Some("yes"), Some("always"), Some("no"));
        assert!(judged(yes, always, no));
        for (only, fsync, not) in [
            (yes, Some("everysec"), no),
            (no, always, no),
            (None, always, no),
            (yes, None, no),
            (yes, always, yes),
            (yes, always, None),
        ] {
            assert!(!judged(only, fsync, not));
        }
        assert_eq!(
            judge([yes, None, no, Some("x")], "2").1,
            "appendonly yes, appendfsync unreadable, no-appendfsync-on-rewrite no, min-replicas-to-write x, replicas 2"
        );
    }

    #[test]
    fn what_is_to_be_changed_is_named_setting_by_setting() {
        let (yes, always, no) = (Some("yes"), Some("always"), Some("no"));
        assert_eq!(to_sync([yes, always, no, None]), None);
        let fix = to_sync([no, Some("everysec"), yes, None]).unwrap();
        assert_eq!(
            fix,
            "set `appendonly yes` and `appendfsync always` and `no-appendfsync-on-rewrite no` at the server"
        );
        let fix = to_sync([yes, Some("everysec"), no, None]).unwrap();
        assert_eq!(fix, "set `appendfsync always` at the server");
        let fix = to_sync([None; 4]).unwrap();
        assert!(
            fix.contains("let the user of the store run `CONFIG GET`"),
            "{fix}"
        );
    }

    #[test]
    fn one_of_several_replicas_is_not_all_that_may_take_over() {
        let judged = |replicas, connected| {
            let promised = judge([None, None, None, replicas], connected).0;
            (promised.replicas, promised.all_replicas)
        };
        assert_eq!(judged(Some("1"), "1"), (1, true));
        assert_eq!(judged(Some("2"), "1"), (2, true), "one is away");
        assert_eq!(judged(Some("1"), "2"), (1, false));
        assert_eq!(judged(Some("0"), "0"), (0, false), "one may come");
        assert_eq!(judged(None, "1"), (0, false));
        assert_eq!(judged(Some("1"), ""), (1, false));
    }

    #[test]
    fn less_than_what_a_store_was_opened_with_is_less_in_any_part() {
        let of = |syncs, replicas, all_replicas| Promised {
            syncs,
            replicas,
            all_replicas,
        };
        let opened = of(true, 1, true);
        assert!(!opened.is_less_than(opened) && !of(true, 2, true).is_less_than(opened));
        for less in [of(false, 1, true), of(true, 0, true), of(true, 1, false)] {
            assert!(less.is_less_than(opened));
            assert!(!opened.is_less_than(less));
            assert_eq!(opened.and(less), less);
        }
    }

    #[test]
    fn an_old_server_is_refused() {
        assert_eq!(check_version("7.0.15", "").unwrap(), "Redis 7.0.15");
        assert_eq!(check_version("7.2.4", "8.1.0").unwrap(), "Valkey 8.1.0");
        for (version, valkey) in [("6.2.14", ""), ("", ""), ("x", ""), ("7.2.4", "7.2.8")] {
            let error = check_version(version, valkey).unwrap_err().to_string();
            assert!(
                error.contains("Redis 7 or Valkey 8 was expected"),
                "{error}"
            );
        }
    }
}
