//! One tree of patterns, over the library that axum matches with.

use matchit::{InsertError, Router};

/// Rules by their patterns, one for each path.
#[derive(Debug, Default)]
pub(super) struct Tree {
    spelled: Router<Leaf>,
    /// What a trailing `{*rest}` prices when the rest is empty, which axum's own pattern does not
    /// match.
    empty_rests: Vec<(String, Leaf)>,
    /// All of them; `None` where that is `spelled`.
    all: Option<Router<Leaf>>,
}

/// The rule at the end of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) rule: usize,
    pub(super) is_priced: bool,
    is_empty_rest: bool,
}

/// What one tree, or two together, say of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    Nothing,
    Rule(Leaf),
    /// Two rules, or a rule and none, and at least one of them has a price.
    Torn,
}

impl Leaf {
    pub(super) const fn new(rule: usize, is_priced: bool) -> Self {
        Self {
            rule,
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

    /// Whether both say the same rule.
    pub(super) fn agrees(self, other: Self) -> bool {
        match (self, other) {
            (Self::Rule(one), Self::Rule(other)) => one.rule == other.rule,
            (one, other) => one == other,
        }
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

    /// Adds the empty rests, after all that is spelled out: where one meets a rule of the same
    /// shape, that rule stays.
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
            // The router that the rules were copied from would take the one that is spelled out:
            // its price may be another.
            match self.spelled.at(path) {
                Ok(found) if found.value.is_priced && found.value.rule != leaf.rule => {
                    return Selected::Torn;
                }
                _ => {}
            }
        }
        Selected::Rule(leaf)
    }

    /// Names and raw values of the captures; an empty rest is there with an empty value.
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

/// A pattern before and in its trailing `{*rest}`.
fn split_rest(pattern: &str) -> Option<(&str, &str)> {
    let (base, rest) = pattern.rsplit_once("{*")?;
    // An odd number of braces: the last one opens the capture.
    let is_open = base.bytes().rev().take_while(|byte| *byte == b'{').count() % 2 == 0;
    rest.strip_suffix('}')
        .filter(|_| is_open)
        .map(|rest| (base, rest))
}

/// Whether a tree can hold this pattern.
pub(super) fn check(pattern: &str) -> Result<(), &'static str> {
    match Router::new().insert(pattern, ()) {
        Ok(()) => Ok(()),
        Err(InsertError::InvalidCatchAll) => Err("`{*rest}` stands at the end of a pattern"),
        Err(InsertError::InvalidParamSegment) => Err("one segment holds one capture, at its end"),
        Err(_) => Err("a capture is written `{name}`, a brace itself `{{` or `}}`"),
    }
}

/// Whether no tree can hold both.
pub(super) fn conflict(one: &str, other: &str) -> bool {
    let mut router = Router::new();
    router.insert(one, ()).is_ok() && router.insert(other, ()).is_err()
}

/// A pattern without the names of its captures: equal for patterns that match the same paths.
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
