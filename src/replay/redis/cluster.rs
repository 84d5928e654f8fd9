//! A cluster: which server has which slot.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Value, cmd};
use tokio::time::{Instant, sleep};

use super::{
    fault::{is_elsewhere, refused},
    primary::{Call, Common, Failure, Place, Server},
    reply::{bytes, items, number},
    url::Host,
};
use crate::{
    lock::{lock, read, write},
    replay::StoreError,
};

/// The servers of a cluster. The map of slots is this store's own, and not that of the client
/// crate: each call must wait for the replicas on the connection that carried it, and must be sent
/// again with what was learned since.
#[derive(Debug)]
pub(super) struct Cluster {
    common: Common,
    known: RwLock<Map>,
    servers: Mutex<HashMap<Host, Arc<Server>>>,
    is_stale: AtomicBool,
    refreshed_at: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Map {
    /// The first and the last slot of each range, and its primary.
    ranges: Vec<(u16, u16, Host)>,
    /// All servers, replicas too: one of them may be a primary soon.
    hosts: Vec<Host>,
}

impl Cluster {
    pub(super) fn new(hosts: Vec<Host>, common: Common) -> Self {
        let map = Map {
            ranges: Vec::new(),
            hosts,
        };
        Self {
            common,
            known: RwLock::new(map),
            servers: Mutex::default(),
            is_stale: AtomicBool::new(true),
            refreshed_at: tokio::sync::Mutex::default(),
        }
    }

    /// Runs a script at the server that has a slot.
    pub(super) async fn run(&self, slot: u16, mut call: Call<'_>) -> Result<Value, StoreError> {
        let (mut sent_on, mut tries) = (None, 0);
        loop {
            let server = match sent_on.take() {
                Some(host) => self.server(&host),
                None => self.server_of(slot).await?,
            };
            let Failure { error, cause } = match server.run(&call).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            call.asking = false;
            let Some(cause) = cause else {
                self.is_stale.store(true, Ordering::Relaxed);
                return Err(error);
            };
            match (cause.code(), cause.redirect_node()) {
                (Some("ASK"), Some((address, _))) => {
                    sent_on = host(address);
                    call.asking = true;
                }
                (Some("MOVED"), _) => self.is_stale.store(true, Ordering::Relaxed),
                // Half of the slot's keys have been moved.
                (Some("TRYAGAIN"), _) if tries < TRIES => {
                    tries += 1;
                    sleep(A_MOMENT).await;
                }
                _ => {
                    if is_elsewhere(&cause) {
                        self.is_stale.store(true, Ordering::Relaxed);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Returns all primaries.
    pub(super) async fn primaries(&self) -> Result<Vec<Arc<Server>>, StoreError> {
        self.refresh_if_stale().await?;
        let mut hosts: Vec<_> = read(&self.known)
            .ranges
            .iter()
            .map(|(_, _, host)| host.clone())
            .collect();
        hosts.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        hosts.dedup();
        Ok(hosts.iter().map(|host| self.server(host)).collect())
    }

    /// Returns one of these buckets, which come with their slots, for each primary that has any.
    pub(super) fn one_of_each(&self, buckets: impl Iterator<Item = (u16, u16)>) -> Vec<u16> {
        let (known, mut seen, mut found) = (read(&self.known), Vec::new(), Vec::new());
        for (bucket, slot) in buckets {
            if let Some(host) = known.primary(slot)
                && !seen.contains(&host)
            {
                seen.push(host);
                found.push(bucket);
            }
        }
        found
    }

    /// Returns the primary that has a slot, as far as it is known.
    pub(super) fn home(&self, slot: u16) -> Option<Host> {
        read(&self.known).primary(slot).cloned()
    }

    async fn server_of(&self, slot: u16) -> Result<Arc<Server>, StoreError> {
        self.refresh_if_stale().await?;
        let none = || refused(format!("no server of the cluster has slot {slot}"));
        let host = self.home(slot).ok_or_else(none)?;
        Ok(self.server(&host))
    }

    fn server(&self, host: &Host) -> Arc<Server> {
        let mut servers = lock(&self.servers);
        let new = || {
            let place = Place::At(host.clone());
            Arc::new(Server::new(place, self.common.clone(), false))
        };
        servers.entry(host.clone()).or_insert_with(new).clone()
    }

    /// Asks for the map, but not at each call: a call that was sent elsewhere waits a moment.
    async fn refresh_if_stale(&self) -> Result<(), StoreError> {
        if !self.is_stale.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut refreshed_at = self.refreshed_at.lock().await;
        if !self.is_stale.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(at) = *refreshed_at {
            tokio::time::sleep_until(at + A_MOMENT).await;
        }
        *refreshed_at = Some(Instant::now());
        let hosts = read(&self.known).hosts.clone();
        let mut last = refused("the URL names no server of the cluster");
        for host in &hosts {
            match self
                .server(host)
                .query(&cmd("CLUSTER").arg("SLOTS").clone())
                .await
            {
                Ok(answer) => {
                    let map = Map::read(answer, host, &hosts);
                    lock(&self.servers).retain(|host, _| map.hosts.contains(host));
                    *write(&self.known) = map;
                    self.is_stale.store(false, Ordering::Relaxed);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Map {
    /// Reads the answer of `asked` to `CLUSTER SLOTS`. Servers that were known before stay known,
    /// as long as there are few.
    fn read(answer: Value, asked: &Host, before: &[Host]) -> Self {
        let mut map = Self::default();
        for range in items(answer) {
            let mut parts = items(range).into_iter();
            let mut edge = || {
                parts
                    .next()
                    .and_then(|edge| u16::try_from(number(&edge)?).ok())
            };
            let (Some(first), Some(last)) = (edge(), edge()) else {
                continue;
            };
            let servers = parts.filter_map(|server| address(server, asked));
            for (place, server) in servers.enumerate() {
                if place == 0 {
                    map.ranges.push((first, last, server.clone()));
                }
                if !map.hosts.contains(&server) {
                    map.hosts.push(server);
                }
            }
        }
        let room = MAX_HOSTS.saturating_sub(map.hosts.len());
        let others: Vec<_> = before
            .iter()
            .filter(|host| !map.hosts.contains(host))
            .take(room)
            .cloned()
            .collect();
        map.hosts.extend(others);
        map
    }

    fn primary(&self, slot: u16) -> Option<&Host> {
        let range = self
            .ranges
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&slot));
        range.map(|(_, _, host)| host)
    }
}

/// Reads a server of a range. One that does not know its own host is the one that was asked.
fn address(server: Value, asked: &Host) -> Option<Host> {
    let mut parts = items(server).into_iter();
    let host = parts
        .next()
        .and_then(bytes)
        .and_then(|host| String::from_utf8(host).ok());
    let port = u16::try_from(number(&parts.next()?)?).ok()?;
    let host = host.filter(|host| !host.is_empty() && host != "?");
    Some(Host(host.unwrap_or_else(|| asked.0.clone()), port))
}

fn host(address: &str) -> Option<Host> {
    let (host, port) = address.rsplit_once(':')?;
    Some(Host(host.to_owned(), port.parse().ok()?))
}

const A_MOMENT: Duration = Duration::from_millis(50);
/// How often a call is sent again while its slot is being moved.
const TRIES: usize = 4;
const MAX_HOSTS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::{super::options::RedisOptions, *};

    fn server(host: &str, port: i64) -> Value {
        Value::Array(vec![
            Value::BulkString(host.into()),
            Value::Int(port),
            Value::BulkString(b"id".to_vec()),
        ])
    }

    #[tokio::test]
    async fn the_map_has_the_primary_of_each_slot_and_knows_the_replicas() {
        let range = |first, last, servers: Vec<Value>| {
            Value::Array([vec![Value::Int(first), Value::Int(last)], servers].concat())
        };
        let answer = Value::Array(vec![
            range(0, 5_460, vec![server("a", 1), server("c", 3)]),
            range(5_461, 16_383, vec![server("", 2)]),
            Value::Nil,
        ]);
        let (asked, before) = (Host("b".to_owned(), 9), [Host("seed".to_owned(), 7)]);
        let map = Map::read(answer, &asked, &before);
        for (slot, host, port) in [
            (0, "a", 1),
            (5_460, "a", 1),
            (5_461, "b", 2),
            (16_383, "b", 2),
        ] {
            assert_eq!(map.primary(slot), Some(&Host(host.to_owned(), port)));
        }
        let hosts: Vec<_> = map.hosts.iter().map(|host| host.0.as_str()).collect();
        assert_eq!(hosts, ["a", "c", "b", "seed"]);
        let cluster = Cluster {
            known: RwLock::new(map),
            ..cluster()
        };
        assert_eq!(
            cluster.one_of_each((0..).zip([9_000, 3, 8_000, 5_000])),
            [0, 1]
        );
    }

    fn cluster() -> Cluster {
        let url = super::super::url::RedisUrl::parse("redis+cluster://h").unwrap();
        Cluster::new(url.hosts, Common::new(url.access, &RedisOptions::new()))
    }
}
