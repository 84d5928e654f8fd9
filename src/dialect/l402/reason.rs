use super::macaroon::MacaroonError;
use crate::payment::{DialectName, Refusal, RefusalKind};

/// Why an L402 credential is refused. In alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    BadExpiry,
    BadIdentifier,
    BadPreimage,
    BadServices,
    BadSignature,
    Expired,
    Malformed,
    MissingCaveat,
    PreimageCaveat,
    Revoked,
    Spent,
    ThirdPartyCaveat,
    UnknownKey,
    Unpaid,
    Unparseable,
    Widened,
    WrongAccess,
    WrongBound,
    WrongMethod,
    WrongRoute,
    WrongService,
    WrongTarget,
}

impl Reason {
    /// In the order of their definition. The last one is `WrongTarget`.
    #[cfg(test)]
    const ALL: [Self; Self::WrongTarget as usize + 1] = [
        Self::BadExpiry,
        Self::BadIdentifier,
        Self::BadPreimage,
        Self::BadServices,
        Self::BadSignature,
        Self::Expired,
        Self::Malformed,
        Self::MissingCaveat,
        Self::PreimageCaveat,
        Self::Revoked,
        Self::Spent,
        Self::ThirdPartyCaveat,
        Self::UnknownKey,
        Self::Unpaid,
        Self::Unparseable,
        Self::Widened,
        Self::WrongAccess,
        Self::WrongBound,
        Self::WrongMethod,
        Self::WrongRoute,
        Self::WrongService,
        Self::WrongTarget,
    ];

    const fn row(self) -> (&'static str, RefusalKind) {
        match self {
            Self::BadExpiry => ("bad_expiry", RefusalKind::Malformed),
            Self::BadIdentifier => ("bad_identifier", RefusalKind::Malformed),
            Self::BadPreimage => ("bad_preimage", RefusalKind::Unpaid),
            Self::BadServices => ("bad_services", RefusalKind::Malformed),
            Self::BadSignature => ("bad_signature", RefusalKind::Forged),
            Self::Expired => ("expired", RefusalKind::Expired),
            Self::Malformed => ("malformed", RefusalKind::Malformed),
            Self::MissingCaveat => ("missing_caveat", RefusalKind::WrongRequest),
            Self::PreimageCaveat => ("preimage_caveat", RefusalKind::Unpaid),
            Self::Revoked => ("revoked", RefusalKind::Revoked),
            Self::Spent => ("spent", RefusalKind::Spent),
            Self::ThirdPartyCaveat => ("third_party_caveat", RefusalKind::Malformed),
            Self::UnknownKey => ("unknown_key", RefusalKind::Forged),
            Self::Unpaid => ("unpaid", RefusalKind::Unpaid),
            Self::Unparseable => ("unparseable", RefusalKind::Malformed),
            Self::Widened => ("widened", RefusalKind::Forged),
            Self::WrongAccess => ("wrong_access", RefusalKind::WrongRequest),
            Self::WrongBound => ("wrong_bound", RefusalKind::WrongRequest),
            Self::WrongMethod => ("wrong_method", RefusalKind::WrongRequest),
            Self::WrongRoute => ("wrong_route", RefusalKind::WrongRequest),
            Self::WrongService => ("wrong_service", RefusalKind::WrongRequest),
            Self::WrongTarget => ("wrong_target", RefusalKind::WrongRequest),
        }
    }
}

impl From<MacaroonError> for Reason {
    fn from(error: MacaroonError) -> Self {
        match error {
            MacaroonError::ThirdParty => Self::ThirdPartyCaveat,
            MacaroonError::Malformed | MacaroonError::TooLong | MacaroonError::TooManyCaveats => {
                Self::Unparseable
            }
        }
    }
}

/// Returns the reason for bytes that are not a macaroon: `unparseable` or `third_party_caveat`.
impl From<MacaroonError> for Refusal {
    fn from(error: MacaroonError) -> Self {
        Reason::from(error).into()
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        let (code, kind) = reason.row();
        Self::new(DialectName::L402, kind, code)
    }
}

/// Returns every refusal of this dialect.
#[cfg(test)]
pub(crate) fn all() -> Vec<Refusal> {
    Reason::ALL.into_iter().map(Refusal::from).collect()
}
