//! What can be wrong with a master secret.

use std::fmt;

/// What is wrong with a secret, or with a change of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// A master secret must have at least 32 random bytes.
    TooShort,
    /// A master secret must be random, and this one is all zeros.
    Zero,
    /// A master secret must be random bytes, and this one is text or contains much text. Hex and
    /// base64 are text too. It is accepted if every origin is a loopback address.
    Text,
    /// A master secret must be random bytes, and this one repeats itself or counts. It is accepted
    /// if every origin is a loopback address.
    Pattern,
    /// This secret is for tests (`Secrets::test_secret`), and anybody can compute it. It is refused
    /// for real money.
    Test,
    /// The ring does not hold that secret.
    Unknown,
    /// The ring mints with that secret: mint with another one before you remove it.
    Minting,
    /// The ring already holds that secret.
    Duplicate,
    /// A list of master secrets must have at least one.
    Empty,
    /// A ring holds at most 64 secrets.
    TooMany,
}

/// How to make a secret and use it.
macro_rules! make_one {
    ($fault:literal) => {
        concat!(
            $fault,
            " make one with `(umask 077; head -c 32 /dev/urandom > master-secret)` and read it with \
             .master_secret_file(\"master-secret\")"
        )
    };
}
pub(crate) use make_one;

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => make_one!("a master secret must have at least 32 random bytes, and this one has fewer:"),
            Self::Zero => make_one!("a master secret must be random, and this one is all zeros, as if it was never filled:"),
            Self::Text => make_one!(
                "for an origin that is not a loopback address a master secret must be random bytes, and this one is text, or much of \
                 it is: convert hex with `xxd -r -p` or base64 with `base64 -d`, or"
            ),
            Self::Pattern => make_one!(
                "for an origin that is not a loopback address a master secret must be random bytes, and this one repeats itself or \
                 counts:"
            ),
            Self::Test => make_one!("this master secret is for tests (`Secrets::test_secret`), and everybody can work it out:"),
            Self::Unknown => {
                "the ring does not hold that secret: it must be byte for byte the one that was added, and one that is to mint must \
                 be added first"
            }
            Self::Minting => "the ring mints with that secret: mint with another one before it is removed",
            Self::Duplicate => "the ring holds that secret already",
            Self::Empty => make_one!("no master secret is in the list:"),
            Self::TooMany => "a ring holds at most 64 master secrets: remove those whose last token has expired",
        })
    }
}

impl std::error::Error for SecretError {}
