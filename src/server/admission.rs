use http::Request;

use super::settle::Paid;
use crate::body::RequestBody;

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
