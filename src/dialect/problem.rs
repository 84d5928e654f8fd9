//! The `type` of a 402's problem details: one vocabulary for all dialects, that of the `Payment`
//! authentication scheme (core draft, "Error Responses", as of -01).

use crate::payment::RefusalKind;

/// The `type` of a 402's problem details for a request without a credential.
pub const PAYMENT_REQUIRED: &str = "https://paymentauth.org/problems/payment-required";

/// The `type` of a 402's problem details for a refused credential, in any dialect.
#[must_use]
pub const fn problem_type(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::Malformed => "https://paymentauth.org/problems/malformed-credential",
        RefusalKind::Forged
        | RefusalKind::Revoked
        | RefusalKind::Spent
        | RefusalKind::Unremembered
        | RefusalKind::WrongRequest => "https://paymentauth.org/problems/invalid-challenge",
        RefusalKind::Expired => "https://paymentauth.org/problems/payment-expired",
        RefusalKind::Unpaid => "https://paymentauth.org/problems/verification-failed",
    }
}
