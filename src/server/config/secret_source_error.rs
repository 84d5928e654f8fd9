//! Why a file or an environment variable gives no master secrets.

use std::{error::Error, fmt, io, path::Path};

use crate::{
    dialect::secrets::{Place, SecretError, Source, Unfit},
    exposed::shell_word,
};

/// The digits of a secret in a list.
pub(super) const DIGITS: usize = 64;

const RANDOM: &str = "for an origin that is not a loopback address random bytes are expected";

/// A file or an environment variable that does not hold usable master secrets. The text names it,
/// what was expected and the fix. It shows nothing of the content.
#[derive(Debug)]
pub struct SecretSourceError {
    /// `None` if a ring has no source.
    source: Option<Source>,
    fault: Fault,
}

#[derive(Debug)]
pub(super) enum Fault {
    Folder,
    Mixed,
    NoFile,
    /// It has more bytes than this.
    TooLong(usize),
    Unfit(Unfit),
    Unreadable(io::Error),
    Unset,
    /// A word of a list that is not 64 hex digits, with its length if it is hex. The first is 1.
    Word {
        number: usize,
        digits: Option<usize>,
    },
}

impl SecretSourceError {
    pub(super) const NO_SOURCE: Self = Self {
        source: None,
        fault: Fault::Unset,
    };

    pub(super) fn new(source: &Source, fault: Fault) -> Self {
        Self {
            source: Some(source.clone()),
            fault,
        }
    }
}

impl fmt::Display for SecretSourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            None => f.write_str(
                "this ring of master secrets was not read from a file: change it with add, mint_with and remove, or create it with \
                 Secrets::from_file",
            ),
            Some(source) => self.fault.write(source, f),
        }
    }
}

impl Fault {
    fn write(&self, source: &Source, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (source, self) {
            (_, Self::Word { number, digits }) => write_word(source, (*number, *digits), f),
            (_, Self::Unfit(unfit)) if unfit.place != Some(Place::Whole) => {
                write_listed(source, unfit, f)
            }
            (Source::File(path), _) => self.write_file(path, f),
            (Source::Variable(_), Self::TooLong(most)) => write!(
                f,
                "{source} has more than {most} bytes, so it is probably the wrong variable: {EXPECTED}"
            ),
            (Source::Variable(_), _) => write!(
                f,
                "{source} is not set: {EXPECTED}; put the old secrets back if there were some, because {LOST}"
            ),
        }
    }

    fn write_file(&self, path: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the master secret `{}` ", path.display())?;
        let word = shell_word(path);
        let make =
            |file: &str| format!("make one with `(umask 077; head -c 32 /dev/urandom > {file})`");
        match self {
            Self::Folder => f.write_str("is a folder: name the file in it"),
            Self::Mixed => write!(
                f,
                "is raw bytes with a line of hex digits after them: remove that line, and make a list of the raw secret before you add \
                 another one, with `(umask 077; (od -An -v -tx1 {word} | tr -d ' \\n'; echo) > {word}.new) && mv {word}.new {word}`"
            ),
            Self::NoFile => write!(
                f,
                "is not a regular file and may differ at each start: {} and name that",
                make("master-secret")
            ),
            Self::TooLong(most) => write!(
                f,
                "has more than {most} bytes, so it is probably the wrong file: name the right one, or {} and name that; {LOST}",
                make("master-secret")
            ),
            Self::Unfit(unfit) => match unfit.error {
                SecretError::TooShort => write!(
                    f,
                    "is too short, so it is cut off or a password: expected at least 32 random bytes; put the old one back if there \
                     was one, or {}; {LOST}",
                    make(&word)
                ),
                SecretError::Zero => write!(
                    f,
                    "is all zeros, as if it was never filled: put the old one back if there was one, or {}; {LOST}",
                    make(&word)
                ),
                SecretError::Text => {
                    let mut bytes = path.as_os_str().to_owned();
                    bytes.push(".bin");
                    let bytes = shell_word(Path::new(&bytes));
                    write!(
                        f,
                        "is text, and {RANDOM}, or a list with {DIGITS} hex digits on each line: convert base64 with \
                         `(umask 077; base64 -d {word} > {bytes})`, and name `{bytes}`, or {}; {LOST}",
                        make(&word)
                    )
                }
                SecretError::Pattern => write!(
                    f,
                    "is a repeating or counting pattern, and {RANDOM}: {}; {LOST}",
                    make(&word)
                ),
                SecretError::Test => write!(
                    f,
                    "is for tests (`Secrets::test_secret`), and everybody can work it out: {}; {LOST}",
                    make(&word)
                ),
                error => write!(f, "is refused: {error}"),
            },
            Self::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => write!(
                f,
                "cannot be read: {error}; put it back if there was one, or {}; {LOST}",
                make(&word)
            ),
            Self::Unreadable(error) => write!(
                f,
                "cannot be read: {error}; let the user that runs this server read it, and nobody else"
            ),
            Self::Unset | Self::Word { .. } => f.write_str("is refused"),
        }
    }
}

/// What is wrong with a secret of a list, or with the list.
fn write_listed(source: &Source, unfit: &Unfit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(Place::Listed(number)) = unfit.place {
        write!(f, "master secret {number} in ")?;
    }
    write!(f, "{source} ")?;
    match unfit.error {
        SecretError::Duplicate => f.write_str("is there twice: remove one of the two"),
        SecretError::Empty => write!(
            f,
            "lists no master secret: {EXPECTED}; put the old ones back if there were some, because {LOST}"
        ),
        SecretError::Minting => f.write_str(
            "no longer has the master secret that mints now, and clients hold what it sold: put it back; first mint with another \
             secret, and remove this one when its last token has expired; to give it up at once, restart this server",
        ),
        SecretError::Pattern => write!(
            f,
            "is a repeating or counting pattern, and {RANDOM}: {MAKE}; {LOST}"
        ),
        SecretError::Test => write!(
            f,
            "is for tests (`Secrets::test_secret`), and everybody can work it out: {MAKE}; {LOST}"
        ),
        SecretError::Text => write!(
            f,
            "is text written in hex, and {RANDOM}: {MAKE}; {LOST}"
        ),
        SecretError::TooMany => f.write_str(
            "lists more than 64 master secrets: remove those whose last token has expired",
        ),
        SecretError::Zero => write!(f, "is all zeros: {MAKE}; {LOST}"),
        error => write!(f, "is refused: {error}"),
    }
}

fn write_word(
    source: &Source,
    (number, digits): (usize, Option<usize>),
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "master secret {number} in {source} ")?;
    match digits {
        Some(digits) => write!(
            f,
            "has {digits} hex digits, and {DIGITS} are expected: is it cut off, or is a line break missing?"
        )?,
        None => write!(f, "is not hex, and {DIGITS} hex digits are expected")?,
    }
    write!(
        f,
        "; put the old one back if there was one, or {MAKE}; {LOST}"
    )
}

const EXPECTED: &str = "expected secrets of 64 hex digits, the one that mints first, each made with `openssl rand -hex 32`";

const MAKE: &str = "make one with `openssl rand -hex 32`";

const LOST: &str = "a new secret makes all that was sold before worthless";

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Variable(name) => write!(f, "the environment variable `{name}`"),
        }
    }
}

impl Error for SecretSourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            Fault::Unfit(unfit) => Some(&unfit.error),
            Fault::Unreadable(error) => Some(error),
            Fault::Folder
            | Fault::Mixed
            | Fault::NoFile
            | Fault::TooLong(_)
            | Fault::Unset
            | Fault::Word { .. } => None,
        }
    }
}
