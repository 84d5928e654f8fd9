//! Many processes that have one store open.

use std::{process::Command, sync::Arc};

use tokio::task::JoinSet;

use super::{
    process::Remote,
    subject::{Setup, Subject, a_key, a_use, after, each_is_granted_once, race, uses},
};
use crate::replay::{Consumption, ConsumptionKey, ReplayStore, UseRequest};

type Store = Arc<dyn ReplayStore>;

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S, others: Vec<Command>) {
    let setup = Setup::new();
    let starting: Vec<_> = others
        .into_iter()
        .map(|other| {
            let setup = setup.clone();
            tokio::task::spawn_blocking(move || Remote::start(other, &setup))
        })
        .collect();
    let here: Store = Arc::new(open(setup.clone()).await);
    let mut stores = vec![here.clone()];
    for started in starting {
        let there = started.await.expect("a process that opens the store");
        stores.push(Arc::new(there));
    }
    all_are_one_store(&stores);
    for bought in [1, 2, 7] {
        as_many_are_granted_as_were_bought(&stores, bought).await;
    }
    let here = Subject {
        store: here,
        clock: setup.clock,
    };
    a_process_that_is_killed_takes_each_use_once(stores, &here).await;
}

fn all_are_one_store(stores: &[Store]) {
    let is_same = |other: &Store| {
        (other.id(), other.created_at()) == (stores[0].id(), stores[0].created_at())
    };
    assert!(
        stores.iter().all(is_same),
        "processes that open one store at the same moment must get one id and one `created_at`"
    );
}

async fn as_many_are_granted_as_were_bought(stores: &[Store], bought: u32) {
    let handles: Vec<_> = stores.iter().collect();
    let answers = race(&handles, a_key(), bought, a_use).await;
    let what = format!("many processes raced for {bought} uses");
    each_is_granted_once(answers, bought, &what);
}

/// The last process is killed while it takes uses that the others want too.
async fn a_process_that_is_killed_takes_each_use_once(
    mut stores: Vec<Store>,
    here: &Subject<dyn ReplayStore>,
) {
    let doomed = stores.pop().expect("at least one other process");
    let keys: Vec<_> = (0..KEYS).map(|_| a_key()).collect();
    let mut takers = JoinSet::new();
    for (turn, key) in keys.iter().enumerate() {
        takers.spawn(take(doomed.clone(), *key));
        takers.spawn(take(stores[turn % stores.len()].clone(), *key));
    }
    // It ends once nobody waits for it any more, so the tasks that do are ended first.
    let mut granted = Vec::new();
    for _ in 0..KEYS {
        granted.extend(takers.join_next().await.and_then(Result::ok).flatten());
    }
    takers.shutdown().await;
    drop(doomed);
    for key in keys {
        let told = granted.iter().filter(|granted| **granted == key).count();
        let left = usize::try_from(here.drain(key, uses(1)).await).unwrap_or(usize::MAX);
        assert!(
            told + left <= 1,
            "a process was killed while others took uses; each use must be granted once"
        );
    }
}

/// Returns the key if its use was granted.
async fn take(store: Store, key: ConsumptionKey) -> Option<ConsumptionKey> {
    let request = UseRequest::new(key, a_use(), uses(1), after(3_600));
    match store.consume(request).await {
        Ok(Consumption::Granted { .. }) => Some(key),
        _ => None,
    }
}

const KEYS: usize = 200;
