//! If axum routes a request to a priced handler, a table of the same routes gives it the same
//! price. It never lets it pass for free.
//!
//! The input is a list of lines: `$GET /pattern` is a priced route, `.GET /pattern` a free route,
//! and `GET /path` a request.
#![no_main]

use axum::{
    Router,
    body::Body,
    routing::{MethodFilter, on},
};
use futures_util::FutureExt as _;
use http::{Method, Request};
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt as _;

#[allow(dead_code, unused_imports)]
#[path = "../../src/server/routes/matching/mod.rs"]
mod routes;

use routes::{Lookup, Otherwise, Rules};

#[derive(Debug)]
struct Route<'a> {
    method: Method,
    filter: MethodFilter,
    pattern: &'a str,
    price: Option<usize>,
}

fn request(line: &str) -> Option<(Method, &str)> {
    let (method, path) = line.split_once(' ')?;
    Some((Method::from_bytes(method.as_bytes()).ok()?, path))
}

fn route(number: usize, line: &str) -> Option<Route<'_>> {
    let is_priced = line.starts_with('$');
    let (method, pattern) = request(line.strip_prefix(['$', '.'])?)?;
    let filter = MethodFilter::try_from(method.clone()).ok()?;
    Some(Route {
        method,
        filter,
        pattern,
        // Some cost the same.
        price: is_priced.then_some(number % 4 + 1),
    })
}

/// Adds a route, unless axum would panic because of it. Our own matcher is tried first.
fn add(
    router: Router,
    held: &mut (matchit::Router<()>, Vec<(String, Method)>),
    route: &Route<'_>,
) -> Option<Router> {
    let (matcher, known) = held;
    let is_old = known.iter().any(|(pattern, _)| pattern == route.pattern);
    let is_taken = known
        .iter()
        .any(|(pattern, method)| pattern == route.pattern && *method == route.method);
    let is_ours = route.pattern.starts_with('/') && route.pattern.matches('{').count() < 24;
    let is_old_syntax = route
        .pattern
        .split('/')
        .any(|segment| segment.starts_with([':', '*']));
    if is_taken
        || !is_ours
        || is_old_syntax
        || !(is_old || matcher.insert(route.pattern, ()).is_ok())
    {
        return None;
    }
    known.push((route.pattern.to_owned(), route.method.clone()));
    let price = route.price.unwrap_or(0);
    let handler = move || async move { [("x-price", price.to_string())] };
    Some(router.route(route.pattern, on(route.filter, handler)))
}

fuzz_target!(|text: &str| {
    let lines: Vec<_> = text
        .lines()
        .take(32)
        .filter(|line| line.len() < 256)
        .collect();
    let (mut router, mut held, mut table) = (Router::new(), Default::default(), Vec::new());
    for route in lines
        .iter()
        .enumerate()
        .filter_map(|(number, line)| route(number, line))
    {
        if let Some(more) = add(router.clone(), &mut held, &route) {
            router = more;
            table.extend(
                route
                    .price
                    .map(|price| (format!("{} {}", route.method, route.pattern), Some(price))),
            );
        }
    }
    let Ok(rules) = Rules::compile(table, Some(Otherwise::Free), PartialEq::eq) else {
        return;
    };
    for (method, path) in lines.iter().filter_map(|line| request(line)) {
        let Ok(request) = Request::builder()
            .method(&method)
            .uri(path)
            .body(Body::empty())
        else {
            continue;
        };
        let seen = request.uri().path().to_owned();
        let Some(Ok(response)) = router.clone().oneshot(request).now_or_never() else {
            continue;
        };
        let price = response
            .headers()
            .get("x-price")
            .and_then(|price| price.to_str().ok()?.parse::<usize>().ok());
        match (price, rules.lookup(&method, &seen, None, false)) {
            (Some(price), Lookup::Free) => assert_eq!(price, 0, "{method} {seen} is free"),
            (
                Some(price),
                Lookup::Priced {
                    value, captured, ..
                },
            ) if price > 0 => {
                assert_eq!(price, *value, "{method} {seen} has another price");
                captured.decoded(&seen);
            }
            _ => {}
        }
    }
});
