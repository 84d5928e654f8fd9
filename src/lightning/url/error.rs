use std::{error::Error, fmt, sync::Arc};

/// The reason why a node could not be connected.
///
/// The text names what is wrong (a field of the URL, a file, a host, a permission) and how to fix
/// it. It never contains a secret.
#[derive(Clone)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kinds of [`ConnectError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The node's certificate is not trusted, has expired, or is for another host.
    Certificate,
    /// The URL needs a feature of this crate that is not enabled.
    Feature,
    /// A file or an environment variable cannot be read, or does not hold what is expected.
    File,
    /// The node gave an answer that cannot be used, or cannot work at present.
    Node,
    /// The credential lacks a right.
    Permission,
    /// The node did not answer in time, or cannot be reached.
    Unreachable,
    /// The URL or a value of a builder is wrong.
    Url,
}

impl ConnectError {
    pub(crate) fn new(kind: ConnectErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            source: None,
        }
    }

    pub(crate) fn url(text: impl Into<String>) -> Self {
        Self::new(ConnectErrorKind::Url, text)
    }

    /// Adds the cause. Its text must not contain a secret, because `Display` prints it.
    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Returns the kind of error.
    #[must_use]
    pub const fn kind(&self) -> ConnectErrorKind {
        self.kind
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.source
            .as_ref()
            .map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectError({:?}: {:?})", self.kind, self.to_string())
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
