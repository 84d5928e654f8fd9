//! A tree of patterns, over the library that axum matches with.

use matchit::{InsertError, Router};

/// Rules by pattern. Each path has at most one.
#[derive(Debug, Default)]
pub(super) struct Tree {
    spelled: Router<Leaf>,
    /// Paths with an empty rest, which a trailing `{*rest}` prices although axum's pattern does not
    /// match them.
    empty_rests: Vec<(String, Leaf)>,
    /// Both together. `None` if there are no empty rests.
    all: Option<Router<Leaf>>,
}

/// The rule at the end of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) rule: usize,
    /// The same for rules that charge the same.
    charge: usize,
    pub(super) is_priced: bool,
    is_empty_rest: bool,
}

/// The result of looking up a path in one tree, or in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    Nothing,
    Rule(Leaf),
    /// The lookups disagree, and at least one result has a price.
    Torn,
}

impl Leaf {
    pub(super) const fn new(rule: usize, charge: usize, is_priced: bool) -> Self {
        Self {
            rule,
            charge,
            is_priced,
            is_empty_rest: false,
        }
    }
}

impl Selected {
    pub(super) const fn is_priced(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Rule(leaf) => leaf.is_priced,
            Self::Torn => true,
        }
    }

    /// Whether both are the same result.
    pub(super) fn agrees(self, other: Self) -> bool {
        match (self, other) {
            (Self::Rule(one), Self::Rule(other)) => one.rule == other.rule,
            (one, other) => one == other,
        }
    }

    /// Whether both are priced rules that charge the same.
    pub(super) const fn costs_as(self, other: Self) -> bool {
        match (self, other) {
            (Self::Rule(one), Self::Rule(other)) => one.costs_as(other),
            (Self::Nothing | Self::Rule(_) | Self::Torn, _) => false,
        }
    }
}

impl Leaf {
    /// Whether both have a price, and the same one.
    const fn costs_as(self, other: Self) -> bool {
        self.is_priced && other.is_priced && self.charge == other.charge
    }
}

impl Tree {
    pub(super) fn insert(&mut self, pattern: &str, leaf: Leaf) -> Result<(), InsertError> {
        self.spelled.insert(pattern, leaf)?;
        if let Some((base, _)) = split_rest(pattern).filter(|_| leaf.is_priced) {
            let leaf = Leaf {
                is_empty_rest: true,
                ..leaf
            };
            let bare = base.strip_suffix('/').filter(|bare| !bare.is_empty());
            self.empty_rests.extend(
                [Some(base), bare]
                    .into_iter()
                    .flatten()
                    .map(|path| (path.to_owned(), leaf)),
            );
        }
        Ok(())
    }

    /// Adds the empty rests after all patterns. If a rule has the same shape as one of them, the
    /// rule wins.
    pub(super) fn with_empty_rests(mut self) -> Self {
        for (path, leaf) in self.empty_rests.drain(..) {
            let _ = self
                .all
                .get_or_insert_with(|| self.spelled.clone())
                .insert(path, leaf);
        }
        self
    }

    #[inline]
    pub(super) fn leaf(&self, path: &str) -> Option<Leaf> {
        self.all
            .as_ref()
            .unwrap_or(&self.spelled)
            .at(path)
            .ok()
            .map(|found| *found.value)
    }

    #[inline]
    pub(super) fn select(&self, path: &str) -> Selected {
        let Some(leaf) = self.leaf(path) else {
            return Selected::Nothing;
        };
        if leaf.is_empty_rest {
            // The inner router would take the rule that is spelled out, and its price may differ.
            match self.spelled.at(path) {
                Ok(found)
                    if found.value.is_priced
                        && found.value.rule != leaf.rule
                        && !leaf.costs_as(*found.value) =>
                {
                    return Selected::Torn;
                }
                _ => {}
            }
        }
        Selected::Rule(leaf)
    }

    /// Returns names and raw values of the captures. An empty rest has an empty value.
    pub(super) fn captures<'a>(
        &'a self,
        pattern: &'a str,
        path: &'a str,
    ) -> Vec<(&'a str, &'a str)> {
        let Ok(found) = self.all.as_ref().unwrap_or(&self.spelled).at(path) else {
            return Vec::new();
        };
        let mut captures: Vec<_> = found.params.iter().collect();
        if let Some((_, rest)) = split_rest(pattern).filter(|_| found.value.is_empty_rest) {
            captures.push((rest, ""));
        }
        captures
    }
}

/// Splits a pattern into the part before its trailing `{*rest}` and the name in it.
fn split_rest(pattern: &str) -> Option<(&str, &str)> {
    let (base, rest) = pattern.rsplit_once("{*")?;
    // An odd number of braces: the last one opens the capture.
    let is_open = base.bytes().rev().take_while(|byte| *byte == b'{').count() % 2 == 0;
    rest.strip_suffix('}')
        .filter(|_| is_open)
        .map(|rest| (base, rest))
}

/// Checks that a tree can hold this pattern.
pub(super) fn check(pattern: &str) -> Result<(), &'static str> {
    match Router::new().insert(pattern, ()) {
        Ok(()) => Ok(()),
        Err(InsertError::InvalidCatchAll) => Err("`{*rest}` stands at the end of a pattern"),
        Err(InsertError::InvalidParamSegment) => Err("one segment holds one capture, at its end"),
        Err(_) => Err("a capture is written `{name}`, a brace itself `{{` or `}}`"),
    }
}

/// Whether two captures of a pattern have the same name.
pub(super) fn names_twice(pattern: &str) -> bool {
    let (mut names, mut rest) = (Vec::new(), pattern);
    while let Some((_, after)) = rest.split_once('{') {
        if let Some(after) = after.strip_prefix('{') {
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let name = name.strip_prefix('*').unwrap_or(name);
        if names.contains(&name) {
            return true;
        }
        names.push(name);
        rest = after;
    }
    false
}

/// Whether two patterns exclude each other from one tree.
pub(super) fn conflict(one: &str, other: &str) -> bool {
    let mut router = Router::new();
    router.insert(one, ()).is_ok() && router.insert(other, ()).is_err()
}

/// Returns a pattern without the names of its captures. It is equal for patterns that match the
/// same paths.
pub(super) fn shape(pattern: &str) -> String {
    let mut shape = String::with_capacity(pattern.len());
    let mut bytes = pattern.chars().peekable();
    while let Some(next) = bytes.next() {
        shape.push(next);
        if next != '{' {
            continue;
        }
        match bytes.peek() {
            Some('{') => shape.extend(bytes.next()),
            kind => {
                shape.extend(kind.filter(|kind| **kind == '*').copied());
                shape.extend(bytes.by_ref().find(|c| *c == '}'));
            }
        }
    }
    shape
}
