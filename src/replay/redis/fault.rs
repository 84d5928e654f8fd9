//! What went wrong, as the kinds of errors that a store has.

use redis::{ErrorKind, RedisError};

use crate::replay::{StoreError, StoreErrorKind};

pub(super) const NAME: &str = "the Redis store";

/// Returns the error for one that a server answered, or that its connection had, after the call was
/// sent.
pub(super) fn after_sending(error: &RedisError) -> StoreError {
    StoreError::new(kind(error), NAME, text(error))
}

/// Returns the error of a call that was not sent: nothing was taken.
pub(super) fn not_sent(error: &RedisError) -> StoreError {
    refused(text(error))
}

/// Returns the error of a connection that could not be made.
pub(super) fn not_connected(error: &RedisError, uses_tls: bool) -> StoreError {
    let is_silent = error.is_timeout() || error.is_connection_dropped();
    let hint = if uses_tls && is_silent {
        "; if the server speaks no TLS at this port, name its TLS port, or write redis:// in place of rediss://"
    } else {
        ""
    };
    refused(text(error) + hint)
}

pub(super) fn refused(text: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, NAME, text.into())
}

pub(super) fn unavailable(text: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, NAME, text.into())
}

/// Returns the error of a call that nothing carries out any more.
pub(super) fn has_ended() -> StoreError {
    unavailable(
        "the runtime on which the store was opened has ended, or lost this call: keep it running",
    )
}

pub(super) fn full() -> StoreError {
    StoreError::new(StoreErrorKind::Full, NAME, format!("memory is full{ROOM}"))
}

pub(super) fn not_expected() -> StoreError {
    unavailable("a script gave an answer that was not expected")
}

pub(super) fn corrupt(text: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, NAME, text.into())
}

pub(super) fn setup(text: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Setup, NAME, text.into())
}

const ROOM: &str = "; raise `maxmemory` of the server, and keep `maxmemory-policy noeviction`";

/// The first write of a script decides whether it runs at all. So these answers say that it changed
/// nothing.
const UNCHANGED: [&str; 11] = [
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOREPLICAS",
    "READONLY",
    "TRYAGAIN",
];

/// Returns what an error means for what was sent.
pub(super) fn kind(error: &RedisError) -> StoreErrorKind {
    match error.code() {
        Some("OOM") => StoreErrorKind::Full,
        Some(code) if UNCHANGED.contains(&code) => StoreErrorKind::Refused,
        _ => StoreErrorKind::Unavailable,
    }
}

/// Returns whether another server may be the right one by now.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    let code = error.code();
    error.is_io_error()
        || matches!(
            code,
            Some("CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "MOVED" | "READONLY")
        )
}

/// Returns the text of an error, with a fix if there is one. No error of a server holds a password.
fn text(error: &RedisError) -> String {
    let hint = match error.code() {
        Some("NOAUTH") => "; give a password in the URL, or name password_file or password_env",
        Some("MISCONF") => "; the server cannot write to its disk",
        Some("NOPERM" | "NOSCRIPT") => {
            "; see the rights that its user needs in the docs of `RedisStore`"
        }
        Some("OOM") => ROOM,
        Some("READONLY") => "; the server is a replica",
        _ if error.kind() == ErrorKind::AuthenticationFailed => {
            "; check the user and the password in the URL or its password_file"
        }
        _ => "",
    };
    format!("{error}{hint}")
}
