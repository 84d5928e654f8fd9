//! What the paywalls that use a ring require of its secrets.

use std::{collections::HashSet, sync::LazyLock};

use sha2::Digest as _;

use super::{
    secret_error::SecretError,
    strength::{self, Weakness},
};

/// What the paywalls that use a ring require of every secret in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demands {
    /// It can come from a random source, because other machines can reach a paywall.
    pub(crate) strong: bool,
    /// It is not one of `Secrets::test_secret`, because a paywall earns real money.
    pub(crate) unknown: bool,
}

impl Demands {
    /// Returns both demands together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            strong: self.strong || other.strong,
            unknown: self.unknown || other.unknown,
        }
    }

    pub(super) fn check(self, secret: &[u8]) -> Result<(), SecretError> {
        if self.unknown && is_for_tests(secret) {
            return Err(SecretError::Test);
        }
        if self.strong {
            strength::check(secret).map_err(|weakness| match weakness {
                Weakness::Pattern => SecretError::Pattern,
                Weakness::Text => SecretError::Text,
            })
        } else {
            Ok(())
        }
    }
}

/// What `Secrets::test_secret` returns.
pub(super) fn test_secret(number: u8) -> [u8; 32] {
    sha2::Sha256::new_with_prefix("a secret for tests")
        .chain_update([number])
        .finalize()
        .into()
}

/// Returns whether a secret contains one of the test secrets, at any place.
fn is_for_tests(secret: &[u8]) -> bool {
    static KNOWN: LazyLock<HashSet<[u8; 32]>> =
        LazyLock::new(|| (0..=u8::MAX).map(test_secret).collect());
    secret.windows(32).any(|part| KNOWN.contains(part))
}
