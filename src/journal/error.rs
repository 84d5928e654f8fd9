use std::{error::Error, fmt, sync::Arc};

/// Why the log could not be opened or written. Cheap to clone: one failure answers a whole group of
/// callers.
#[derive(Clone, Debug)]
pub(crate) struct LogError {
    kind: LogErrorKind,
    what: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogErrorKind {
    /// The disk holds less than was acknowledged, or something else.
    Corrupt,
    /// Nothing is taken now, and this was not.
    Refused,
    /// The disk, or the thread that writes to it, does not answer.
    Unavailable,
}

impl LogError {
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self {
            kind: LogErrorKind::Corrupt,
            what: what.to_string().into(),
        }
    }

    pub(crate) fn unavailable(what: impl fmt::Display) -> Self {
        Self {
            kind: LogErrorKind::Unavailable,
            what: what.to_string().into(),
        }
    }

    /// Nothing is taken now, for this reason.
    pub(crate) fn refused(what: impl fmt::Display) -> Self {
        Self {
            kind: LogErrorKind::Refused,
            what: what.to_string().into(),
        }
    }

    /// The same, said to who asks meanwhile.
    pub(crate) fn refusal(&self) -> Self {
        Self {
            kind: LogErrorKind::Refused,
            what: self.what.clone(),
        }
    }

    pub(crate) const fn kind(&self) -> LogErrorKind {
        self.kind
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for LogError {}

impl From<std::io::Error> for LogError {
    fn from(error: std::io::Error) -> Self {
        Self::unavailable(error)
    }
}
