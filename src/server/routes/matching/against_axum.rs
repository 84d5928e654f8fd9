//! A path that axum routes to a priced handler is never free by a table of the same routes, nor has
//! it another price.

use axum::{
    Router,
    routing::{get, post},
};
use futures_util::FutureExt as _;
use http::{Method, Request};
use proptest::prelude::*;
use tower::ServiceExt as _;

use super::{Lookup, Otherwise, tests::table, tree};

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "A", "ab", "%61", "{x}", "{y}", "a{x}", "@{x}", "a.b", "{{b}}",
    ])
}

fn pattern() -> impl Strategy<Value = String> {
    let end = prop::sample::select(vec!["", "", "", "/", "/{*r}", "/a{*r}"]);
    (prop::collection::vec(segment(), 0..4), end).prop_map(|(segments, end)| {
        let path: String = segments
            .iter()
            .map(|segment| format!("/{segment}"))
            .chain([end.to_owned()])
            .collect();
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
    })
}

fn path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a", "b", "A", "@", ".", "..", "/", "/", "/", "//", "/a", "/b", "/ab", "/A", "%61",
        "%2561", "%2f", "%2F", "%5c", "\\", ";v", "%00", "%ff", "%2e%2e", "{b}", "%7Bb%7D", "a.b",
        "%zz",
    ]);
    prop::collection::vec(part, 0..7).prop_map(|parts| format!("/{}", parts.concat()))
}

/// A path that the pattern means, with `filling` in its captures, and then some.
fn filled(pattern: &str, filling: &str, suffix: &str) -> String {
    let segments = pattern
        .split('/')
        .skip(1)
        .map(|segment| match segment.find('{') {
            Some(_) if segment == "{{b}}" => "/{b}".to_owned(),
            Some(start) => format!("/{}{filling}", &segment[..start]),
            None => format!("/{segment}"),
        });
    segments.chain([suffix.to_owned()]).collect()
}

fn suffix() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "", "", "", "", "/", "/.", "//", ";v", "/..", "%2f", "%20",
    ])
}

fn method() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![
        Method::GET,
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
    ])
}

fn filling() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "", "a", "b", "A", "c", "%61", "a/b", "..", "a%2fb", "a;v", "%00",
    ])
}

/// Routes of (pattern, whether POST, price), of which axum can hold all.
fn routes() -> impl Strategy<Value = Vec<(String, bool, u32)>> {
    prop::collection::vec(
        (
            pattern(),
            any::<bool>(),
            prop::sample::select(vec![0_u32, 1, 1, 1]),
        ),
        1..8,
    )
    .prop_map(|drawn| {
        let mut routes: Vec<(String, bool, u32)> = Vec::new();
        for (i, (pattern, is_post, priced)) in drawn.into_iter().enumerate() {
            // Some cost the same.
            let price = priced * (u32::try_from(i).unwrap() % 4 + 1);
            if routes.iter().all(|(other, other_post, _)| {
                if *other == pattern {
                    *other_post != is_post
                } else {
                    !tree::conflict(other, &pattern)
                }
            }) {
                routes.push((pattern, is_post, price));
            }
        }
        routes
    })
}

fn router(routes: &[(String, bool, u32)]) -> Router {
    routes
        .iter()
        .fold(Router::new(), |router, (pattern, is_post, price)| {
            let price = *price;
            let handler = move || async move { [("x-price", price.to_string())] };
            router.route(
                pattern,
                if *is_post {
                    post(handler)
                } else {
                    get(handler)
                },
            )
        })
}

/// What the handler that axum routes to costs; `None` where it routes to none.
fn routed(router: &Router, method: &Method, path: &str) -> Option<u32> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(axum::body::Body::empty())
        .ok()?;
    assert_eq!(request.uri().path(), path);
    let response = router
        .clone()
        .oneshot(request)
        .now_or_never()
        .expect("the handlers do not wait")
        .unwrap();
    response
        .headers()
        .get("x-price")
        .map(|price| price.to_str().unwrap().parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_axum_routes_to_a_priced_handler_is_never_free(
        routes in routes(),
        free_is_spelled in any::<bool>(),
        drawn in prop::collection::vec((method(), path()), 1..6),
        meant in prop::collection::vec((method(), any::<prop::sample::Index>(), filling(), suffix()), 1..12),
    ) {
        let entries: Vec<_> = routes
            .iter()
            .filter(|(_, _, price)| *price > 0 || free_is_spelled)
            .map(|(pattern, is_post, price)| (format!("{} {pattern}", if *is_post { "POST" } else { "GET" }), *price))
            .collect();
        let entries: Vec<_> = entries.iter().map(|(rule, price)| (rule.as_str(), *price)).collect();
        // A table that calls its own rules a mistake serves nothing.
        let Ok(rules) = table(&entries, Otherwise::Free) else { return Ok(()) };
        let router = router(&routes);
        let meant = meant.into_iter().map(|(method, route, filling, suffix)| (method, filled(&route.get(&routes).0, filling, suffix)));
        for (method, path) in &drawn.into_iter().chain(meant).collect::<Vec<_>>() {
            let lookup = rules.lookup(method, path, None, false);
            match (routed(&router, method, path), lookup) {
                (Some(price), Lookup::Free) => prop_assert_eq!(price, 0, "{} {} is free by {:?}", method, path, entries),
                (Some(price), Lookup::Priced { value, .. }) if price > 0 => {
                    prop_assert_eq!(price, *value, "{} {} is priced otherwise in {:?}", method, path, entries);
                }
                _ => {}
            }
        }
    }
}
