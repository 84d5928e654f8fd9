//! The master secret of the examples, in a file in a temporary folder. Each run makes a new one.
//!
//! In production make the file once, by hand, and keep it:
//! `(umask 077; head -c 32 /dev/urandom > master-secret)`.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Writes 32 random bytes to a new file with this name and returns its path. Only the owner can
/// read the file.
pub(crate) fn create(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path)?.write_all(&secret)?;
    Ok(path)
}
