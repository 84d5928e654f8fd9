//! Which problem each refusal is ([`Payment`](super), "Error Responses").
//!
//! | what is wrong | kind | `reason`, and the end of `type` | the lightning draft's own word |
//! |---|---|---|---|
//! | it cannot be read | `Malformed` | `malformed-credential` | `malformed-credential` |
//! | never issued here, changed, or without `expires` | `Forged` | `invalid-challenge` | `unknown-challenge` |
//! | bought for another method, path, query, header or body | `WrongRequest` | `invalid-challenge` | `unknown-challenge` |
//! | used up | `Spent` | `invalid-challenge` | `unknown-challenge` |
//! | withdrawn | `Revoked` | `invalid-challenge` | `unknown-challenge` |
//! | too late | `Expired` | `payment-expired` | `expired-invoice` |
//! | not this payment's preimage, or the receiver calls it unpaid | `Unpaid` | `verification-failed` | `invalid-preimage` |
//!
//! The names are the core draft's, because those of the `lightning` draft have no pages. No
//! released client reads either.

pub use crate::dialect::problem::{PAYMENT_REQUIRED, problem_type};
use crate::payment::{DialectName, Refusal, RefusalKind};

/// The refusal of an MPP credential.
pub(super) const fn refusal(kind: RefusalKind) -> Refusal {
    let code = match kind {
        RefusalKind::Malformed => "malformed-credential",
        RefusalKind::Forged
        | RefusalKind::Revoked
        | RefusalKind::Spent
        | RefusalKind::Unremembered
        | RefusalKind::WrongRequest => "invalid-challenge",
        RefusalKind::Expired => "payment-expired",
        RefusalKind::Unpaid => "verification-failed",
    };
    Refusal::new(DialectName::Mpp, kind, code)
}

/// Returns every refusal of this dialect.
#[cfg(test)]
pub(crate) fn all() -> Vec<Refusal> {
    RefusalKind::ALL.into_iter().map(refusal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_reason_name_the_same_problem() {
        for kind in RefusalKind::ALL {
            assert_eq!(
                problem_type(kind).rsplit('/').next(),
                Some(refusal(kind).code())
            );
            assert_eq!(refusal(kind).kind(), kind);
        }
    }
}
