//! What an error of the database means for a call.

use std::error::Error as _;

use tokio_postgres::error::{Severity, SqlState};

use crate::replay::{StoreError, StoreErrorKind};

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server is another one than before. Nothing was done.
    AnotherServer,
    /// The store is another one than before, or is gone. Nothing was done.
    AnotherStore(String),
    /// Two statements were in each other's way. Nothing was done.
    Conflict(String),
    /// The connection was lost. Nobody knows what was done.
    Lost(String),
    /// The server refused, and nothing was done.
    Refused(StoreErrorKind, String),
    /// There was no answer in time. Nobody knows what was done.
    TimedOut,
}

impl Failure {
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let text = text(error);
        let Some(answer) = error.as_db_error() else {
            return Self::Lost(text);
        };
        match answer.parsed_severity() {
            Some(Severity::Error) => {}
            _ => return Self::Lost(text),
        }
        match answer.code() {
            code if code.code() == "X4001" => Self::AnotherServer,
            code if code.code() == "X4002" => Self::AnotherStore(text),
            &SqlState::UNDEFINED_FUNCTION
            | &SqlState::UNDEFINED_TABLE
            | &SqlState::INVALID_SCHEMA_NAME => Self::AnotherStore(text),
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => {
                Self::Conflict(text)
            }
            &SqlState::DISK_FULL => Self::Refused(StoreErrorKind::Full, text),
            _ => Self::Refused(StoreErrorKind::Refused, text),
        }
    }
}

/// Returns whether the error says that the store was never made here.
pub(super) fn is_not_made(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::UNDEFINED_FUNCTION | &SqlState::INVALID_SCHEMA_NAME)
    )
}

/// Returns the text of an error and of its causes. None has a secret: the server is not told of
/// one in a statement, and the client prints no password.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return format!("{} ({})", answer.message(), answer.code().code());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(super) fn store_error(kind: StoreErrorKind, text: impl Into<String>) -> StoreError {
    StoreError::new(kind, NAME, text.into())
}

pub(super) fn refused(text: impl Into<String>) -> StoreError {
    store_error(StoreErrorKind::Refused, text)
}

pub(super) fn setup(text: impl Into<String>) -> StoreError {
    store_error(StoreErrorKind::Setup, text)
}

pub(super) fn unavailable(text: impl Into<String>) -> StoreError {
    store_error(StoreErrorKind::Unavailable, text)
}

pub(super) fn not_understood() -> StoreError {
    unavailable("its answer is not understood: is the schema of another version?")
}

pub(super) const NAME: &str = "the store in PostgreSQL";
