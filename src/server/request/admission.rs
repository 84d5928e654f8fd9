use http::{Request, request::Parts};

use super::{aside, settle::PaidUse};
use crate::{
    body::RequestBody,
    payment::{PaymentReceipt, Terms},
    server::config::paywall::PaywallState,
};

/// What goes to the inner service.
pub(in crate::server) type Admitted<B> = (Request<RequestBody<B>>, Admission);

/// What becomes of the inner service's answer.
#[derive(Default)]
pub(in crate::server) struct Admission {
    pub(in crate::server) paid: Option<PaidUse>,
    /// The receipt of what was paid, for the extensions of the answer.
    pub(in crate::server) receipt: Option<PaymentReceipt>,
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
/// never looks at. A field that is the application's own loses those of this server.
pub(in crate::server) fn strip(setup: &PaywallState, head: &mut Parts, terms: &Terms) {
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
