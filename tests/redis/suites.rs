//! The conformance suites.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_x402::replay::{
    Durability, RedisOptions, RedisStore, ReplayStore as _,
    conformance::{self, Setup},
};

use crate::server::{DURABLE, Server, programs};

/// Opens the stores of a suite, each after all that was asked of earlier ones is carried out: a
/// release is carried out in the store's own time, and a suite drops one store to open another.
#[derive(Default)]
pub(crate) struct Opener {
    opened: Mutex<Vec<Arc<RedisStore>>>,
}

impl Opener {
    pub(crate) fn all_are(&self, durability: Durability) {
        let stores = self.opened.lock().unwrap();
        assert!(stores.iter().all(|store| store.durability() == durability));
    }

    pub(crate) async fn open(&self, url: &str, setup: Setup) -> Arc<RedisStore> {
        let earlier: Vec<_> = self.opened.lock().unwrap().clone();
        for store in &earlier {
            store.flush().await;
        }
        let options = RedisOptions::new()
            .clock(setup.clock)
            .time_limit(Duration::from_secs(30));
        let store = Arc::new(RedisStore::connect_with(url, options).await.unwrap());
        self.opened.lock().unwrap().push(store.clone());
        store
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_durable_server_keeps_the_contract() {
    for program in programs() {
        let (server, opener) = (Server::start(program, &DURABLE), Opener::default());
        let open = async |setup: Setup| opener.open(&server.url(setup.name), setup).await;
        conformance::replay_store(open).await;
        opener.all_are(Durability::Durable);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_durable_server_keeps_records() {
    for program in programs() {
        let (server, opener) = (Server::start(program, &DURABLE), Opener::default());
        conformance::records(
            async |setup: Setup| opener.open(&server.url(setup.name), setup).await,
            true,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_handles_of_a_server_are_one_store() {
    for program in programs() {
        let (server, opener) = (Server::start(program, &DURABLE), Opener::default());
        conformance::two_handles(async |setup: Setup| {
            opener.open(&server.url(setup.name), setup).await
        })
        .await;
    }
}

const PROCESSES: &str = "suites::two_processes_are_one_store";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_are_one_store() {
    let opener = Opener::default();
    if let Ok(port) = std::env::var("X402_REDIS_CHILD") {
        let url = |name| format!("redis://127.0.0.1:{port}?name={name}");
        let open = async |setup: Setup| opener.open(&url(setup.name), setup).await;
        assert!(
            conformance::other_process(open).await,
            "started by the suite"
        );
        return;
    }
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        let mut other = Command::new(std::env::current_exe().unwrap());
        other
            .args([PROCESSES, "--exact", "--nocapture"])
            .env("X402_REDIS_CHILD", server.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let open = async |setup: Setup| opener.open(&server.url(setup.name), setup).await;
        conformance::two_processes(open, other).await;
    }
}
