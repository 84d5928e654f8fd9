//! Reads a master secret from a file.

use std::{
    error::Error,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::ConfigError;
use crate::{
    dialect::secrets::{Demands, SecretError, Secrets},
    lightning::{shell_word, warn_if_open_to_all},
};

/// The longest secret that is read from a file, in bytes.
const LONGEST: u64 = 4_096;

impl Secrets {
    /// Reads a ring of one secret from a file: 32 to 4,096 random bytes as they are, not hex or
    /// base64. Make it once, with `(umask 077; head -c 32 /dev/urandom > master-secret)`, and keep
    /// it: it must be the same on every replica and after every restart.
    ///
    /// Logs a warning if every user of the machine may read the file.
    ///
    /// # Errors
    ///
    /// Returns a [`SecretFileError`] that names the path. It says that the file is not a regular
    /// file, cannot be read, is too short or too long, or is all zeros.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SecretFileError> {
        let path = path.as_ref();
        read(path).map_err(|fault| SecretFileError {
            path: path.to_owned(),
            fault,
        })
    }
}

fn read(path: &Path) -> Result<Secrets, Fault> {
    // Checked before opening: opening a pipe would wait forever. A device would give another secret
    // at each start.
    let metadata = fs::metadata(path).map_err(Fault::Unreadable)?;
    if metadata.is_dir() {
        return Err(Fault::Folder);
    }
    if !metadata.is_file() {
        return Err(Fault::NoFile);
    }
    warn_if_open_to_all("master secret", path, &metadata);
    // Allocated at full length, so that growing leaves no copy behind.
    let mut secret = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    let file = fs::File::open(path).map_err(Fault::Unreadable)?;
    file.take(LONGEST + 1)
        .read_to_end(&mut secret)
        .map_err(Fault::Unreadable)?;
    if secret.len() as u64 > LONGEST {
        return Err(Fault::TooLong);
    }
    Secrets::read(&secret, path).map_err(Fault::Unfit)
}

/// Checks that all secrets of the ring meet a paywall's demands.
pub(in crate::server) fn require(secrets: &Secrets, demands: Demands) -> Result<(), ConfigError> {
    secrets
        .require(demands)
        .map_err(|(error, file)| match file {
            Some(path) => ConfigError::new(
                SecretFileError {
                    path: path.to_owned(),
                    fault: Fault::Unfit(error),
                }
                .to_string(),
            ),
            None => ConfigError::new(error.to_string()),
        })
}

/// A file that does not hold a usable master secret. The text names the path, what was expected and
/// the fix. It shows nothing of the file's content.
#[derive(Debug)]
pub struct SecretFileError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Folder,
    NoFile,
    TooLong,
    Unfit(SecretError),
    Unreadable(io::Error),
}

impl fmt::Display for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the master secret `{}` ", self.path.display())?;
        let word = shell_word(&self.path);
        let make =
            |file: &str| format!("make one with `(umask 077; head -c 32 /dev/urandom > {file})`");
        let lost = "a new secret makes all that was sold before worthless";
        let random = "for an origin that is not a loopback address random bytes are expected";
        match &self.fault {
            Fault::Folder => f.write_str("is a folder: name the file in it"),
            Fault::NoFile => {
                write!(
                    f,
                    "is not a regular file and may differ at each start: {} and name that",
                    make("master-secret")
                )
            }
            Fault::TooLong => {
                write!(
                    f,
                    "has more than {LONGEST} bytes, so it is probably the wrong file: name the right one, or "
                )?;
                write!(f, "{} and name that; {lost}", make("master-secret"))
            }
            Fault::Unfit(SecretError::TooShort) => {
                write!(
                    f,
                    "is too short, so it is cut off or a password: expected at least 32 random bytes; put the old "
                )?;
                write!(f, "one back if there was one, or {}; {lost}", make(&word))
            }
            Fault::Unfit(SecretError::Zero) => {
                write!(
                    f,
                    "is all zeros, as if it was never filled: put the old one back if there was one, or "
                )?;
                write!(f, "{}; {lost}", make(&word))
            }
            Fault::Unfit(SecretError::Text) => {
                let mut bytes = self.path.clone().into_os_string();
                bytes.push(".bin");
                let bytes = shell_word(Path::new(&bytes));
                write!(
                    f,
                    "is text, and {random}: convert hex with `(umask 077; xxd -r -p {word} > {bytes})`, or base64 with "
                )?;
                write!(
                    f,
                    "`(umask 077; base64 -d {word} > {bytes})`, and name `{bytes}`, or {}; {lost}",
                    make(&word)
                )
            }
            Fault::Unfit(SecretError::Pattern) => {
                write!(
                    f,
                    "is a repeating or counting pattern, and {random}: {}; {lost}",
                    make(&word)
                )
            }
            Fault::Unfit(SecretError::Test) => {
                write!(
                    f,
                    "is for tests (`Secrets::test_secret`), and everybody can work it out: {}; {lost}",
                    make(&word)
                )
            }
            Fault::Unfit(error) => write!(f, "is refused: {error}"),
            Fault::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => {
                write!(
                    f,
                    "cannot be read: {error}; put it back if there was one, or {}; {lost}",
                    make(&word)
                )
            }
            Fault::Unreadable(error) => {
                write!(
                    f,
                    "cannot be read: {error}; let the user that runs this server read it, and nobody else"
                )
            }
        }
    }
}

impl Error for SecretFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            Fault::Unfit(error) => Some(error),
            Fault::Unreadable(error) => Some(error),
            Fault::Folder | Fault::NoFile | Fault::TooLong => None,
        }
    }
}
