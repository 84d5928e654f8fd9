//! Reads master secrets from a file or an environment variable, also while the server runs.

use std::{
    env, fs,
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

use super::{
    ConfigError,
    secret_source_error::{DIGITS, Fault, SecretSourceError},
};
use crate::{
    codec::hex,
    dialect::secrets::{Content, Demands, Relisted, Secrets, Source},
    exposed::warn_if_open_to_all,
    trace,
};

/// The longest raw secret in a file, in bytes.
const LONGEST: usize = 4_096;

/// The longest list, in bytes, with its comments.
const LONGEST_LIST: usize = 64 * 1024;

impl Secrets {
    /// Reads a ring from a file. The file holds one of two things:
    ///
    /// - One secret: 32 to 4,096 random bytes as they are. Make it once, with
    ///   `(umask 077; head -c 32 /dev/urandom > master-secret)`.
    /// - A list of secrets in hex, each of 64 digits on a line of its own. The first mints, and all
    ///   verify. Text after `#` is a comment. `(umask 077; openssl rand -hex 32 >> master-secret)`
    ///   begins a list, and adds a secret at its end.
    ///
    /// Keep the file: it must be the same on every replica and after every restart. Only a list can
    /// be rotated, see [`reload`](Self::reload). This makes a list of a raw secret of 32 bytes, and
    /// changes no key: `(umask 077; (od -An -v -tx1 master-secret | tr -d ' \n'; echo) >
    /// master-secret.new) && mv master-secret.new master-secret`. A longer secret can only be in a
    /// [list that you pass](Self::from_list).
    ///
    /// Logs a warning if every user of the machine may read the file.
    ///
    /// # Errors
    ///
    /// Returns a [`SecretSourceError`] that names the path. It says that the file is not a regular
    /// file, cannot be read, is too short or too long, is all zeros, or is no list in hex.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SecretSourceError> {
        Self::from_source(&Source::File(path.as_ref().to_owned()))
    }

    /// Reads a ring from an environment variable. It holds a list of secrets as in
    /// [`from_file`](Self::from_file), with commas or white space between them. The first mints,
    /// and all verify.
    ///
    /// The environment of a running process does not change. So restart every replica for each step
    /// of a rotation. Programs that this one starts inherit the variable: a file is safer.
    ///
    /// # Errors
    ///
    /// Returns a [`SecretSourceError`] that names the variable. It says that the variable is not
    /// set, or is no list in hex, or that a secret is all zeros.
    pub fn from_env(variable: impl Into<String>) -> Result<Self, SecretSourceError> {
        Self::from_source(&Source::Variable(variable.into()))
    }

    fn from_source(source: &Source) -> Result<Self, SecretSourceError> {
        read(source)
            .and_then(|content| Self::read(content, source.clone()).map_err(Fault::Unfit))
            .map_err(|fault| SecretSourceError::new(source, fault))
    }

    /// Reads the file again, and returns whether its first secret mints now. Call it on every
    /// replica after each change of the file, for example on `SIGHUP`. It blocks while it reads.
    ///
    /// From then on the ring holds what the file lists, and nothing else. What was minted with a
    /// secret that is no longer listed is refused. Two rules protect what was sold:
    ///
    /// - If the first secret is new to this process, other replicas may not know it either. So it
    ///   only verifies, and the secret that minted before still mints (`Ok(false)`, and the log says
    ///   so). It mints after the next reload. If every secret is added at the end first, this does
    ///   not happen.
    /// - The secret that mints now cannot be removed: that is [`SecretError::Minting`] within the
    ///   error. Mint with another one first. To give up a stolen secret at once, restart every
    ///   replica with a file that does not list it.
    ///
    /// Replace the file with `mv`, so that no reload reads half of it. If you reload by a timer, wait
    /// between two steps of a rotation until every replica has reloaded.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("master-secret");
    /// use std::fs;
    /// use tower_x402::Secrets;
    ///
    /// let (old, new) = (Secrets::generate()?, Secrets::generate()?);
    /// fs::write(&path, format!("{old}\n"))?;
    /// let secrets = Secrets::from_file(&path)?; // a clone goes to PaywallBuilder::secrets
    ///
    /// fs::write(&path, format!("{old}\n{new}\n"))?; // 1. on every replica, then
    /// secrets.reload()?; // on every replica
    /// fs::write(&path, format!("{new}\n{old}\n"))?; // 2. the new one mints
    /// assert!(secrets.reload()?);
    /// fs::write(&path, format!("{new}\n"))?; // 3. when every token of the old one has expired
    /// secrets.reload()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns a [`SecretSourceError`], also if the paywalls that use this ring refuse one of the
    /// secrets, or if the ring was not read from a file. The ring then stays as it was, and the log
    /// says why.
    ///
    /// [`SecretError::Minting`]: crate::SecretError::Minting
    pub fn reload(&self) -> Result<bool, SecretSourceError> {
        match self.reread() {
            Ok((source, relisted)) => {
                log(source, &relisted);
                Ok(relisted.first_mints)
            }
            Err(error) => {
                trace::warn(format_args!(
                    "the master secrets stay as they were, because {error}"
                ));
                Err(error)
            }
        }
    }

    fn reread(&self) -> Result<(&Source, Relisted), SecretSourceError> {
        let source = self.source().ok_or(SecretSourceError::NO_SOURCE)?;
        let _alone = self.begin_reload();
        let relisted = read(source)
            .and_then(|content| self.replace(content).map_err(Fault::Unfit))
            .map_err(|fault| SecretSourceError::new(source, fault))?;
        Ok((source, relisted))
    }

    /// Returns a new random secret as 64 hex digits: a line of a list, as `openssl rand -hex 32`
    /// prints it.
    ///
    /// # Errors
    ///
    /// If the system has no randomness.
    pub fn generate() -> io::Result<String> {
        let mut secret = Zeroizing::new([0; DIGITS / 2]);
        getrandom::fill(&mut *secret).map_err(io::Error::other)?;
        Ok(hex::encode(secret.as_slice()))
    }
}

fn log(source: &Source, relisted: &Relisted) {
    let Relisted {
        held,
        added,
        removed,
        has_turned,
        first_mints,
    } = *relisted;
    if added + removed > 0 || has_turned {
        let mints = if has_turned {
            ", and another one mints"
        } else {
            ""
        };
        trace::info(format_args!(
            "read {source} again: {held} master secrets verify, {added} of them are new, {removed} are removed{mints}"
        ));
    }
    if !first_mints {
        trace::warn(format_args!(
            "the first master secret in {source} is new to this process, so it only verifies, and mints after the next reload: reload \
             every replica before that; a new secret belongs at the end of the list"
        ));
    }
}

fn read(source: &Source) -> Result<Content, Fault> {
    match source {
        Source::File(path) => content_of(&read_file(path)?),
        Source::Variable(name) => {
            let text = env::var_os(name).ok_or(Fault::Unset)?;
            let text = Zeroizing::new(text.into_encoded_bytes());
            listed(&text)
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
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
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_LIST + 1));
    let file = fs::File::open(path).map_err(Fault::Unreadable)?;
    file.take(LONGEST_LIST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(Fault::Unreadable)?;
    Ok(bytes)
}

fn content_of(bytes: &[u8]) -> Result<Content, Fault> {
    if is_list(bytes) {
        return listed(bytes);
    }
    if bytes.len() > LONGEST {
        return Err(Fault::TooLong(LONGEST));
    }
    if ends_with_digits(bytes) {
        return Err(Fault::Mixed);
    }
    // Copied at its own length, because the buffer is much longer.
    Ok(Content {
        secrets: vec![Zeroizing::new(bytes.to_vec())],
        is_list: false,
    })
}

/// Returns whether a file is a list: text in which a word begins with 32 hex digits. Random bytes
/// are never text.
fn is_list(bytes: &[u8]) -> bool {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    bytes.iter().all(is_text) && words(bytes).any(|word| digits(word) >= DIGITS / 2)
}

/// Returns whether a line of a list was added to raw bytes. Together they would be a new secret.
fn ends_with_digits(bytes: &[u8]) -> bool {
    let line = bytes.trim_ascii_end().iter().rev();
    line.take_while(|byte| byte.is_ascii_hexdigit()).count() >= DIGITS
}

fn digits(word: &[u8]) -> usize {
    let digits = word.iter().take_while(|byte| byte.is_ascii_hexdigit());
    digits.count()
}

fn listed(text: &[u8]) -> Result<Content, Fault> {
    if text.len() > LONGEST_LIST {
        return Err(Fault::TooLong(LONGEST_LIST));
    }
    let mut secrets = Vec::new();
    for (at, word) in words(text).enumerate() {
        let decoded =
            Zeroizing::new(hex::decode_any_case::<{ DIGITS / 2 }>(word).ok_or_else(|| {
                Fault::Word {
                    number: at + 1,
                    digits: (digits(word) == word.len()).then_some(word.len()),
                }
            })?);
        secrets.push(Zeroizing::new(decoded.to_vec()));
    }
    Ok(Content {
        secrets,
        is_list: true,
    })
}

/// Returns what stands between commas and white space, without comments.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    let without_comments = lines.filter_map(|line| line.split(|byte| *byte == b'#').next());
    without_comments
        .flat_map(|line| line.split(|byte| byte.is_ascii_whitespace() || *byte == b','))
        .filter(|word| !word.is_empty())
}

/// Checks that all secrets of the ring meet a paywall's demands.
pub(in crate::server) fn require(secrets: &Secrets, demands: Demands) -> Result<(), ConfigError> {
    secrets.require(demands).map_err(|unfit| {
        let error = unfit.error;
        match secrets.source().filter(|_| unfit.place.is_some()) {
            Some(source) => {
                ConfigError::new(SecretSourceError::new(source, Fault::Unfit(unfit)).to_string())
            }
            None => ConfigError::new(error.to_string()),
        }
    })
}
