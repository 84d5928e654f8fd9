//! A master secret in a file.

use std::{
    error::Error,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    dialect::secrets::{SecretError, Secrets},
    trace,
};

/// The longest secret that is read from a file, in bytes.
const LONGEST: u64 = 4_096;

impl Secrets {
    /// Reads a ring of one secret from a file: 32 to 4,096 random bytes as they are, not hex or base64. Make it once, with
    /// `head -c 32 /dev/urandom > master-secret`, and keep it: it must be the same on every replica and after every restart.
    ///
    /// Logs a warning if every user of the machine may read the file.
    ///
    /// # Errors
    ///
    /// A [`SecretFileError`] that names the path, if it is no regular file, cannot be read, is too short or too long, or is
    /// nothing but zeros.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SecretFileError> {
        let path = path.as_ref();
        read(path).map_err(|fault| SecretFileError { path: path.to_owned(), fault })
    }
}

fn read(path: &Path) -> Result<Secrets, Fault> {
    // Looked at before it is opened, which waits for ever at a pipe. A device would give another secret at each start.
    let metadata = fs::metadata(path).map_err(Fault::Unreadable)?;
    if !metadata.is_file() {
        return Err(Fault::NoFile);
    }
    warn_if_open(path, &metadata);
    // As long as it may become, so that no copy of it stays behind.
    let mut secret = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    let file = fs::File::open(path).map_err(Fault::Unreadable)?;
    file.take(LONGEST + 1).read_to_end(&mut secret).map_err(Fault::Unreadable)?;
    if secret.len() as u64 > LONGEST {
        return Err(Fault::TooLong);
    }
    Secrets::new(&*secret).map_err(Fault::Unfit)
}

#[cfg(unix)]
fn warn_if_open(path: &Path, metadata: &fs::Metadata) {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o007 != 0 {
        let path = path.display();
        trace::warn(format_args!("every user of this machine may use the master secret `{path}`: run `chmod 600 {path}`"));
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &Path, _: &fs::Metadata) {}

/// A file that holds no master secret. The text names the path and what was expected, and nothing of what is in the file.
#[derive(Debug)]
pub struct SecretFileError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    NoFile,
    TooLong,
    Unfit(SecretError),
    Unreadable(io::Error),
}

impl fmt::Display for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "expected 32 to {LONGEST} random bytes in `{path}`, as `head -c 32 /dev/urandom > {path}` makes them: ")?;
        match &self.fault {
            Fault::NoFile => f.write_str("it is no regular file"),
            Fault::TooLong => f.write_str("it has more"),
            Fault::Unfit(error) => error.fmt(f),
            Fault::Unreadable(error) => error.fmt(f),
        }
    }
}

impl Error for SecretFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            Fault::Unfit(error) => Some(error),
            Fault::Unreadable(error) => Some(error),
            Fault::NoFile | Fault::TooLong => None,
        }
    }
}
