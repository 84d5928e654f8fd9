//! The normal form of paths and patterns, which all spellings of one path share.
//!
//! A handler, a file system or a proxy may treat `/%61rchive//x`, `/Archive/x/` and
//! `/a/../archive/x;v=1` as the same path. The table looks a path up as it is and in normal form,
//! and refuses the request if the two lookups disagree about a price.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// How many times a path is percent-decoded at most.
pub(super) const ROUNDS: usize = 3;

/// A path in normal form: percent-decoded up to three rounds, `\` as `/`, empty segments, dot
/// segments and `;parameters` removed, lower case, no slash at the end.
#[derive(Debug)]
pub(crate) struct Normal<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Some round of decoding gave control bytes, or bytes that are not UTF-8.
    pub(crate) is_broken: bool,
    /// Whether it has a dot segment, and an encoded slash, a backslash or parameters. What the dots
    /// remove then depends on what a reader undoes first: URL parsers resolve them before they
    /// decode, other software after it.
    pub(crate) is_entangled: bool,
}

impl<'a> Normal<'a> {
    pub(crate) fn of(path: &'a str) -> Self {
        if is_normal(path) {
            return Self {
                text: Cow::Borrowed(path),
                is_broken: false,
                is_entangled: false,
            };
        }
        let (text, is_broken) = decode(path);
        let (mut segments, mut has_dots) = (Vec::new(), false);
        for segment in text.split(['/', '\\']) {
            match segment.split(';').next().unwrap_or_default() {
                "" => {}
                "." => has_dots = true,
                ".." => {
                    has_dots = true;
                    segments.pop();
                }
                segment => segments.push(segment),
            }
        }
        let mut normal = String::with_capacity(text.len());
        for segment in segments {
            normal.push('/');
            push_lower_case(&mut normal, segment);
        }
        if normal.is_empty() {
            normal.push('/');
        }
        Self {
            text: Cow::Owned(normal),
            is_broken,
            is_entangled: has_dots && (separators(&text) > slashes(path) || text.contains(';')),
        }
    }

    /// Whether the path was in normal form already.
    pub(crate) const fn is_same(&self) -> bool {
        matches!(self.text, Cow::Borrowed(_))
    }
}

fn slashes(path: &str) -> usize {
    path.matches('/').count()
}

fn separators(decoded: &str) -> usize {
    decoded.matches(['/', '\\']).count()
}

/// Whether a path holds control bytes or bytes that are not UTF-8, in any round of decoding.
pub(crate) fn is_broken(path: &str) -> bool {
    path.bytes()
        .any(|byte| byte == b'%' || byte.is_ascii_control())
        && decode(path).1
}

/// Whether `path` is certainly in normal form. Segments that begin with a dot are decided by the
/// slow way. The asterisk of `OPTIONS *` is not a path and stays as it is.
fn is_normal(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return path == "*";
    };
    // Reads to the end in any case, because that is faster for usual paths.
    let (mut before, mut found) = (SLASH, 0);
    for byte in rest.bytes() {
        let is = KINDS[usize::from(byte)];
        found |= is & NEVER | is & (before << 1) & NOT_FIRST;
        before = is;
    }
    rest.is_empty() || found == 0 && before & SLASH == 0
}

/// The kind of a byte that is never in a normal path: all except visible ASCII, and `%`, `\`, `;` and
/// capitals.
const NEVER: u8 = 1;
const SLASH: u8 = 1 << 1;
/// A byte that is never behind a slash in a normal path.
const NOT_FIRST: u8 = SLASH << 1;

const KINDS: [u8; 256] = {
    let mut kinds = [NEVER; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        kinds[byte as usize] = match byte {
            b'/' => SLASH | NOT_FIRST,
            b'.' => NOT_FIRST,
            b'%' | b'\\' | b';' | b'A'..=b'Z' => NEVER,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

fn decode(path: &str) -> (String, bool) {
    let mut bytes = path.as_bytes().to_vec();
    let mut is_broken = bytes.iter().any(u8::is_ascii_control);
    for _ in 0..ROUNDS {
        let Cow::Owned(decoded) = Cow::from(percent_decode(&bytes)) else {
            break;
        };
        is_broken |=
            decoded.iter().any(u8::is_ascii_control) || std::str::from_utf8(&decoded).is_err();
        bytes = decoded;
    }
    (String::from_utf8_lossy(&bytes).into_owned(), is_broken)
}

fn push_lower_case(to: &mut String, text: &str) {
    to.extend(text.chars().flat_map(char::to_lowercase));
}

/// Returns the normal form of a pattern, or what is wrong with it. The matcher has already checked
/// its braces.
pub(crate) fn normal_pattern(pattern: &str) -> Result<String, &'static str> {
    let path = pattern.strip_prefix('/').ok_or("a path starts with `/`")?;
    let mut normal = String::with_capacity(pattern.len());
    let segments: Vec<_> = path.split('/').collect();
    for (i, segment) in segments.iter().enumerate() {
        let (literal, capture) = split_segment(segment);
        if literal.is_empty() && capture.is_empty() {
            if i + 1 < segments.len() {
                return Err("an empty segment (`//`) is never looked up: write one `/`");
            }
            continue;
        }
        normal.push('/');
        push_literal(&mut normal, &literal, capture.is_empty())?;
        normal.push_str(capture);
    }
    if normal.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

/// The literal text of a segment, with doubled braces undone, and the capture at its end.
fn split_segment(segment: &str) -> (String, &str) {
    let mut literal = String::new();
    let mut rest = segment;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("{{") || rest.starts_with("}}") {
            rest = &rest[2..];
        } else if next == '{' {
            break;
        } else {
            rest = &rest[next.len_utf8()..];
        }
        literal.push(next);
    }
    (literal, rest)
}

fn push_literal(normal: &mut String, literal: &str, is_whole: bool) -> Result<(), &'static str> {
    if literal.starts_with([':', '*']) {
        return Err("a capture is written `{name}`, and `{*name}` for the whole rest");
    }
    if literal.contains(['?', '#', ' ']) {
        return Err("expected a path as it is in a URL, without query, fragment and spaces");
    }
    let (decoded, is_broken) = decode(literal);
    if is_broken || decoded.contains(['/', '\\', ';']) {
        return Err(
            "`;`, `\\`, an encoded `/`, control characters and broken UTF-8 are never looked up: use a capture",
        );
    }
    if is_whole && matches!(&*decoded, "." | "..") {
        return Err(
            "the segments `.` and `..` are never looked up: write the path that they lead to",
        );
    }
    let start = normal.len();
    push_lower_case(normal, &decoded);
    let escaped = normal[start..].replace('{', "{{").replace('}', "}}");
    normal.truncate(start);
    normal.push_str(&escaped);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn normalises(path: &str, to: &str) {
        let normal = Normal::of(path);
        assert_eq!((&*normal.text, normal.is_broken), (to, false), "{path}");
    }

    #[test]
    fn all_spellings_of_a_path_have_one_normal_form() {
        for path in [
            "/archive/x.txt",
            "/archive/x.txt/",
            "//archive//x.txt",
            "/a/../archive/./x.txt",
            "/%61rchive/x.txt",
            "/archive%2Fx.txt",
            "/archive%5Cx.txt",
            "/archive\\x.txt",
            "/archive;v=1/x.txt;w=2",
            "/ARCHIVE/X.TXT",
            "/%2561rchive/x.txt",
            "/%252561rchive/%252e/x.txt",
            "/../../archive/x.txt",
        ] {
            normalises(path, "/archive/x.txt");
        }
        normalises("", "/");
        normalises("/", "/");
        normalises("/..", "/");
        normalises("*", "*");
        normalises("/.well-known/...", "/.well-known/...");
        normalises("/CAF%C3%89/%E2%84%AA", "/café/k");
    }

    #[test]
    fn control_bytes_and_broken_utf8_are_seen_in_every_round() {
        for path in [
            "/a%00",
            "/a%2500",
            "/%252500",
            "/a%0A",
            "/a%7F",
            "/%FF",
            "/%C3%25A9",
            "/%25FF",
        ] {
            assert!(Normal::of(path).is_broken, "{path}");
        }
        assert!(!Normal::of("/%C3%A9%20%zz").is_broken);
    }

    #[test]
    fn patterns_keep_their_captures_and_lose_their_spelling() {
        for (pattern, normal) in [
            ("/", "/"),
            ("/Weather/{City}/", "/weather/{City}"),
            ("/@{User}/%41", "/@{User}/a"),
            ("/{{A}}/{*Rest}", "/{{a}}/{*Rest}"),
            ("/%7Bx", "/{{x"),
        ] {
            assert_eq!(normal_pattern(pattern).as_deref(), Ok(normal));
        }
        for pattern in [
            "", "x", "//", "/a//b", "/.", "/a/../b", "/%2e", "/a;b", "/a\\b", "/a%2fb", "/a?b",
            "/:x", "/*x", "/%00",
        ] {
            assert!(normal_pattern(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_for_normal_is_what_normalising_gives(path in "/([a-zA-Z./;%\\\\é ]|%2[eEfF5]|%61){0,12}") {
            let normal = Normal::of(&path);
            let again = Normal::of(&normal.text);
            if !normal.text.contains('%') {
                prop_assert_eq!(&again.text, &normal.text);
            }
            if is_normal(&path) {
                let longer = format!("{path}//");
                prop_assert_eq!(&*Normal::of(&longer).text, &*path);
            }
        }
    }
}
