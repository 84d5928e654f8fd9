//! No two requests are bound alike.

use http::{HeaderValue, Request};

use super::*;
use crate::{
    dialect::{Captures, Carrier, Route, list::keys_of_secret},
    payment::Network,
};

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A request: its method, captures, query and headers, and the hash of its body.
#[derive(Clone, Copy, Default)]
struct Seen<'a> {
    captures: Pairs<'a>,
    query: &'a str,
    headers: Pairs<'a>,
    body: Option<[u8; 32]>,
}

fn with<T>(seen: Seen<'_>, look: impl FnOnce(&RequestView<'_>) -> T) -> T {
    let mut request = Request::get(format!("/?{}", seen.query));
    for (name, value) in seen.headers {
        request = request.header(*name, HeaderValue::from_str(value).unwrap());
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let captures: Vec<_> = seen
        .captures
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let origin = "https://a.example";
    look(&RequestView {
        carrier: Carrier::Http(&head),
        origin,
        target: "/",
        client_target: None,
        route: Route {
            prefix: "",
            pattern: "/",
        },
        captures: Captures::Known(&captures),
        keys: &keys_of_secret(&[1; 32], Network::Regtest, (origin, ""), &[1; 16]),
        body_hash: seen.body,
    })
}

#[test]
fn no_two_requests_are_bound_alike() {
    let plain = Seen::default();
    let captured = |captures| Seen { captures, ..plain };
    let asked = |query| Seen { query, ..plain };
    let told = |headers| Seen { headers, ..plain };
    let sent = |body| Seen {
        body: Some(body),
        ..plain
    };
    let cases = [
        ("@path", captured(&[])),
        ("@path", captured(&[("a", "b")])),
        ("@path", captured(&[("a", "")])),
        ("@path", captured(&[("a", "b"), ("c", "d")])),
        ("@path", captured(&[("a", "d"), ("c", "b")])),
        ("@path", captured(&[("a", "bd"), ("c", "")])),
        ("@query", asked("")),
        ("@query", asked("a=b")),
        ("@query", asked("ab=")),
        ("@query", asked("=ab")),
        ("@query", asked("a=b&c=d")),
        ("@query", asked("c=d&a=b")),
        ("@path,@query", asked("a=b")),
        ("@body", sent([0; 32])),
        ("@body", sent([1; 32])),
        ("@query,@body", sent([1; 32])),
        ("a", told(&[])),
        ("a", told(&[("a", "b")])),
        ("a", told(&[("a", "b"), ("a", "c")])),
        ("a", told(&[("a", "c"), ("a", "b")])),
        ("a", told(&[("a", "bc")])),
        ("a,c", told(&[("a", "b")])),
        ("a,c", told(&[("c", "b")])),
        ("c,a", told(&[("c", "b")])),
    ];
    let hashes: Vec<_> = cases
        .iter()
        .map(|(words, seen)| with(*seen, |view| view.bound(words)).unwrap())
        .collect();
    for (at, hash) in hashes.iter().enumerate() {
        assert_eq!(hashes.iter().position(|other| other == hash), Some(at));
    }
}

#[test]
fn names_of_captures_are_not_bound_and_a_body_must_be_known() {
    let of = |captures| {
        let seen = Seen {
            captures,
            ..Seen::default()
        };
        with(seen, |view| view.bound("@path"))
    };
    assert_eq!(of(&[("city", "oslo")]), of(&[("town", "oslo")]));
    for words in ["@body", "@query,@body,a"] {
        assert_eq!(with(Seen::default(), |view| view.bound(words)), None);
        let before = with(Seen::default(), |view| view.bound_before_words(words));
        assert_eq!(before, None);
    }
}

/// What was sold before an update must be served after it.
#[test]
fn what_is_bound_is_hashed_alike_in_every_version() {
    let seen = Seen {
        captures: &[("city", "oslo")],
        query: "units=metric",
        headers: &[("accept", "text/html"), ("accept", "*/*")],
        body: Some([7; 32]),
    };
    let words = "@path,@query,@body,accept";
    let hex = |hash: Option<[u8; 32]>| crate::codec::hex::encode(hash.unwrap());
    assert_eq!(
        hex(with(seen, |view| view.bound_before_words(words))),
        "c487a3a10344be1258559d096c039357a89896b871de1737faf58def78653b16"
    );
    assert_eq!(
        hex(with(seen, |view| view.bound(words))),
        "28576724e4862afbe7134ad7c6dbd1b1aa4f042feb2bf6b5c6999bb869dee305"
    );
}

#[test]
fn words_name_what_a_charge_binds() {
    let headers = ["accept".to_owned(), "x-size".to_owned()];
    for (access, is_priced, body, headers, expected) in [
        (Access::Once, false, false, &[][..], ""),
        (Access::Once, true, false, &[], "@query"),
        (
            Access::Once,
            true,
            true,
            &headers,
            "@query,@body,accept,x-size",
        ),
        (
            Access::ForDuration(std::time::Duration::ZERO),
            true,
            false,
            &headers[..1],
            "@path,@query,accept",
        ),
        (Access::Once, false, false, &headers, "accept,x-size"),
    ] {
        assert_eq!(words(access, is_priced, body, headers), expected);
    }
}
