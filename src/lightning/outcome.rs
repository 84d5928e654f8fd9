//! What is known of a payment whose call has no outcome.

use super::{
    NodeError, Payer, PaymentStatus,
    rest::{CallError, Rest},
};
use crate::payment::PaymentHash;

/// Why a call that pays has no outcome.
pub(crate) enum Unpaid {
    /// The wallet answered something that cannot be true.
    BadAnswer(NodeError),
    /// No answer, or none that can be understood.
    Lost(CallError),
    /// The wallet answered that it does not pay.
    Refused(CallError),
    /// The wallet did not get the request.
    Unsent(CallError),
}

impl Unpaid {
    /// Returns the reason of a call that failed, which says nothing if the request may have arrived.
    pub(crate) fn of(error: CallError) -> Self {
        if error.is_unsent() {
            Self::Unsent(error)
        } else {
            Self::Lost(error)
        }
    }

    /// Looks the payment up, and returns its status if that is sure.
    pub(crate) async fn look_up(
        self,
        rest: &Rest,
        payer: &impl Payer,
        payment_hash: PaymentHash,
    ) -> Result<PaymentStatus, NodeError> {
        match self {
            Self::BadAnswer(error) => Err(error),
            Self::Unsent(error) => Err(rest.failed(error)),
            // It did not begin now. If the wallet knows the payment, it began earlier.
            Self::Refused(error) => match payer.lookup_payment(payment_hash).await {
                Ok(PaymentStatus::Unknown) => Err(rest.failed(error)),
                Ok(status) => Ok(status),
                Err(_) => Err(rest.failed(error).maybe_paid()),
            },
            // Only these two are sure, because the request may still arrive.
            Self::Lost(error) => match payer.lookup_payment(payment_hash).await {
                Ok(status @ (PaymentStatus::Paid { .. } | PaymentStatus::InFlight)) => Ok(status),
                _ => Err(rest.failed(error).maybe_paid()),
            },
        }
    }
}
