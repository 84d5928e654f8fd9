//! The threat model names tests that exist.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The file that a name like `server/dropped` or `src/server/limit/tests/slots` stands for.
fn file(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let base = if name.starts_with("src/") {
        root.join(name)
    } else {
        root.join("tests").join(name)
    };
    [base.with_extension("rs"), base.join("mod.rs")]
        .into_iter()
        .find(|path| path.is_file())
}

/// The tests that a part of the text names.
fn named(text: &str) -> Vec<(&str, &str)> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once("::"))
        .collect()
}

/// The rows of a part of the text, by number.
fn rows(part: &str) -> BTreeMap<u32, &str> {
    let rows = part
        .split("\n**")
        .skip(1)
        .map(|row| row.split_once(". ").expect("a number"));
    rows.map(|(number, row)| (number.parse().expect("a number"), row))
        .collect()
}

#[test]
fn every_row_of_the_threat_model_says_what_stops_it_and_names_tests_that_exist() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/threat_model.md"))
            .unwrap();
    let (attacks, others) = text.split_once("\n## What others got wrong").unwrap();
    for (part, count, later) in [(attacks, 46, &[][..]), (others, 27, &[])] {
        let rows = rows(part);
        assert_eq!(
            rows.keys().copied().collect::<Vec<_>>(),
            (1..=count).collect::<Vec<_>>()
        );
        for (number, row) in rows {
            let (what, stops) = row
                .split_once(".**")
                .unwrap_or_else(|| panic!("{number} has no name"));
            let is_said =
                !stops.contains("(see ") && stops.trim_start().starts_with(char::is_alphabetic);
            assert!(is_said, "{number}, {what}: not said what stops it");
            let is_later = stops.trim_start().starts_with("Later");
            assert_eq!(is_later, later.contains(&number), "{number}, {what}");
            assert!(
                is_later || !named(stops).is_empty(),
                "{number}, {what}: no test is named"
            );
        }
    }
    for (place, test) in named(&text) {
        let path = file(place).unwrap_or_else(|| panic!("{place} is no file of tests"));
        let source = fs::read_to_string(path).unwrap();
        let (before, _) = source
            .split_once(&format!("fn {test}("))
            .unwrap_or_else(|| panic!("{place} has no test {test}"));
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        let runs = ["#[test]", "#[tokio::test"]
            .iter()
            .any(|attribute| attributes.contains(attribute));
        assert!(
            runs && !attributes.contains("ignore"),
            "{place} does not run {test}"
        );
    }
}
