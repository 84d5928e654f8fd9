//! The threat model names tests that are there.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The file that a name like `server/dropped` or `src/server/limit/tests` stands for.
fn file(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let base = if name.starts_with("src/") { root.join(name) } else { root.join("tests").join(name) };
    [base.with_extension("rs"), base.join("mod.rs")].into_iter().find(|path| path.is_file())
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/threat_model.md")).unwrap();
    let named: Vec<_> = text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::")).collect();
    assert!(named.len() > 100, "only {} tests are named", named.len());
    for (place, test) in named {
        let path = file(place).unwrap_or_else(|| panic!("{place} is no file of tests"));
        assert!(fs::read_to_string(path).unwrap().contains(&format!("fn {test}(")), "{place} has no test {test}");
    }
    for number in 1..=28 {
        assert!(text.contains(&format!("\n**{number}. ")), "attack {number} is not there");
    }
}
