//! Kills processes and breaks the store, at random, until it is calm.

use std::{sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    cluster::Process,
    dice::Dice,
    store::{Fault, StoreServer},
    world::World,
};

/// Keeps a process running at a place of the balancer, and kills each after a while. Once it is
/// calm, the last one keeps running.
pub(crate) async fn keep_process(world: Arc<World>, place: usize) {
    let mut dice = Dice::new(world.options.seed, 1_000 + place as u64);
    // Each start costs time, so of many processes each lives longer.
    let longest = 4_000.max(1_500 * world.options.processes as u64);
    let arguments = [world.options.store.server(), "--exact", "--nocapture"];
    let mut is_first = true;
    loop {
        let (number, task) = world.next_task();
        // One in eight is killed while it starts.
        let dies_young = !is_first && dice.below(8) == 0;
        let (young, life) = (dice.millis(0..400), dice.millis(500..longest));
        let pause = dice.millis(0..1_000);
        is_first = false;
        let started = tokio::select! {
            started = Process::start(&arguments, &task) => started,
            () = dies_at(&world, young), if dies_young => {
                world.history.kill(number, false);
                continue;
            }
        };
        let mut process = match started {
            Ok(process) => process,
            Err(error) => {
                world.history.end(format!("{}: {error}", task.name));
                return;
            }
        };
        world.balancer.set(place, Some((number, process.address)));
        tokio::select! {
            status = process.ended() => {
                world.history.end(format!("{}: {status:?}", task.name));
                world.balancer.set(place, None);
                return;
            }
            () = dies_at(&world, life) => {
                world.history.kill(number, true);
                process.kill().await.unwrap();
                world.balancer.set(place, None);
            }
        }
        tokio::select! { () = sleep(pause) => {}, () = world.calm() => {} }
    }
}

/// Returns after this time, and never once it is calm.
async fn dies_at(world: &World, life: Duration) {
    tokio::select! {
        () = sleep(life) => {}
        () = world.calm() => std::future::pending().await,
    }
}

/// Makes the store fail, and makes it work again, until all is to be calm. Returns the store, which
/// works then.
pub(crate) async fn break_store(world: Arc<World>, mut store: StoreServer) -> StoreServer {
    let mut dice = Dice::new(world.options.seed, 1);
    loop {
        let (up, down) = (dice.millis(3_000..12_000), dice.millis(100..4_000));
        let fault = Fault::ALL[dice.below(3) as usize];
        tokio::select! { () = sleep(up) => {}, () = world.calm() => return store }
        world.history.break_down(fault);
        store = change(store, move |store| store.break_down(fault)).await;
        tokio::select! { () = sleep(down) => {}, () = world.calm() => {} }
        store = change(store, move |store| store.mend(fault)).await;
        world.history.mend();
    }
}

/// Changes the store in a thread that may block.
async fn change(
    mut store: StoreServer,
    job: impl FnOnce(&mut StoreServer) + Send + 'static,
) -> StoreServer {
    let changing = spawn_blocking(move || {
        job(&mut store);
        store
    });
    changing.await.unwrap()
}
