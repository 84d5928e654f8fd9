use http::{Request, request::Parts};

use super::{aside, paywall::Setup, settle::Paid};
use crate::{body::RequestBody, payment::Terms};

/// What goes to the inner service.
pub(super) type Admitted<B> = (Request<RequestBody<B>>, Admission);

/// What becomes of the inner service's answer.
#[derive(Default)]
pub(super) struct Admission {
    pub(super) paid: Option<Paid>,
    /// A credential came with the request: shared caches must not keep the answer.
    pub(super) keep_private: bool,
}

impl Admission {
    /// A step of the inner service.
    #[inline]
    pub(super) fn within<T>(&mut self, step: impl FnOnce() -> T) -> T {
        self.paid.iter_mut().for_each(|paid| paid.stepping(true));
        let done = step();
        self.paid.iter_mut().for_each(|paid| paid.stepping(false));
        done
    }
}

/// Takes out the credentials that stop here: every dialect's, for one may read a field that another
/// never looks at. A field that is the application's own loses those of this server.
pub(super) fn strip(setup: &Setup, head: &mut Parts, terms: &Terms) {
    if !setup.keep_credentials {
        setup
            .dialects
            .iter()
            .for_each(|dialect| dialect.strip(&mut head.headers, terms));
    }
    if terms.authorization_taken {
        drop(aside::set_aside(setup, &mut head.headers));
    }
}
