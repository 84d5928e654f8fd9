//! Credentials as the server verifies them, what it issues, and the client's checks.

mod binding;
mod client;
mod credential;
mod echo;
mod issuing;

use super::{bench::Bench, *};

/// The verdict on a bench's request: `None` if it is paid.
#[track_caller]
fn refused(bench: &Bench) -> Option<(RefusalKind, &'static str)> {
    match bench.proof() {
        Ok(_) => None,
        Err(Some(refusal)) => Some((refusal.kind(), refusal.code())),
        Err(None) => panic!("no credential was read"),
    }
}

const FORGED: Option<(RefusalKind, &str)> = Some((RefusalKind::Forged, "invalid-challenge"));
const MALFORMED: Option<(RefusalKind, &str)> =
    Some((RefusalKind::Malformed, "malformed-credential"));
const OTHER_REQUEST: Option<(RefusalKind, &str)> =
    Some((RefusalKind::WrongRequest, "invalid-challenge"));
