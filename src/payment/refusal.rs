use std::fmt;

use super::DialectName;

/// The reason why a credential was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    dialect: DialectName,
    kind: RefusalKind,
    code: &'static str,
}

impl Refusal {
    pub(crate) const fn new(dialect: DialectName, kind: RefusalKind, code: &'static str) -> Self {
        Self {
            dialect,
            kind,
            code,
        }
    }

    /// Returns the dialect of the credential.
    #[must_use]
    pub const fn dialect(&self) -> DialectName {
        self.dialect
    }

    /// Returns the kind of refusal, which is the same in all dialects.
    #[must_use]
    pub const fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// Returns the dialect's own word for the reason: x402's `errorReason`, the name of an MPP
    /// problem, or a word of this crate's for L402.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} credential refused: {}", self.dialect, self.code)
    }
}

impl std::error::Error for Refusal {}

/// The kinds of [`Refusal`], in alphabetical order.
///
/// Each dialect has finer words: [`Refusal::code`], which is the member `reason` of a 402. The page
/// [`docs::refusals`](crate::docs::refusals) lists them with their kinds, their causes, and what to
/// do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The credential is genuine, and has expired.
    Expired,
    /// This server did not issue the credential, or somebody changed it.
    Forged,
    /// The credential cannot be parsed.
    Malformed,
    /// The operator revoked the payment.
    Revoked,
    /// The credential is genuine, and all its uses are taken.
    Spent,
    /// Nothing proves the payment: the preimage is not the payment's, or the receiver says that the
    /// invoice is not settled.
    Unpaid,
    /// The payment is older than the store of spent payments, which cannot tell whether it was
    /// used.
    Unremembered,
    /// The credential is genuine, and was bought for another request.
    WrongRequest,
}

impl RefusalKind {
    /// Returns the kind in lower case with underscores, for example `wrong_request`. It is the
    /// member `kind` of a 402 and the field `kind` of the log event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Forged => "forged",
            Self::Malformed => "malformed",
            Self::Revoked => "revoked",
            Self::Spent => "spent",
            Self::Unpaid => "unpaid",
            Self::Unremembered => "unremembered",
            Self::WrongRequest => "wrong_request",
        }
    }
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
impl RefusalKind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Expired,
        Self::Forged,
        Self::Malformed,
        Self::Revoked,
        Self::Spent,
        Self::Unpaid,
        Self::Unremembered,
        Self::WrongRequest,
    ];
}
