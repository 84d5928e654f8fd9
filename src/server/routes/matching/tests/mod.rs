mod spellings;

use http::{HeaderValue, Method};

use super::error::RuleError;
use super::{Lookup, Otherwise, Rules, captures};

pub(super) fn table(rules: &[(&str, u32)], otherwise: Otherwise) -> Result<Rules<u32>, RuleError> {
    Rules::compile(
        rules
            .iter()
            .map(|(rule, price)| ((*rule).to_owned(), (*price > 0).then_some(*price))),
        Some(otherwise),
        PartialEq::eq,
    )
}

/// One word for what a table of rules (price 0 is free) says of a request like `GET /x`.
pub(super) fn says(rules: &Rules<u32>, request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    word(
        rules.lookup(&method.parse().unwrap(), path, None, false),
        path,
    )
}

fn word(lookup: Lookup<'_, u32>, path: &str) -> String {
    let text = |allow: HeaderValue| allow.to_str().unwrap().to_owned();
    match lookup {
        Lookup::Ambiguous => "400".to_owned(),
        Lookup::Closed => "404".to_owned(),
        Lookup::Free => "free".to_owned(),
        Lookup::MethodNotAllowed { allow } => format!("405 {}", text(allow)),
        Lookup::Misplaced(_) => "500".to_owned(),
        Lookup::Options { allow } => format!("204 {}", text(allow)),
        Lookup::Priced {
            value, captured, ..
        } => {
            let captured = captured
                .decoded(path)
                .into_iter()
                .map(|(name, value)| format!(" {name}={value}"));
            format!("{value}{}", captured.collect::<String>())
        }
    }
}

#[track_caller]
pub(super) fn expect(rules: &[(&str, u32)], otherwise: Otherwise, requests: &[(&str, &str)]) {
    let rules = table(rules, otherwise).unwrap();
    for (request, answer) in requests {
        assert_eq!(says(&rules, request), *answer, "{request}");
    }
}

pub(super) const ARCHIVE: &[(&str, u32)] = &[
    ("GET /archive/{*path}", 5),
    ("GET /archive/pub/{*path}", 0),
    ("GET /health", 0),
];

#[test]
fn a_priced_path_is_closed_to_methods_that_no_rule_names() {
    expect(
        &[
            ("POST /render", 9),
            ("GET /weather/{city}", 3),
            ("PUT /weather/{city}", 0),
            ("GET /health", 0),
        ],
        Otherwise::Free,
        &[
            ("POST /render", "9"),
            ("GET /render", "405 POST, OPTIONS"),
            ("FOO /render", "405 POST, OPTIONS"),
            ("OPTIONS /render", "204 POST, OPTIONS"),
            ("OPTIONS /Render", "204 OPTIONS"),
            ("TRACE /RENDER", "400"),
            ("CONNECT /render", "405 POST, OPTIONS"),
            ("HEAD /weather/rome", "3 city=rome"),
            ("PUT /weather/rome", "free"),
            ("DELETE /weather/rome", "405 GET, HEAD, PUT, OPTIONS"),
            ("OPTIONS /weather/rome", "204 GET, HEAD, PUT, OPTIONS"),
            ("OPTIONS /health", "free"),
            ("DELETE /health", "free"),
            ("OPTIONS *", "free"),
        ],
    );
}

#[test]
fn a_table_that_refuses_serves_only_what_it_names() {
    expect(
        &[("GET /weather", 3), ("GET /health", 0), ("POST /health", 0)],
        Otherwise::Refuse,
        &[
            ("GET /health", "free"),
            ("GET /other", "404"),
            ("OPTIONS /other", "404"),
            ("GET /health/", "404"),
            ("PUT /health", "405 GET, HEAD, POST, OPTIONS"),
            ("OPTIONS /health", "204 GET, HEAD, POST, OPTIONS"),
            ("GET /weather/", "400"),
        ],
    );
}

#[test]
fn get_covers_head_and_extended_connect_unless_they_have_rules() {
    let rules = table(
        &[
            ("GET /ws", 2),
            ("GET /a/b", 4),
            ("HEAD /a/{x}", 0),
            ("HEAD /ws", 7),
        ],
        Otherwise::Free,
    )
    .unwrap();
    assert_eq!(
        word(rules.lookup(&Method::CONNECT, "/ws", None, true), "/ws"),
        "2"
    );
    assert_eq!(
        word(rules.lookup(&Method::CONNECT, "/ws", None, false), "/ws"),
        "405 GET, HEAD, OPTIONS"
    );
    assert_eq!(says(&rules, "HEAD /ws"), "7");
    // A free pattern for HEAD does not reach what a GET rule prices by name.
    assert_eq!(says(&rules, "HEAD /a/b"), "4");
    assert_eq!(says(&rules, "HEAD /a/c"), "free");
}

#[test]
fn the_empty_rest_is_never_sold_below_another_rule() {
    expect(
        &[
            ("GET /files/{*rest}", 1),
            ("GET /{name}", 50),
            ("GET /pub/{*rest}", 1),
            ("GET /pub", 0),
            ("GET /x{*rest}", 2),
        ],
        Otherwise::Free,
        &[
            ("GET /files", "400"),
            ("GET /files/", "400"),
            ("GET /pub", "free"),
            ("GET /pub/", "400"),
            ("GET /x", "400"),
        ],
    );
    expect(
        &[("GET /{*rest}", 1)],
        Otherwise::Free,
        &[
            ("GET /", "1 rest="),
            ("GET /a", "1 rest=a"),
            ("GET //", "1 rest=/"),
        ],
    );
    expect(
        &[("GET /{id}/{*rest}", 1)],
        Otherwise::Free,
        &[("GET /a/", "1 id=a rest="), ("GET /a", "1 id=a rest=")],
    );
}

#[test]
fn rules_with_the_prefix_of_a_nest_are_told_apart_from_free_paths() {
    let rules = table(&[("GET /api/x", 3), ("GET /y", 0)], Otherwise::Free).unwrap();
    let lookup = |method, path, original| rules.lookup(&method, path, Some(original), false);
    assert_eq!(word(lookup(Method::GET, "/x", "/api/x"), "/x"), "500");
    assert_eq!(word(lookup(Method::PUT, "/x", "/API//x"), "/x"), "500");
    assert_eq!(word(lookup(Method::GET, "/y", "/api/x"), "/y"), "500");
    assert_eq!(word(lookup(Method::GET, "/x", "/x"), "/x"), "free");
    assert_eq!(word(lookup(Method::GET, "/y", "/api/y"), "/y"), "free");
    assert_eq!(
        word(lookup(Method::GET, "/api/x", "/v1/api/x"), "/api/x"),
        "3"
    );
    let Lookup::Misplaced(mistake) = lookup(Method::GET, "/x", "/api/x") else {
        panic!("expected a misplaced rule")
    };
    assert!(
        mistake.to_string().starts_with(
            "the rule `GET /api/x` would price the path that was asked for, but a nest"
        )
    );
}

#[test]
fn what_cannot_be_looked_up_is_no_rule() {
    let refused = |rules: &[(&str, u32)]| table(rules, Otherwise::Free).unwrap_err().to_string();
    for (rule, part) in [
        ("/x", "expected a method, one space and a path"),
        ("get /x", "expected a method in capitals"),
        ("ANY /x", "there is no method ANY"),
        ("FOO /x", "no request has this method"),
        ("GET /{x}/{x}", "two captures have one name"),
        ("GET /{x}/{*x}", "two captures have one name"),
        ("GET /\u{e9}", "percent-encoded"),
        ("G@T /x", "expected a method in capitals"),
        (" /x", "expected a method, one space and a path"),
        (" GET /x", "expected a method, one space and a path"),
        ("GET x", "expected a path that starts with `/`"),
        (
            "GET  /x",
            "expected one space between the method and the path",
        ),
        (
            "GET   /x",
            "expected one space between the method and the path",
        ),
        ("OPTIONS /x", "the layer answers OPTIONS itself"),
        ("GET /{x", "a capture is written `{name}`"),
        ("GET /{}", "a capture is written `{name}`"),
        ("GET /{x}y", "one segment holds one capture, at its end"),
        ("GET /{*x}/y", "`{*rest}` stands at the end of a pattern"),
        ("GET /:x", "a capture is written `{name}`"),
        ("GET /a//b", "an empty segment"),
        (&format!("GET {}", "/{x}".repeat(27)), "at most 24 captures"),
    ] {
        let message = refused(&[(rule, 1)]);
        assert!(
            message.starts_with(&format!("rule `{rule}`: ")) && message.contains(part),
            "{message}"
        );
    }
    assert_eq!(
        refused(&[("GET /a", 1), ("GET /a", 2)]),
        "rules `GET /a` and `GET /a`: keep one"
    );
    for (one, other) in [
        ("/a", "/A"),
        ("/a", "/a/"),
        ("/%61", "/a"),
        ("/{x}", "/{y}"),
        ("/{x}", "/{*y}"),
        ("/A/{x}", "/a/{*y}"),
    ] {
        let message = refused(&[
            ("GET /z", 1),
            (&format!("GET {one}"), 1),
            (&format!("GET {other}"), 0),
        ]);
        assert!(
            message.starts_with(&format!(
                "rules `GET {one}` and `GET {other}`: they price the same paths"
            )),
            "{message}"
        );
    }
    assert!(refused(&[]).starts_with("the table has no rule"));
    let unsaid = Rules::compile([("GET /x".to_owned(), Some(1))], None, PartialEq::eq)
        .unwrap_err()
        .to_string();
    assert!(
        unsaid.contains("`.otherwise_free()` or `.otherwise_refuse()`"),
        "{unsaid}"
    );
}

#[test]
fn only_a_priced_rest_may_be_empty() {
    expect(
        &[("GET /files/{*rest}", 0), ("GET /paid/{*rest}", 2)],
        Otherwise::Refuse,
        &[
            ("GET /files/a", "free"),
            ("GET /files/", "404"),
            ("GET /files", "404"),
            ("GET /paid/", "2 rest="),
            ("GET /paid", "2 rest="),
        ],
    );
}

#[test]
fn a_brace_is_no_capture_if_it_is_doubled() {
    expect(
        &[("GET /{{*rest}}", 2), ("GET /x/{{{*rest}", 3)],
        Otherwise::Free,
        &[
            ("GET /{*rest}", "2"),
            ("GET /{", "free"),
            ("GET /", "free"),
            ("GET /x/{a/b", "3 rest=a/b"),
            ("GET /x/{", "3 rest="),
        ],
    );
}

#[test]
fn a_connect_that_names_no_path_is_priced_by_no_rule() {
    let rules = table(&[("CONNECT /tunnel", 5), ("GET /chat", 3)], Otherwise::Free).unwrap();
    let says = |path: &str, is_connect_protocol| {
        word(
            rules.lookup(&Method::CONNECT, path, None, is_connect_protocol),
            path,
        )
    };
    assert_eq!(says("/tunnel", true), "5");
    assert_eq!(says("/chat", true), "3");
    assert_eq!(says("/tunnel", false), "405 CONNECT, OPTIONS");
    assert_eq!(says("/chat", false), "405 GET, HEAD, CONNECT, OPTIONS");
    assert_eq!(says("", false), "free");
}

#[test]
fn a_rule_that_sees_the_path_as_it_was_asked_for_is_well_placed() {
    let rules = table(&[("GET /a", 0), ("POST /a", 4)], Otherwise::Free).unwrap();
    let says = |original| {
        word(
            rules.lookup(&Method::GET, "/a", Some(original), false),
            "/a",
        )
    };
    assert_eq!(says("/a"), "free");
    assert_eq!(says("/nest/a"), "free");
    let inner = word(rules.lookup(&Method::GET, "/b", Some("/a"), false), "/b");
    assert_eq!(inner, "500", "the rule was written with the nest's prefix");
}

#[test]
fn captures_are_counted_up_to_their_limit() {
    let pattern = |count: usize| {
        (0..count)
            .map(|at| format!("/{{c{at}}}"))
            .collect::<String>()
    };
    let path = "/v".repeat(24);
    let rules = table(&[(&format!("GET {}", pattern(24)), 1)], Otherwise::Free).unwrap();
    assert!(says(&rules, &format!("GET {path}")).ends_with(" c23=v"));
    assert!(table(&[(&format!("GET {}", pattern(25)), 1)], Otherwise::Free).is_err());
    assert_eq!(
        (
            captures(&pattern(24), &path).len(),
            captures(&pattern(25), &format!("{path}/v")).len()
        ),
        (24, 0)
    );
}

#[test]
fn a_shape_has_no_names_and_keeps_all_else() {
    use super::tree::shape;

    assert_eq!(shape("/x/{a}/{*b}"), shape("/x/{other}/{*rest}"));
    for (one, other) in [
        ("/{a}", "/{*a}"),
        ("/{{a}}", "/{{b}}"),
        ("/{{a}}", "/{a}"),
        ("/{a}", "/{a}/b"),
        ("/{a}x", "/{a}y"),
    ] {
        assert_ne!(shape(one), shape(other));
    }
    expect(
        &[
            ("GET /{a}/x", 2),
            ("HEAD /{b}/x", 0),
            ("GET /{{a}}", 3),
            ("HEAD /{{b}}", 0),
        ],
        Otherwise::Free,
        &[
            ("HEAD /o/x", "free"),
            ("GET /o/x", "2 a=o"),
            ("HEAD /{a}", "3"),
            ("HEAD /{b}", "free"),
        ],
    );
}
