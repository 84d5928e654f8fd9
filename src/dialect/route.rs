//! The place that several uses or a duration are bound to, and what its pattern captured. Names of
//! captures are no part of it, so a route may rename them.

use std::iter::Peekable;

/// What several uses or a duration are bound to: text that stands for itself, and a pattern after
/// it. As a caveat it is one pattern without the names of captures, as `/v1/weather/{}`. There a
/// brace of the first part is doubled, as patterns write a brace that stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    /// The prefix of a nest, or the whole path if no pattern is known.
    pub(crate) prefix: &'a str,
    pub(crate) pattern: &'a str,
}

impl Route<'_> {
    /// Returns the bytes of this route as one pattern without the names of captures.
    #[cfg_attr(not(feature = "l402"), allow(dead_code))]
    pub(crate) fn bytes(self) -> impl Iterator<Item = u8> {
        let prefix = self.prefix.bytes().flat_map(|byte| {
            let doubled = matches!(byte, b'{' | b'}').then_some(byte);
            std::iter::once(byte).chain(doubled)
        });
        prefix.chain(nameless(self.pattern.bytes()))
    }
}

/// What the pattern of a route captured of a path: names and values, decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Captures<'a> {
    /// A price function was shown them.
    Known(&'a [(String, String)]),
    /// They are read if a credential binds them.
    Unread {
        pattern: &'a str,
        path: &'a str,
        read: fn(&str, &str) -> Vec<(String, String)>,
    },
}

impl Captures<'_> {
    pub(crate) fn with<T>(self, look: impl FnOnce(&[(String, String)]) -> T) -> T {
        match self {
            Self::Known(captures) => look(captures),
            Self::Unread {
                pattern,
                path,
                read,
            } => look(&read(pattern, path)),
        }
    }
}

/// Returns the bytes of a pattern without the names of its captures: `/{id}` is `/{}`, `/{*path}`
/// is `/{*}`. Doubled braces, which stand for themselves, stay.
pub(crate) fn nameless(pattern: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    Nameless {
        bytes: pattern.peekable(),
        at: At::Text,
    }
}

struct Nameless<I: Iterator<Item = u8>> {
    bytes: Peekable<I>,
    at: At,
}

#[derive(Clone, Copy)]
enum At {
    Text,
    /// Before the second of two braces.
    Doubled,
    /// After the brace that begins a capture.
    Begun,
    Name,
}

impl<I: Iterator<Item = u8>> Iterator for Nameless<I> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = self.bytes.next()?;
            let is_kept = match (self.at, byte) {
                (At::Text, b'{') if self.bytes.peek() == Some(&b'{') => {
                    self.at = At::Doubled;
                    true
                }
                (At::Text, b'{') => {
                    self.at = At::Begun;
                    true
                }
                (At::Text, _) => true,
                (At::Begun, b'*') => {
                    self.at = At::Name;
                    true
                }
                (At::Doubled, _) | (At::Begun | At::Name, b'}') => {
                    self.at = At::Text;
                    true
                }
                (At::Begun | At::Name, _) => {
                    self.at = At::Name;
                    false
                }
            };
            if is_kept {
                return Some(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_captures_are_no_part_of_a_route() {
        for (prefix, pattern, expected) in [
            ("", "/weather/{city}", "/weather/{}"),
            ("", "/a/{*path}", "/a/{*}"),
            ("", "/{a}/x/{b}/{*c}", "/{}/x/{}/{*}"),
            ("", "/{{a}}/{b}", "/{{a}}/{}"),
            ("", "/v{{{n}}}", "/v{{{}}}"),
            ("/t/{x}", "/{city}", "/t/{{x}}/{}"),
            ("/{}", "", "/{{}}"),
            ("", "/plain", "/plain"),
        ] {
            let bytes = Route { prefix, pattern }.bytes().collect();
            assert_eq!(
                String::from_utf8(bytes).unwrap(),
                expected,
                "{prefix} {pattern}"
            );
        }
    }
}
