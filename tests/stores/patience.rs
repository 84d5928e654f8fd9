//! Asking again and again, for a while at most: a busy machine takes its time, and a test that
//! waits in vain must fail.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks until there is an answer.
pub(crate) async fn answered<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let given_up = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < given_up, "waited in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until a server has come so far.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let given_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < given_up, "waited in vain: {what}");
        thread::sleep(PAUSE);
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);
