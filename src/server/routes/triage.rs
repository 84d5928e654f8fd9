//! Step 1 of the gate: finds the rule that prices a request.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode};

use super::{
    matching::{self, Captured, Lookup},
    priced::{PricedRoutes, Pricing},
    rule::Rule,
};
use crate::{server::origin, trace};

/// What the table decides about a request. It is decided before anything is moved, so that free
/// requests cost almost nothing.
pub(in crate::server) enum Triage<'s> {
    Free,
    Priced(&'s Arc<Rule>, Vec<(String, String)>),
    Unpriced(Unpriced),
}

/// Why a request that is not free has no price.
pub(in crate::server) enum Unpriced {
    /// Its path is ambiguous.
    BadRequest(&'static str),
    /// No rule matches its path.
    NotFound,
    /// `OPTIONS`, or a method without a rule on this path, with the methods that have one.
    Methods(StatusCode, Option<HeaderValue>),
    /// The layers are in the wrong order. The log says which.
    Misconfigured,
}

/// Looks up the table, or takes the one rule of a layer without a table.
#[inline]
pub(in crate::server) fn triage<'s, B>(
    routes: &'s PricedRoutes,
    request: &Request<B>,
) -> Triage<'s> {
    let unpriced = match &routes.pricing {
        Pricing::Every(_) if request.method() == Method::OPTIONS => {
            Unpriced::Methods(StatusCode::NO_CONTENT, None)
        }
        Pricing::Every(_) if is_broken(request) => Unpriced::BadRequest(BROKEN),
        Pricing::Every(rule) => {
            let captures = if rule.charge.price.fixed().is_some() {
                Vec::new()
            } else {
                captures_of_the_route(request)
            };
            return Triage::Priced(rule, captures);
        }
        Pricing::Table(rules) => {
            let original = origin::original_uri(request.extensions(), request.uri());
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
                // Only the rest of the path was looked up. A nest may capture what stands before
                // it.
                Lookup::Priced { .. } if original.is_some_and(matching::is_broken) => {
                    Unpriced::BadRequest(BROKEN)
                }
                Lookup::Priced { .. }
                    if original.is_some_and(|original| {
                        origin::is_rewritten(original, request.uri().path())
                    }) =>
                {
                    trace::error(format_args!(
                        "a layer between the router and the price table has rewritten {} to {}: what is priced would not be \
                         what is bound; put the table outside of it",
                        original.unwrap_or_default(),
                        request.uri().path()
                    ));
                    Unpriced::Misconfigured
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
                Lookup::Closed => Unpriced::NotFound,
                Lookup::Options { allow } => Unpriced::Methods(StatusCode::NO_CONTENT, Some(allow)),
                Lookup::MethodNotAllowed { allow } => {
                    Unpriced::Methods(StatusCode::METHOD_NOT_ALLOWED, Some(allow))
                }
                Lookup::Ambiguous => Unpriced::BadRequest(
                    "this path can be read in two ways that do not have the same price: write it in small letters, without encoded, \
                     doubled or trailing slashes, dot segments, `\\` and `;`, or send such a value in the query if the server takes it \
                     there",
                ),
                Lookup::Misplaced(mistake) => {
                    trace::error(format_args!("{mistake}"));
                    Unpriced::Misconfigured
                }
            }
        }
    };
    Triage::Unpriced(unpriced)
}

const BROKEN: &str = "the path contains control bytes, or bytes that are not UTF-8";

/// Whether the path is broken, as the client sent it or as the inner service sees it.
fn is_broken<B>(request: &Request<B>) -> bool {
    let original = origin::original_uri(request.extensions(), request.uri());
    matching::is_broken(request.uri().path()) || matching::is_broken(original.path())
}

/// What the route's own pattern captures, for a layer on one route. The price function sees it.
fn captures_of_the_route<B>(request: &Request<B>) -> Vec<(String, String)> {
    let path = origin::original_uri(request.extensions(), request.uri()).path();
    origin::matched_path(request.extensions())
        .map(|pattern| matching::captures(pattern, path))
        .unwrap_or_default()
}

fn owned(captured: &Captured<'_>, path: &str) -> Vec<(String, String)> {
    captured
        .decoded(path)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_owned()))
        .collect()
}
