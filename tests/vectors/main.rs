//! Runs the test vectors that lie beside the project. `X402_VECTORS` is their folder (default
//! `../shared/vectors`). If a file is missing, its tests print that they were skipped, or fail if
//! `X402_REQUIRE_VECTORS=1`.

mod authorities;
mod l402;
mod mpp;
mod paying;
mod settlements;
mod x402;

use std::{io::Write, path::PathBuf};

/// Reads one vector file. Returns `None` if it is missing and not required.
fn vectors(name: &str) -> Option<serde_json::Value> {
    let folder = std::env::var_os("X402_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors")),
        PathBuf::from,
    );
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).expect("the vectors are JSON")),
        Err(error) => {
            assert!(
                std::env::var("X402_REQUIRE_VECTORS").as_deref() != Ok("1"),
                "{}: {error}",
                path.display()
            );
            // Written directly, because the harness hides the output of a test that passes.
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {test}: {}: {error}",
                path.display()
            );
            None
        }
    }
}

/// Runs each named case and prints its verdict. Fails at the end with the names of all that failed.
fn report(cases: impl IntoIterator<Item = (String, Result<(), String>)>) {
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, outcome) in cases {
        match outcome {
            Ok(()) => {
                println!("ok      {name}");
                passed += 1;
            }
            Err(why) => {
                println!("FAILED  {name}: {why}");
                failed.push(format!("{name}: {why}"));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n{}",
        failed.len(),
        passed + failed.len(),
        failed.join("\n")
    );
    assert!(passed > 0, "no case ran");
}
