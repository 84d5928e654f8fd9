use std::collections::BTreeSet;

use super::{l402, mpp, x402};
use crate::payment::Refusal;

/// The words and kinds in the table under this heading.
fn documented(heading: &str) -> BTreeSet<(String, String)> {
    let page = include_str!("../../docs/refusals.md");
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut found = BTreeSet::new();
    for row in section.lines().filter_map(|line| line.strip_prefix("| `")) {
        let cells: Vec<_> = row
            .split(" | ")
            .map(|cell| cell.trim_matches('`'))
            .collect();
        let [word, kind, cause] = cells[..] else {
            panic!("{row}")
        };
        assert!(cause.len() > 20, "{word} needs a cause");
        assert!(
            found.insert((word.to_owned(), kind.to_owned())),
            "{word} stands twice"
        );
    }
    found
}

#[test]
fn the_page_of_refusals_lists_every_word_of_each_dialect_with_its_kind() {
    let coded = |refusals: Vec<Refusal>| -> BTreeSet<_> {
        let row = |refusal: &Refusal| (refusal.code().to_owned(), refusal.kind().to_string());
        refusals.iter().map(row).collect()
    };
    assert_eq!(documented("L402"), coded(l402::reason::all()));
    assert_eq!(documented("MPP"), coded(mpp::reason::all()));
    assert_eq!(documented("x402"), coded(x402::reason::all()));
}
