use std::{env, fmt, io::Read as _, path::Path};

use zeroize::Zeroizing;

use super::{ConnectError, ConnectErrorKind};
use crate::exposed;

/// The longest secret, in bytes. A macaroon with many caveats has less than 2,000.
const LONGEST: usize = 16 * 1024;

/// A secret that gives access to a node: a password, a key or a macaroon.
///
/// It is wiped from memory when dropped. `Debug` prints `Secret(..)`, and there is no `Display`.
///
/// ```
/// use tower_x402::lightning::Secret;
///
/// assert_eq!(format!("{:?}", Secret::new("a password")), "Secret(..)");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Creates a secret from its bytes.
    #[must_use]
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self(Zeroizing::new(secret.as_ref().to_vec()))
    }

    /// Reads a secret from a file. White space at both ends of a text is not part of it.
    ///
    /// Logs a warning if every user of the machine may use the file.
    ///
    /// # Errors
    ///
    /// [`ConnectErrorKind::File`] if the file cannot be read, is empty, or has more than 16 KiB.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        let path = path.as_ref();
        let wrong = |what: &str| {
            ConnectError::new(
                ConnectErrorKind::File,
                format!("the file {} {what}", path.display()),
            )
        };
        // One buffer of the final size, so that no copy is left behind when it grows.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        exposed::open("credential", path)
            .and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| wrong(unreadable(path)).because(error))?;
        match bytes.len() {
            0 => Err(wrong("is empty: it must hold the secret")),
            length if length > LONGEST => Err(wrong("is too long: expected at most 16 KiB")),
            _ => Ok(Self(bytes)),
        }
    }

    /// Reads a secret from an environment variable. White space at both ends is not part of it.
    ///
    /// # Errors
    ///
    /// [`ConnectErrorKind::File`] if the variable is not set or is empty.
    pub fn from_env(name: &str) -> Result<Self, ConnectError> {
        let value = env::var_os(name)
            .map(|value| Zeroizing::new(value.into_encoded_bytes()))
            .filter(|value| !value.is_empty());
        value.map(Self).ok_or_else(|| {
            ConnectError::new(
                ConnectErrorKind::File,
                format!(
                    "the environment variable {name} is not set or empty: it must hold the secret"
                ),
            )
        })
    }

    /// Returns the bytes, exactly as they were read.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the secret as a text of visible ASCII characters, without white space at both ends.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.0.trim_ascii())
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
    }
}

/// Returns why the file of a credential or certificate cannot be read, and what to do.
pub(crate) fn unreadable(path: &Path) -> &'static str {
    if path.starts_with("~") {
        "cannot be read: write the path in full, because ~ is not expanded"
    } else {
        "cannot be read: check its path and its permissions"
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_of_a_file_is_its_bytes_or_its_text_without_the_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "  0123abc\n").unwrap();
        let secret = Secret::from_file(&path).unwrap();
        assert_eq!(secret.text(), Some("0123abc"));
        assert_eq!(secret.bytes(), b"  0123abc\n");
        fs::write(&path, [0x02, 0x01, 0x0a]).unwrap();
        let secret = Secret::from_file(&path).unwrap();
        assert_eq!(secret.bytes(), [0x02, 0x01, 0x0a]);
        assert_eq!(secret.text(), None);
        assert_eq!(Secret::new("two words").text(), None);
    }

    #[test]
    fn a_file_or_variable_without_a_secret_is_named_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let fails = |part: &str| {
            let error = Secret::from_file(&path).unwrap_err();
            assert_eq!(error.kind(), ConnectErrorKind::File);
            let text = error.to_string();
            assert!(
                text.contains(path.to_str().unwrap()) && text.contains(part),
                "{text}"
            );
        };
        fails("cannot be read");
        fs::write(&path, "").unwrap();
        fails("is empty");
        fs::write(&path, "x".repeat(LONGEST + 1)).unwrap();
        fails("is too long");
        for home in ["~", "~/key"] {
            let error = Secret::from_file(home).unwrap_err().to_string();
            assert!(error.contains("because ~ is not expanded"), "{error}");
        }
        let error = Secret::from_env("X402_A_VARIABLE_THAT_IS_NOT_SET").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("X402_A_VARIABLE_THAT_IS_NOT_SET"),
            "{error}"
        );
    }
}
