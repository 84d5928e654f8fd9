//! What the store does by itself: it checks what it was answered at servers that were connected
//! anew, and marks servers that have forgotten something.

use std::time::Duration;

use tokio::{join, select, task::JoinSet, time::sleep};

use super::{engine::Engine, scripts};

/// Runs as long as the store.
pub(super) async fn upkeep(engine: &Engine) {
    let check = async {
        loop {
            engine.servers.common.news.notified().await;
            // News begin the check again, so only one runs at a time.
            while select! {
                biased;
                () = engine.servers.common.news.notified() => true,
                () = check_all(engine) => false,
            } {}
        }
    };
    let mark = async {
        loop {
            engine.loss.notified().await;
            mark_all(engine).await;
        }
    };
    join!(check, mark);
}

/// Checks that the servers have all that this process was answered, so that a loss is found before
/// somebody asks for what was lost. A server that does not answer is asked again after a pause, and
/// the others are not kept waiting.
async fn check_all(engine: &Engine) {
    let mut open = engine.floors.buckets();
    loop {
        let (mut silent, mut rest) = (Vec::new(), Vec::new());
        for bucket in open {
            let home = engine.servers.home(bucket);
            if silent.contains(&home) {
                rest.push(bucket);
            } else if engine
                .ask_bucket(&scripts::SEEN, bucket, &[])
                .await
                .is_err()
            {
                silent.push(home);
                rest.push(bucket);
            }
        }
        if rest.is_empty() || engine.floors.is_lost() {
            return;
        }
        open = rest;
        sleep(PAUSE).await;
    }
}

/// Marks all buckets, so that no process uses them any more. Repeats it until each is marked.
async fn mark_all(engine: &Engine) {
    let (servers, id) = (&engine.servers, engine.id);
    let mut open: Vec<_> = engine.layout.buckets().collect();
    loop {
        let mut marks = JoinSet::new();
        for bucket in open {
            let servers = servers.clone();
            marks.spawn(async move {
                let id = [id.to_vec()];
                let marked = servers.run(&scripts::LOST, Some(bucket), &id).await;
                marked.is_err().then_some(bucket)
            });
        }
        open = marks.join_all().await.into_iter().flatten().collect();
        if open.is_empty() {
            return;
        }
        sleep(PAUSE).await;
    }
}

const PAUSE: Duration = Duration::from_secs(1);
