//! Step 1 of the gate: which rule prices a request.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};

use super::{
    answers,
    routes::{self, Captured, Lookup},
    rule::Rule,
    shop::{Pricing, Shop},
    target,
};
use crate::trace;

/// What the table says of a request. Told apart before anything is moved, so that free requests pay
/// next to nothing.
pub(super) enum Triage<'s> {
    Free,
    Priced(&'s Arc<Rule>, Vec<(String, String)>),
    Answer(Box<Response<Bytes>>),
}

/// Asks the table, or the one rule of a layer without.
#[inline]
pub(super) fn triage<'s, B>(shop: &'s Shop, request: &Request<B>) -> Triage<'s> {
    let answer = match &shop.pricing {
        Pricing::Every(_) if request.method() == Method::OPTIONS => {
            answers::methods(StatusCode::NO_CONTENT, None)
        }
        Pricing::Every(_) if is_broken(request) => answers::bad_request(BROKEN),
        Pricing::Every(rule) => {
            let captures = if rule.charge.price.fixed().is_some() {
                Vec::new()
            } else {
                captures_of_the_route(request)
            };
            return Triage::Priced(rule, captures);
        }
        Pricing::Table(rules) => {
            let original = target::original_uri(request.extensions(), request.uri());
            let original = (!std::ptr::eq(original, request.uri())).then(|| original.path());
            let is_connect_protocol =
                *request.method() == Method::CONNECT && request.uri().path().starts_with('/');
            match rules.lookup(
                request.method(),
                request.uri().path(),
                original,
                is_connect_protocol,
            ) {
                Lookup::Free => return Triage::Free,
                // The rest of the path was looked up; a nest may capture what stands before it.
                Lookup::Priced { .. } if original.is_some_and(routes::is_broken) => {
                    answers::bad_request(BROKEN)
                }
                Lookup::Priced { .. }
                    if original.is_some_and(|original| {
                        target::is_rewritten(original, request.uri().path())
                    }) =>
                {
                    trace::error(format_args!(
                        "a layer between the router and the price table has rewritten {} to {}: what is priced would not be \
                         what is bound; put the table outside of it",
                        original.unwrap_or_default(),
                        request.uri().path()
                    ));
                    answers::misconfigured()
                }
                Lookup::Priced {
                    value, captured, ..
                } => {
                    let captures = if value.charge.price.fixed().is_some() {
                        Vec::new()
                    } else {
                        owned(&captured, request.uri().path())
                    };
                    return Triage::Priced(value, captures);
                }
                Lookup::Closed => answers::not_found(),
                Lookup::Options { allow } => answers::methods(StatusCode::NO_CONTENT, Some(allow)),
                Lookup::MethodNotAllowed { allow } => {
                    answers::methods(StatusCode::METHOD_NOT_ALLOWED, Some(allow))
                }
                Lookup::Ambiguous => answers::bad_request(
                    "this path can be read in two ways that have different prices: write it plainly",
                ),
                Lookup::Misplaced(mistake) => {
                    trace::error(format_args!("{mistake}"));
                    answers::misconfigured()
                }
            }
        }
    };
    Triage::Answer(Box::new(answer))
}

const BROKEN: &str = "the path holds control bytes, or bytes that are not UTF-8";

/// Whether the path is broken, as the client sent it or as the inner service sees it.
fn is_broken<B>(request: &Request<B>) -> bool {
    let original = target::original_uri(request.extensions(), request.uri());
    routes::is_broken(request.uri().path()) || routes::is_broken(original.path())
}

/// What the route's own pattern captures, where the layer stands on a route and a price function
/// will see it.
fn captures_of_the_route<B>(request: &Request<B>) -> Vec<(String, String)> {
    let path = target::original_uri(request.extensions(), request.uri()).path();
    target::matched_path(request.extensions())
        .map(|pattern| routes::captures(pattern, path))
        .unwrap_or_default()
}

fn owned(captured: &Captured<'_>, path: &str) -> Vec<(String, String)> {
    captured
        .decoded(path)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_owned()))
        .collect()
}
