//! The master secret of the examples: a new one for each run, in a file of a temporary folder. A
//! server keeps one file, made once by hand:
//! `(umask 077; head -c 32 /dev/urandom > master-secret)`.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Writes 32 random bytes to a new file of this name, which only its owner can read, and returns
/// its path.
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
