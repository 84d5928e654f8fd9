//! No file imports, by whatever way around, from a file that imports from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Source;

#[test]
fn files_import_in_no_circle() {
    let source = Source::read();
    let circles = circles(&source.imports());
    let lines: Vec<_> = circles.iter().map(|circle| circle.join(" <-> ")).collect();
    let lines = lines.join("\n");
    assert!(
        circles.is_empty(),
        "these files import each other:\n{lines}"
    );
}

#[test]
fn folders_of_a_room_import_in_no_circle() {
    let source = Source::read();
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, imports) in source.imports() {
        let folder = folder(file);
        let others = imports.into_iter().map(self::folder);
        let others = others.filter(|other| *other != folder);
        folders.entry(folder).or_default().extend(others);
    }
    let circles = circles(&folders);
    assert!(circles.is_empty(), "{circles:?}");
}

/// `server::config` for `server::config::charge`.
fn folder(module: &str) -> &str {
    let end = module.match_indices("::").nth(1).map(|(at, _)| at);
    &module[..end.unwrap_or(module.len())]
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
