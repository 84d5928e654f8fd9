//! What happens to a request, step by step. Read [`gate`] first: it lists the steps in order.

pub(super) mod admission;
mod again;
pub(super) mod answers;
pub(super) mod aside;
mod budget;
mod claim;
pub(super) mod confirm;
mod credential;
pub(super) mod decision;
pub(super) mod gate;
mod grant;
pub(super) mod issue;
pub(super) mod keeping;
pub(super) mod pending;
pub(super) mod quote;
mod reading;
pub(super) mod redeem;
pub(super) mod settle;
mod unpaid;

use std::time::Duration;

/// Waits for a call. Returns `None` if it takes longer than `time`.
async fn within<T>(time: Duration, call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, call).await.ok()
}
