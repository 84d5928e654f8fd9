//! Many processes on one store.

use std::io::{BufRead as _, BufReader};

use tokio::task::JoinSet;
use tower_x402::replay::{ReleaseReason, ReplayStore as _, UseId, UseRequest};

use crate::{GRANTED, LATER, ONCE, child, connect, consume, key, server::Server};

const PROCESSES: usize = 6;
const PAYMENTS: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_that_start_at_once_are_one_store_and_grant_each_payment_once() {
    let test =
        "processes::many_processes_that_start_at_once_are_one_store_and_grant_each_payment_once";
    if let Some(url) = child::place_of(test) {
        return take_all(url.to_str().unwrap()).await;
    }
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    let start = |_| child::command(test, &url, &[]).spawn().unwrap();
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

#[tokio::test]
async fn a_process_that_drops_its_store_and_ends_has_written_its_releases() {
    let test = "processes::a_process_that_drops_its_store_and_ends_has_written_its_releases";
    if let Some(url) = child::place_of(test) {
        let store = connect(url.to_str().unwrap()).await;
        let use_id = UseId::random().unwrap();
        let request = UseRequest::new(key(1), use_id, ONCE, LATER);
        assert_eq!(store.consume(request).await.unwrap(), GRANTED);
        store.release(key(1), use_id, ReleaseReason::NotServed);
        // Of a payment that was never used nothing stays but the use.
        store.release(key(2), use_id, ReleaseReason::NotServed);
        drop(store);
        std::process::exit(0);
    }
    let Some(server) = Server::start() else {
        return;
    };
    let status = child::command(test, server.url("s"), &[]).status();
    assert!(status.unwrap().success());
    let taken = "SELECT taken FROM s.entries WHERE get_byte(key, 0) = 112";
    assert_eq!(server.sql(taken), "0");
    let released = "SELECT count(*) FROM s.entries WHERE get_byte(key, 0) = 117";
    assert_eq!(server.sql(released), "2");
}
