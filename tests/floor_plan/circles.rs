//! No file imports, by whatever way around, from a file that imports from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Source;

/// Circles that are still there. Take out what was opened, and add nothing.
const KNOWN: &[&[&str]] = &[
    &["dialect::secrets", "dialect::strength"],
    &["lightning::devnet", "lightning::devnet::node"],
    &[
        "replay::conformance",
        "replay::conformance::handles",
        "replay::conformance::process",
        "replay::conformance::releases",
        "replay::conformance::uses",
    ],
    &["server::limit::limiter", "server::limit::state"],
];

#[test]
fn files_import_in_no_new_circle() {
    let source = Source::read();
    let imports = source.imports();
    let circles = circles(&imports);
    let told = |circles: &[Vec<&str>]| {
        let lines: Vec<_> = circles.iter().map(|circle| circle.join(" <-> ")).collect();
        lines.join("\n")
    };
    let known: Vec<Vec<&str>> = KNOWN.iter().map(|circle| circle.to_vec()).collect();
    assert!(
        circles == known,
        "these files import each other:\n{}\n\nexpected:\n{}",
        told(&circles),
        told(&known)
    );
}

#[test]
fn nothing_is_imported_through_the_root_of_the_crate() {
    let source = Source::read();
    let faults = source.through_the_root();
    assert!(faults.is_empty(), "name where it is defined: {faults:?}");
}

/// The groups of files in which each reaches each other.
fn circles<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reached: BTreeMap<_, _> = imports
        .keys()
        .map(|file| (*file, reach(file, imports)))
        .collect();
    let mut found = BTreeSet::new();
    for (file, others) in &reached {
        if others.contains(file) {
            found.insert(
                others
                    .iter()
                    .copied()
                    .filter(|other| reached[other].contains(file))
                    .collect(),
            );
        }
    }
    found.into_iter().collect()
}

fn reach<'a>(file: &'a str, imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(next) = open.pop() {
        open.extend(
            imports[next]
                .iter()
                .copied()
                .filter(|other| seen.insert(*other)),
        );
    }
    seen
}

#[test]
fn a_circle_is_found() {
    let imports = BTreeMap::from([
        ("a", BTreeSet::from(["b", "d"])),
        ("b", BTreeSet::from(["c"])),
        ("c", BTreeSet::from(["a"])),
        ("d", BTreeSet::new()),
    ]);
    assert_eq!(circles(&imports), [["a", "b", "c"]]);
}
