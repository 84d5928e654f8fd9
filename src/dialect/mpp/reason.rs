//! Which problem each refusal is ([`Payment`](super), "Error Responses").
//!
//! | what is wrong | kind | `reason`, and the end of `type` | the lightning draft's own word |
//! |---|---|---|---|
//! | the credential cannot be read | `Malformed` | `malformed-credential` | `malformed-credential` |
//! | this server did not issue the challenge, or a member of it was changed or is missing | `Forged` | `invalid-challenge` | `unknown-challenge` |
//! | the payment was for another method, path, query, header or body | `WrongRequest` | `invalid-challenge` | `unknown-challenge` |
//! | the payment is used up | `Spent` | `invalid-challenge` | `unknown-challenge` |
//! | the operator revoked the payment | `Revoked` | `invalid-challenge` | `unknown-challenge` |
//! | the challenge has expired | `Expired` | `payment-expired` | `expired-invoice` |
//! | the preimage is of another payment, or the receiver says that the invoice is not paid | `Unpaid` | `verification-failed` | `invalid-preimage` |
//!
//! This crate uses the names of the core draft, because the URIs of the `lightning` draft's names
//! lead to no page. No known client reads either kind.

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
