//! Running one test of this program in a process of its own.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{Command, Stdio},
};

/// Returns the folder or the URL that the parent named, if this process is the child of `test`.
pub(crate) fn place_of(test: &str) -> Option<OsString> {
    (std::env::var_os("STORES_CHILD").as_deref() == Some(OsStr::new(test)))
        .then(|| std::env::var_os("STORES_PLACE").unwrap())
}

/// Returns the folder that the parent named, if this process is the child of `test`.
pub(crate) fn folder_of(test: &str) -> Option<PathBuf> {
    place_of(test).map(PathBuf::from)
}

/// Returns a command that runs `test` of this program, and no other, as a child on a folder or a URL.
/// The child's lines start with `> `.
pub(crate) fn command(test: &str, place: impl AsRef<OsStr>, before: &[&str]) -> Command {
    let mut words: Vec<&OsStr> = before.iter().map(OsStr::new).collect();
    let program = std::env::current_exe().unwrap();
    words.extend([
        program.as_os_str(),
        OsStr::new(test),
        OsStr::new("--exact"),
        OsStr::new("--nocapture"),
    ]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
        .env("STORES_CHILD", test)
        .env("STORES_PLACE", place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Sends a line to the parent, at once and in one write. It starts on a new line, whatever the test
/// harness printed before. If a test makes writes fail, this write may fail too, so it tries again.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write;

    let line = format!("\n> {line}\n");
    let said = (0..5).any(|_| std::io::stdout().write_all(line.as_bytes()).is_ok());
    assert!(said, "nobody listens");
}

/// Reports that a test cannot run here, on an output that the harness does not capture. Panics
/// instead if `X402_REQUIRE_ALL=1`.
pub(crate) fn skip(why: &str) {
    use std::io::Write;

    assert!(
        std::env::var("X402_REQUIRE_ALL").as_deref() != Ok("1"),
        "cannot run: {why}"
    );
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}
