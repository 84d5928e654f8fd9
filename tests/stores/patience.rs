//! Asking again and again, for a while at most: a busy machine takes its time, and a test that
//! waits in vain must fail.

use std::{thread, time::Instant};

use tower_x402::replay::{Consumption, StoreError, StoreErrorKind};

use crate::{PATIENCE, PAUSE};

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

/// Takes a use of what a server lost, until the store says that something is lost.
pub(crate) async fn lost(
    mut take: impl AsyncFnMut() -> Result<Consumption, StoreError>,
) -> StoreError {
    answered("the loss must be found", async || match take().await {
        Err(error) if error.kind() == StoreErrorKind::Corrupt => Some(error),
        Err(error) => {
            println!("no answer: {error}");
            None
        }
        Ok(answer) => panic!("a store that lost something answered {answer:?}"),
    })
    .await
}

/// Waits until a server has come so far.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let given_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < given_up, "waited in vain: {what}");
        thread::sleep(PAUSE);
    }
}
