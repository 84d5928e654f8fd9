//! A warning for secrets in files that every user of the machine may use.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
};

use crate::trace;

/// Opens a file with a secret. Logs a warning if every user of the machine may use it.
pub(crate) fn open(what: &str, path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    warn_if_open_to_all(what, path, &file.metadata()?);
    Ok(file)
}

/// Logs a warning if every user of the machine may use this file, which holds `what`.
#[cfg(unix)]
pub(crate) fn warn_if_open_to_all(what: &str, path: &Path, metadata: &Metadata) {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.is_file() && metadata.permissions().mode() & 0o007 != 0 {
        let (path, word) = (path.display(), shell_word(path));
        trace::warn(format_args!(
            "every user of this machine may use the {what} `{path}`: run `chmod 600 {word}`"
        ));
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_if_open_to_all(_: &str, _: &Path, _: &Metadata) {}

/// Returns a path, quoted for a shell if it must be.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@%".contains(letter);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        for (path, expected) in [
            ("/etc/weather/master-secret", "/etc/weather/master-secret"),
            ("my secret", "'my secret'"),
            ("a;rm b", "'a;rm b'"),
            ("it's", "'it'\\''s'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), expected);
        }
    }
}
