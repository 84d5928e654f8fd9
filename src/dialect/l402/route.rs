//! The caveat `route`.

use percent_encoding::percent_decode;

use super::caveat::{after, encoded, encodes};
use crate::{
    dialect::{Route, nameless},
    payment::Terms,
};

/// Returns the caveat for a route.
pub(super) fn caveat(route: Route<'_>) -> String {
    encoded("route=", route.bytes().collect::<Vec<_>>())
}

/// Returns whether a caveat is of this route, or of one that it was before. A former pattern stands
/// behind the same prefix, a former route stands alone.
pub(super) fn opens(value: &[u8], route: Route<'_>, terms: &Terms) -> bool {
    let prefix = route.prefix;
    let is = |prefix, pattern| is_route(value, Route { prefix, pattern });
    // The prefix of a nest is not known when the table is checked.
    let is_sold_here = |former: &str| {
        let mut others = terms.other_patterns.iter();
        others.any(|pattern| {
            Route { prefix, pattern }
                .bytes()
                .eq(nameless(former.bytes()))
        })
    };
    let (mut patterns, mut routes) = (terms.former_patterns.iter(), terms.former_routes.iter());
    is(prefix, route.pattern)
        || patterns.any(|former| is(prefix, former))
        || routes.any(|former| is("", former) && !is_sold_here(former))
}

/// Versions before this one minted the names, so they are skipped on both sides.
fn is_route(value: &[u8], route: Route<'_>) -> bool {
    let is_minted = route.prefix.is_empty() && is_as_minted(value, route.pattern);
    is_minted || nameless(percent_decode(value)).eq(route.bytes())
}

/// Returns whether a caveat is exactly what is minted for this pattern, if that can be told without
/// a look at each byte: no brace of the pattern stands for itself.
fn is_as_minted(mut value: &[u8], pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some((text, capture)) = rest.split_once('{') {
        let Some((name, after_it)) = capture.split_once('}') else {
            return false;
        };
        let minted: &[u8] = match name.as_bytes().first() {
            Some(b'{') => return false,
            Some(b'*') => b"%7B%2A%7D",
            Some(_) | None => b"%7B%7D",
        };
        let Some(tail) = after(value, text).and_then(|tail| tail.strip_prefix(minted)) else {
            return false;
        };
        (value, rest) = (tail, after_it);
    }
    !rest.contains('}') && encodes(value, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_braces_in_it_is_no_pattern() {
        let terms = Terms::plain(crate::payment::Access::Once);
        let (path, pattern) = ("/dear/{}", "/dear/{id}");
        let path = Route {
            prefix: path,
            pattern: "",
        };
        let pattern = Route {
            prefix: "",
            pattern,
        };
        let caveat = caveat(path);
        let value = caveat.strip_prefix("route=").unwrap().as_bytes();
        assert!(opens(value, path, &terms));
        assert!(!opens(value, pattern, &terms));
    }

    #[test]
    fn the_short_way_tells_nothing_else_than_the_long_one() {
        let patterns = [
            "/",
            "/a",
            "/{}",
            "/{id}",
            "/{*}",
            "/{*rest}",
            "/a/{b}/c/{*d}",
            "/{{a}}",
            "/{{a}}/{b}",
            "/a}}",
            "/{a}}}",
            "/%7B%7D",
            "/{a}/",
            "/{b}",
            "/a/{x}/c/{y}",
            "/\u{e9}/{a}",
        ];
        let route = |pattern| Route {
            prefix: "",
            pattern,
        };
        for minted in patterns {
            let caveat = caveat(route(minted));
            let value = caveat.strip_prefix("route=").unwrap().as_bytes();
            for pattern in patterns {
                let is_route = nameless(percent_decode(value)).eq(route(pattern).bytes());
                assert!(
                    is_route || !is_as_minted(value, pattern),
                    "{minted} {pattern}"
                );
                let is_plain = !pattern.contains("{{") && !pattern.contains("}}");
                assert_eq!(
                    is_as_minted(value, pattern),
                    is_route && is_plain,
                    "{minted} {pattern}"
                );
            }
        }
    }
}
