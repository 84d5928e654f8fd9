//! Callers on other runtimes than the one that the store was opened on.

use tokio::{runtime::Runtime, select, task::yield_now};
use tower_x402::replay::{ReleaseReason, ReplayStore as _, StoreErrorKind, UseId};

use crate::{
    GRANTED, consume, key,
    patience::answered,
    patient,
    server::{Server, programs},
};

fn runtime(threads: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_runtime_that_ends_while_it_calls_stops_no_calls_of_others() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let own = runtime(2);
        let store = own.block_on(patient(&server.url("shop")));
        let caller = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        server.signal("STOP");
        caller.block_on(async {
            let sent = async {
                for _ in 0..100 {
                    yield_now().await;
                }
            };
            select! {
                biased;
                answer = consume(&store, key(1)) => panic!("a stopped server answered {answer:?}"),
                () = sent => {}
            }
        });
        drop(caller);
        server.signal("CONT");
        assert_eq!(own.block_on(consume(&store, key(2))).unwrap(), GRANTED);
    }
}

#[test]
fn connections_outlive_the_runtime_of_the_caller_who_needed_them() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let (own, caller) = (runtime(2), runtime(1));
        let store = own.block_on(patient(&server.url("shop")));
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        let mut number = 0;
        for _ in 0..8 {
            let ask = async || {
                number += 1;
                consume(&store, key(number)).await.ok()
            };
            let answer = caller.block_on(answered("the store is connected again", ask));
            assert_eq!(answer, GRANTED);
        }
        drop(caller);
        for number in 10_000..10_008 {
            let answer = own.block_on(consume(&store, key(number)));
            assert_eq!(answer.unwrap(), GRANTED);
        }
    }
}

#[test]
fn without_its_own_runtime_a_store_says_so_and_nobody_waits() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let (own, caller) = (runtime(1), runtime(1));
        let store = own.block_on(patient(&server.url("shop")));
        assert_eq!(own.block_on(consume(&store, key(1))).unwrap(), GRANTED);
        drop(own);
        for number in 2..5 {
            let answer = caller.block_on(consume(&store, key(number)));
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            assert!(error.to_string().contains("the runtime"), "{error}");
            let use_id = UseId::random().unwrap();
            store.release(key(number), use_id, ReleaseReason::NotServed);
            caller.block_on(store.flush());
        }
    }
}
