use std::fmt;

use super::DialectName;

/// Why a credential was turned away.
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

    /// The dialect of the credential.
    #[must_use]
    pub const fn dialect(&self) -> DialectName {
        self.dialect
    }

    /// What was wrong, coarsely.
    #[must_use]
    pub const fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// What was wrong, in the dialect's own word: x402's `errorReason`, the name of an MPP problem,
    /// a word of the L402 vectors.
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

/// What was wrong with a credential. In alphabetical order.
///
/// The words of each dialect ([`Refusal::code`], the member `reason` of a 402) are finer. The page
/// [`docs::refusals`](crate::docs::refusals) lists them with their kinds, what caused each, and what
/// to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// It is genuine and has expired.
    Expired,
    /// This server did not issue it, or it was changed.
    Forged,
    /// It cannot be read.
    Malformed,
    /// The operator withdrew it.
    Revoked,
    /// It is genuine and was used up.
    Spent,
    /// The preimage in it is not the payment's: nothing proves that it was paid.
    Unpaid,
    /// It may have been used up before the store of spent payments was made, which cannot tell.
    Unremembered,
    /// It is genuine and was bought for another request.
    WrongRequest,
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
