//! Many processes on one store.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use tokio::task::JoinSet;
use tower_x402::replay::ReplayStore as _;

use crate::{GRANTED, child, connect, consume, key, server::Server};

const URL: &str = "POSTGRES_URL";
const PROCESSES: usize = 6;
const PAYMENTS: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_that_start_at_once_are_one_store_and_grant_each_payment_once() {
    if let Ok(url) = std::env::var(URL) {
        return take_all(&url).await;
    }
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    let test =
        "processes::many_processes_that_start_at_once_are_one_store_and_grant_each_payment_once";
    let start = |_| {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process
            .env(URL, &url)
            .args([test, "--exact", "--nocapture"]);
        process.stdout(Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..PROCESSES).map(start).collect();
    let (mut ids, mut granted) = (Vec::new(), Vec::new());
    for mut process in processes {
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            match line
                .strip_prefix("> ")
                .and_then(|line| line.split_once(' '))
            {
                Some(("id", id)) => ids.push(id.to_owned()),
                Some(("granted", number)) => granted.push(number.parse::<u64>().unwrap()),
                _ => {}
            }
        }
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(ids.len(), PROCESSES);
    ids.dedup();
    assert_eq!(ids.len(), 1, "the migration must run once: {ids:?}");
    granted.sort_unstable();
    let all: Vec<_> = (0..PAYMENTS).collect();
    assert_eq!(
        granted, all,
        "each payment must be granted once, by one process"
    );
}

async fn take_all(url: &str) {
    let store = std::sync::Arc::new(connect(url).await);
    child::say(format_args!("id {:?}", store.id()));
    let mut callers = JoinSet::new();
    for number in 0..PAYMENTS {
        let store = store.clone();
        callers.spawn(async move {
            if consume(&*store, key(number)).await.unwrap() == GRANTED {
                child::say(format_args!("granted {number}"));
            }
        });
    }
    callers.join_all().await;
}
