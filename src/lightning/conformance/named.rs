//! Names the suite and the fault in the panic of a check.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
};

/// Runs checks. If one panics with a text, this panics with the same text after the name of the suite.
pub(super) async fn named(suite: &str, checks: impl Future<Output = ()>) {
    let mut checks = pin!(checks);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| checks.as_mut().poll(context)));
        polled.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            match text.or_else(|| panic.downcast_ref::<&str>().copied()) {
                Some(text) => panic!("conformance::{suite}: {text}"),
                None => resume_unwind(panic),
            }
        })
    })
    .await;
}
