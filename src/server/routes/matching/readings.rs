//! All the readings of a path between its spelling and its normal form.
//!
//! A handler may decode a path once and merge slashes, and leave its dot segments and capitals as
//! they are. If two rules charge the same, a path that means one as it is spelled and the other in
//! normal form can be sold. But only if no reading in between means a third rule.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::normal::ROUNDS;

/// A longer path has too many readings to look at.
const LONGEST: usize = 2_048;

/// How a reading treats the segments of a path.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// `\` is a slash.
    backslash: bool,
    /// `;parameters` are removed.
    parameters: bool,
    /// Dot segments are resolved.
    dots: bool,
    slashes: Slashes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slashes {
    Kept,
    Merged,
    /// Merged, and none at the end.
    Trimmed,
}

/// Whether `is_same` holds for all readings of a path. It gets each as it is, and in lower case.
/// The path has no control bytes and is UTF-8, in every round of decoding.
pub(super) fn all(path: &str, is_same: impl Fn(&str, &str) -> bool) -> bool {
    if path.len() > LONGEST {
        return false;
    }
    let mut text = Cow::Borrowed(path);
    for round in 0..=ROUNDS {
        if round > 0 {
            match percent_decode_str(&text).decode_utf8() {
                Ok(Cow::Owned(decoded)) => text = Cow::Owned(decoded),
                Ok(Cow::Borrowed(_)) => break,
                Err(_) => return false,
            }
        }
        for reading in readings(&text) {
            let spelled = reading.of(&text);
            if !is_same(&spelled, &spelled.to_lowercase()) {
                return false;
            }
        }
    }
    true
}

/// The readings that can differ for this text.
fn readings(text: &str) -> Vec<Reading> {
    let either = |differs: bool| {
        if differs {
            &[false, true][..]
        } else {
            &[false]
        }
    };
    let slashes = [Slashes::Kept, Slashes::Merged, Slashes::Trimmed];
    let mut readings = Vec::new();
    for backslash in either(text.contains('\\')) {
        for parameters in either(text.contains(';')) {
            for dots in either(text.contains('.')) {
                readings.extend(slashes.map(|slashes| Reading {
                    backslash: *backslash,
                    parameters: *parameters,
                    dots: *dots,
                    slashes,
                }));
            }
        }
    }
    readings
}

impl Reading {
    fn of(self, text: &str) -> String {
        let is_slash = |c| c == '/' || (self.backslash && c == '\\');
        let text = text.strip_prefix(is_slash).unwrap_or(text);
        let mut segments = Vec::new();
        let mut ends_with_slash = false;
        for segment in text.split(is_slash) {
            let plain = segment.split(';').next().unwrap_or_default();
            let segment = if self.parameters { plain } else { segment };
            ends_with_slash = true;
            match segment {
                "." if self.dots => {}
                ".." if self.dots => drop(segments.pop()),
                "" if self.slashes != Slashes::Kept => {}
                segment => {
                    segments.push(segment);
                    ends_with_slash = false;
                }
            }
        }
        let mut path = format!("/{}", segments.join("/"));
        if ends_with_slash && self.slashes != Slashes::Trimmed && !path.ends_with('/') {
            path.push('/');
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet};

    use super::*;

    fn of(path: &str) -> BTreeSet<String> {
        let found = RefCell::new(BTreeSet::new());
        let keep = |spelled: &str, lower: &str| {
            found.borrow_mut().insert(spelled.to_owned());
            lower == spelled.to_lowercase()
        };
        assert!(all(path, keep));
        found.into_inner()
    }

    #[test]
    fn a_path_is_read_in_every_way_between_its_spelling_and_its_normal_form() {
        let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(of("/a"), set(&["/a"]));
        assert_eq!(of("/a%2Fb/"), set(&["/a%2Fb/", "/a%2Fb", "/a/b/", "/a/b"]));
        assert_eq!(of("/a//b"), set(&["/a//b", "/a/b"]));
        assert_eq!(of("/%252561"), set(&["/%252561", "/%2561", "/%61", "/a"]));
        assert_eq!(
            of("/x;v/../y"),
            set(&["/x;v/../y", "/x/../y", "/y"]),
            "parameters without dots, dots without parameters"
        );
        assert_eq!(of("/x\\.."), set(&["/x\\..", "/x/..", "/"]));
        assert_eq!(of("/a/."), set(&["/a/.", "/a/", "/a"]));
    }

    #[test]
    fn a_path_that_is_too_long_or_broken_has_no_readings() {
        let path = format!("/{}", "a".repeat(LONGEST));
        assert!(!all(&path, |_, _| true));
        assert!(all(&path[..LONGEST], |_, _| true));
        assert!(!all("/%ff", |_, _| true));
        assert!(!all("/a%2Fb", |spelled, _| spelled != "/a/b"));
    }
}
