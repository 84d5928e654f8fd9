use http::{HeaderMap, Request, header, request::Parts};

use super::{aside, keeping::ToKeep, settle::PaidUse};
use crate::{
    body::RequestBody,
    payment::{PaymentReceipt, Terms},
    server::{config::paywall::PaywallState, routes::rule::AnswerEnd},
};

/// A request for the inner service, and what to do with the answer.
pub(in crate::server) type Admitted<B> = (Request<RequestBody<B>>, Admission);

/// What the layer does with the inner service's answer.
#[derive(Default)]
pub(in crate::server) struct Admission {
    pub(in crate::server) paid: Option<PaidUse>,
    /// The receipt of what was paid, for the extensions of the answer.
    pub(in crate::server) receipt: Option<PaymentReceipt>,
    /// The request was paid, had a credential, or passed for free where others may have to pay. So
    /// shared caches must not keep the answer.
    pub(in crate::server) keep_private: bool,
    /// What is needed to keep the answer, if the charge keeps it.
    pub(in crate::server) to_keep: Option<Box<ToKeep>>,
    /// When the body of the answer ends, if the charge says so.
    pub(in crate::server) ends_at: Option<AnswerEnd>,
}

impl Admission {
    /// Runs a step of the inner service. A panic in it counts as a failure of the service.
    #[inline]
    pub(in crate::server) fn within<T>(&mut self, step: impl FnOnce() -> T) -> T {
        self.paid.iter_mut().for_each(|paid| paid.stepping(true));
        let done = step();
        self.paid.iter_mut().for_each(|paid| paid.stepping(false));
        done
    }
}

/// Removes the credentials of every enabled dialect, because one dialect may read a header that
/// another ignores. If the route uses `Authorization` for something else, it removes only the
/// credentials of this server from it. `is_alone` says that `Authorization` holds nothing but such a
/// credential: then it is not read again.
pub(in crate::server) fn strip(
    setup: &PaywallState,
    head: &mut Parts,
    terms: &Terms,
    is_alone: bool,
) {
    if !setup.keep_credentials {
        if is_alone {
            head.headers.remove(header::AUTHORIZATION);
        }
        strip_dialects(setup, &mut head.headers, terms);
    }
    if terms.authorization_taken {
        drop(aside::set_aside(setup, &mut head.headers));
    }
}

/// Removes the credentials of every enabled dialect and of this server, whatever the inner service
/// gets.
pub(in crate::server) fn strip_headers(
    setup: &PaywallState,
    headers: &mut HeaderMap,
    terms: &Terms,
) {
    strip_dialects(setup, headers, terms);
    if terms.authorization_taken {
        drop(aside::set_aside(setup, headers));
    }
}

fn strip_dialects(setup: &PaywallState, headers: &mut HeaderMap, terms: &Terms) {
    setup
        .dialects
        .iter()
        .for_each(|dialect| dialect.strip(headers, terms));
}
