//! Measures this crate and comparable crates in one process. Prints one line for each target: name,
//! ours, reference, ratio, target, and `ok` or `short`. Arguments select groups of rows.

mod allocations;
mod body;
mod challenge;
#[allow(dead_code)]
#[path = "../../../tests/stores/child.rs"]
mod child;
mod client;
mod durable;
mod l402;
mod layer;
mod measure;
mod mpp;
#[allow(dead_code)]
#[path = "../../../tests/postgres/server.rs"]
mod postgres_server;
#[allow(dead_code)]
#[path = "../../../tests/redis/server.rs"]
mod redis_server;
mod report;
mod server;
mod shop;
mod stores;
mod x402;

use report::Row;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() {
    let chosen: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let folder = tempfile::tempdir().expect("a folder");
    println!(
        "medians of {} rounds (body 201, durable 161, stores 41, server 1001, client 2001 and 201); the order alternates from round to round",
        measure::ROUNDS
    );
    println!(
        "{:<58} {:>12} {:>12} {:>7} {:>9}",
        "side by side in one process", "ours", "reference", "ratio", "target"
    );
    let groups: [(&str, &dyn Fn() -> Vec<Row>); 10] = [
        ("l402", &l402::rows),
        ("mpp", &mpp::rows),
        ("x402", &x402::rows),
        ("challenge", &challenge::rows),
        ("layer", &layer::rows),
        ("body", &body::rows),
        ("durable", &|| durable::rows(&runtime, folder.path())),
        ("stores", &|| stores::rows(&runtime)),
        ("server", &|| server::rows(&runtime)),
        ("client", &|| client::rows(folder.path())),
    ];
    for (name, rows) in groups {
        if chosen.is_empty() || chosen.iter().any(|word| word == name) {
            rows().iter().for_each(Row::print);
        }
    }
}
