//! The conformance suites.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_x402::replay::{
    Durability, RedisOptions, RedisStore, ReplayStore as _,
    conformance::{self, Setup},
};

use crate::{
    child,
    server::{DURABLE, Server, programs},
};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handles_whose_clocks_differ_are_one_store() {
    for program in programs() {
        let (server, opener) = (Server::start(program, &DURABLE), Opener::default());
        conformance::clocks_that_differ(async |setup: Setup| {
            opener.open(&server.url(setup.name), setup).await
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_and_starts_again_grants_nothing_twice() {
    for program in programs() {
        let (mut server, opener) = (Server::start(program, &DURABLE), Opener::default());
        let port = server.port;
        let url = |name| format!("redis://127.0.0.1:{port}?name={name}");
        conformance::interrupted(
            async |setup: Setup| opener.open(&url(setup.name), setup).await,
            async || {
                for _ in 0..2 {
                    server.kill();
                    server.start_again();
                }
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_are_one_store() {
    let test = "suites::two_processes_are_one_store";
    if is_other_process(test).await {
        return;
    }
    for program in programs() {
        let (server, opener) = (Server::start(program, &DURABLE), Opener::default());
        let open = async |setup: Setup| opener.open(&server.url(setup.name), setup).await;
        conformance::two_processes(open, child::command(test, server.url(""), &[])).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_are_one_store() {
    let test = "suites::many_processes_are_one_store";
    if is_other_process(test).await {
        return;
    }
    for program in programs() {
        let (server, opener) = (Server::start(program, &DURABLE), Opener::default());
        let open = async |setup: Setup| opener.open(&server.url(setup.name), setup).await;
        let others = (0..5).map(|_| child::command(test, server.url(""), &[]));
        conformance::many_processes(open, others).await;
    }
}

/// Returns whether this is a process that a test started on a URL without a store's name, after it
/// did what it was started for.
pub(crate) async fn is_other_process(test: &str) -> bool {
    let Some(url) = child::place_of(test) else {
        return false;
    };
    let (url, opener) = (url.into_string().unwrap(), Opener::default());
    let open = async |setup: Setup| opener.open(&format!("{url}{}", setup.name), setup).await;
    assert!(
        conformance::other_process(open).await,
        "started by the suite"
    );
    true
}
