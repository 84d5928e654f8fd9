use std::{error::Error, fmt, sync::Arc};

/// Why the journal could not be opened or written. Cheap to clone: a whole group of callers gets
/// the same failure.
#[derive(Clone, Debug)]
pub(crate) struct JournalError {
    kind: JournalErrorKind,
    what: Arc<str>,
    /// Whether a person must be told what to do with the folder.
    is_damage: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JournalErrorKind {
    /// The disk holds less than was acknowledged, or something else than was written.
    Corrupt,
    /// The journal takes nothing now, and did not take this.
    Refused,
    /// The disk cannot be read or written, or the writer thread has ended.
    Unavailable,
}

impl JournalError {
    pub(crate) fn corrupt(what: impl fmt::Display) -> Self {
        Self {
            kind: JournalErrorKind::Corrupt,
            what: what.to_string().into(),
            is_damage: false,
        }
    }

    /// The files are damaged, so a person must do something: see [`advised`](Self::advised).
    pub(super) fn damaged(what: impl fmt::Display) -> Self {
        Self {
            is_damage: true,
            ..Self::corrupt(what)
        }
    }

    /// Adds what a person does with damaged files.
    pub(super) fn advised(self, advice: &str) -> Self {
        match self.is_damage {
            true => Self::corrupt(format_args!("{self}; {advice}")),
            false => self,
        }
    }

    pub(crate) fn unavailable(what: impl fmt::Display) -> Self {
        Self {
            kind: JournalErrorKind::Unavailable,
            what: what.to_string().into(),
            is_damage: false,
        }
    }

    /// The journal takes nothing now, for this reason.
    pub(crate) fn refused(what: impl fmt::Display) -> Self {
        Self {
            kind: JournalErrorKind::Refused,
            what: what.to_string().into(),
            is_damage: false,
        }
    }

    /// Returns the refusal for callers who ask while the failure lasts.
    pub(crate) fn refusal(&self) -> Self {
        Self {
            kind: JournalErrorKind::Refused,
            what: self.what.clone(),
            is_damage: false,
        }
    }

    pub(crate) const fn kind(&self) -> JournalErrorKind {
        self.kind
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for JournalError {}

impl From<std::io::Error> for JournalError {
    fn from(error: std::io::Error) -> Self {
        Self::unavailable(error)
    }
}
