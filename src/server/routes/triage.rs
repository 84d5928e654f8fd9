//! Step 1 of the gate: which rule prices a request.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode};

use super::{
    matching::{self, Captured, Lookup},
    priced::{PricedRoutes, Pricing},
    rule::Rule,
};
use crate::{server::origin, trace};

/// What the table says of a request. Told apart before anything is moved, so that free requests pay
/// next to nothing.
pub(in crate::server) enum Triage<'s> {
    Free,
    Priced(&'s Arc<Rule>, Vec<(String, String)>),
    Unpriced(Unpriced),
}

/// Why a request that is not free has no price.
pub(in crate::server) enum Unpriced {
    /// It cannot be read in one way only.
    BadRequest(&'static str),
    /// No rule names its path.
    NotFound,
    /// `OPTIONS`, or a method that no rule of the path names; the methods that rules name.
    Methods(StatusCode, Option<HeaderValue>),
    /// Layers are in the wrong order; the log says which.
    Misconfigured,
}

/// Asks the table, or the one rule of a layer without.
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
                // The rest of the path was looked up; a nest may capture what stands before it.
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
                    "this path can be read in two ways that have different prices: write it plainly",
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

const BROKEN: &str = "the path holds control bytes, or bytes that are not UTF-8";

/// Whether the path is broken, as the client sent it or as the inner service sees it.
fn is_broken<B>(request: &Request<B>) -> bool {
    let original = origin::original_uri(request.extensions(), request.uri());
    matching::is_broken(request.uri().path()) || matching::is_broken(original.path())
}

/// What the route's own pattern captures, where the layer stands on a route and a price function
/// will see it.
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
