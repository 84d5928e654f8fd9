use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

/// Returns what a suite says of a store that it must catch.
pub(crate) async fn caught(suite: impl Future<Output = ()>) -> String {
    let panic = AssertUnwindSafe(suite).catch_unwind().await;
    let panic = panic.expect_err("the suite must catch a broken store");
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap()
}
