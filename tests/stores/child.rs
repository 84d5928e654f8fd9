//! Running one test of this program in a process of its own.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The folder that the parent named, where this process is the child of `test`.
pub(crate) fn folder_of(test: &str) -> Option<PathBuf> {
    (std::env::var_os("STORES_CHILD").as_deref() == Some(OsStr::new(test)))
        .then(|| std::env::var_os("STORES_FOLDER").unwrap().into())
}

/// A command that runs `test` of this program, and it alone, as a child on `folder`. Lines of its own start with `> `.
pub(crate) fn command(test: &str, folder: &Path, before: &[&str]) -> Command {
    let mut words: Vec<&OsStr> = before.iter().map(OsStr::new).collect();
    let program = std::env::current_exe().unwrap();
    words.extend([program.as_os_str(), OsStr::new(test), OsStr::new("--exact"), OsStr::new("--nocapture")]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command.env("STORES_CHILD", test).env("STORES_FOLDER", folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Says a line to the parent, at once; a line of its own, whatever the test harness has begun.
#[allow(clippy::print_stdout)]
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write;

    println!("\n> {line}");
    std::io::stdout().flush().unwrap();
}
