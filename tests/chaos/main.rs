//! Server processes that share one store are killed, and so is the store, while clients pay.
//! Afterwards nothing was served beyond what was paid for, and nothing that was paid for is lost.
//!
//! A short run is part of the tests. `scripts/chaos` makes a run of any size. Both end after a
//! number of payments or after some time: what is killed is killed while real processes run.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod audit;
mod book;
#[path = "../flow/buyer.rs"]
mod buyer;
#[path = "../stores/child.rs"]
#[allow(dead_code)]
mod child;
#[path = "../fixtures/cluster/mod.rs"]
#[allow(dead_code)]
mod cluster;
mod dice;
mod faulty;
mod havoc;
mod history;
mod options;
#[path = "../postgres/server.rs"]
#[allow(dead_code)]
mod postgres;
#[path = "../redis/server.rs"]
#[allow(dead_code)]
mod redis;
mod shopper;
mod store;
mod table;
mod world;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};
use tower_x402::replay::ReplayStore;

use self::{
    cluster::Task,
    faulty::{Fault, Faulty},
    options::{Engine, Options},
    store::StoreServer,
    table::Table,
    world::World,
};

/// How often a long run says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// One of how many uses may be gone with its process, at most. In a short run about one of a hundred is.
const SHARE_THAT_DIED: u64 = 10;

/// The tests that are a server, in a process of its own.
const SERVER: &str = "a_server_of_the_cluster";
const FORGETFUL_SERVER: &str = "a_server_whose_store_forgets";
const TWIN_SERVER: &str = "a_server_whose_store_has_a_twin";

#[test]
fn a_server_of_the_cluster() {
    serve(|store| store);
}

#[test]
fn a_server_whose_store_forgets() {
    let fault = Fault::Forgetful;
    serve(|store| Arc::new(Faulty { store, fault }));
}

#[test]
fn a_server_whose_store_has_a_twin() {
    let fault = Fault::Twin;
    serve(|store| Arc::new(Faulty { store, fault }));
}

/// Serves if this process is to be a server. In the process of the tests there is nothing to do.
fn serve(wrap: impl FnOnce(Arc<dyn ReplayStore>) -> Arc<dyn ReplayStore>) {
    if let Some(task) = Task::of_this_process() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(task.serve(wrap)).unwrap();
    }
}

#[test]
fn nothing_is_served_beyond_its_uses_and_nothing_paid_is_lost_when_processes_and_store_die() {
    let options = Options::of_script().unwrap_or_else(|| Options::short(Engine::Redis));
    if let Some(table) = run(options) {
        check(&table);
    }
}

#[track_caller]
fn check(table: &Table) {
    let all = table.all();
    assert_eq!((all.beyond, all.lost), (0, 0), "{table}");
    assert_eq!(table.unanswered, 0, "{table}");
    // A store that loses the use of each broken request would show here.
    let died = all.died_granted + all.died_releasing;
    assert!(died * SHARE_THAT_DIED <= all.bought, "{table}");
    assert_eq!(
        all.bought,
        all.served + all.died_granted + all.died_releasing,
        "{table}"
    );
}

#[test]
fn the_same_holds_on_postgresql() {
    let options = Options {
        payments: 300,
        ..Options::short(Engine::Postgres)
    };
    if let Some(table) = run(options) {
        check(&table);
    }
}

#[test]
fn what_two_stores_that_pass_for_one_serve_twice_is_counted() {
    let options = Options {
        processes: 2,
        payments: 100,
        havoc: false,
        ..Options::short(Engine::Twins)
    };
    let table = run(options).unwrap();
    assert!(table.all().beyond > 0, "{table}");
}

#[test]
fn what_a_store_loses_is_counted() {
    let options = Options {
        processes: 1,
        payments: 100,
        havoc: false,
        ..Options::short(Engine::Forgetful)
    };
    let table = run(options).unwrap();
    let all = table.all();
    assert!(all.lost > 0 && all.died_granted == 0, "{table}");
}

/// Makes a run, and prints its table. Returns `None` if the store's program is not installed.
fn run(options: Options) -> Option<Table> {
    let store = StoreServer::start(options.store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let table = runtime.block_on(live(options, store));
    println!("{table}");
    Some(table)
}

async fn live(options: Options, store: StoreServer) -> Table {
    println!("seed {}", options.seed);
    let world = Arc::new(World::new(options, store.url()).await);
    // Dropping these ends them.
    let mut processes = JoinSet::new();
    for place in 0..world.options.processes {
        processes.spawn(havoc::keep_process(world.clone(), place));
    }
    until_all_run(&world).await;
    let start = Instant::now();
    let breaking = tokio::spawn(havoc::break_store(world.clone(), store));
    let bought = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for client in 0..world.options.clients as u64 {
        clients.spawn(shopper::shop(world.clone(), client, bought.clone()));
    }
    let progress = tokio::spawn(say_progress(world.clone()));
    let over = sleep(world.options.time);
    tokio::select! {
        () = over => bought.store(u64::MAX / 2, std::sync::atomic::Ordering::Relaxed),
        () = has_ended(&mut clients) => {}
    }
    let took = start.elapsed();
    world.calm.send_replace(true);
    let store = breaking.await.unwrap();
    has_ended(&mut clients).await;
    until_all_run(&world).await;
    let sums = audit::audit(&world).await;
    let ended = world.history.ended();
    assert!(ended.is_empty(), "processes ended by themselves: {ended:?}");
    progress.abort();
    // It ran until here.
    drop(store);
    Table::new(&world, took, sums)
}

/// Waits for all clients. If one panicked, this does, too.
async fn has_ended(clients: &mut JoinSet<()>) {
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
}

/// Says from time to time how far it is.
async fn say_progress(world: Arc<World>) {
    loop {
        sleep(PROGRESS).await;
        eprintln!("{}", world.book.in_words());
    }
}

async fn until_all_run(world: &World) {
    while world.balancer.running() < world.options.processes {
        let ended = world.history.ended();
        assert!(ended.is_empty(), "processes ended by themselves: {ended:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
