//! Payments that go on without the caller who asked for them.

use std::time::Duration;

use tokio::time::timeout;

use super::{NodeError, NodeErrorKind, PaymentStatus};

/// Makes a payment in a task of its own: a caller that goes away must not make it forgotten. Waits
/// for the outcome as long as the caller wants to. After that the payment is in flight.
pub(crate) async fn pay(
    node: &'static str,
    wait: Duration,
    payment: impl Future<Output = Result<PaymentStatus, NodeError>> + Send + 'static,
) -> Result<PaymentStatus, NodeError> {
    match timeout(wait, tokio::spawn(payment)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(NodeError::new(NodeErrorKind::BadAnswer, node, error).maybe_paid()),
        Err(_) => Ok(PaymentStatus::InFlight),
    }
}
