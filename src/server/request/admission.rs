use http::{Request, header, request::Parts};

use super::{aside, settle::PaidUse};
use crate::{body::RequestBody, payment::Terms, server::config::paywall::PaywallState};

/// What goes to the inner service.
pub(in crate::server) type Admitted<B> = (Request<RequestBody<B>>, Admission);

/// What becomes of the inner service's answer.
#[derive(Default)]
pub(in crate::server) struct Admission {
    pub(in crate::server) paid: Option<PaidUse>,
    /// A credential came with the request: shared caches must not keep the answer.
    pub(in crate::server) keep_private: bool,
}

impl Admission {
    /// A step of the inner service.
    #[inline]
    pub(in crate::server) fn within<T>(&mut self, step: impl FnOnce() -> T) -> T {
        self.paid.iter_mut().for_each(|paid| paid.stepping(true));
        let done = step();
        self.paid.iter_mut().for_each(|paid| paid.stepping(false));
        done
    }
}

/// Takes out the credentials that stop here: every dialect's, for one may read a field that another
/// never looks at. A field that is the application's own loses those of this server. If it is known
/// of `Authorization` that it holds nothing but such a credential, it is not read again.
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
        setup
            .dialects
            .iter()
            .for_each(|dialect| dialect.strip(&mut head.headers, terms));
    }
    if terms.authorization_taken {
        drop(aside::set_aside(setup, &mut head.headers));
    }
}
