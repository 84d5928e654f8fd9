//! Whose fault an answer is: what a charge says about uses that failed.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use http::{Response, StatusCode};

use crate::trace;

/// Which answers of the inner service are failures, and who gets a failed use back.
#[derive(Clone, Default)]
pub(in crate::server) struct Failures {
    /// Decides instead of the status.
    is_failed: Option<Arc<IsFailed>>,
    /// Failed uses are given back in every dialect.
    pub(in crate::server) in_every_dialect: bool,
}

type IsFailed = dyn Fn(&Response<()>) -> bool + Send + Sync;

impl Failures {
    /// Lets a function decide instead of the status.
    pub(in crate::server) fn decide_by(
        &mut self,
        is_failed: impl Fn(&Response<()>) -> bool + Send + Sync + 'static,
    ) {
        self.is_failed = Some(Arc::new(is_failed));
    }

    /// Returns whether nothing was set.
    pub(in crate::server) const fn are_usual(&self) -> bool {
        self.is_failed.is_none() && !self.in_every_dialect
    }

    /// Returns whether this answer is a failure of the service.
    pub(super) fn include<R>(&self, response: &mut Response<R>, by_default: bool) -> bool {
        let Some(is_failed) = &self.is_failed else {
            return by_default;
        };
        // The function sees the head as it is, without a copy.
        let mut head = Response::new(());
        swap_heads(&mut head, response);
        let said = catch_unwind(AssertUnwindSafe(|| is_failed(&head)));
        swap_heads(&mut head, response);
        said.unwrap_or_else(|_| {
            trace::error(format_args!(
                "the function of .failed_if(..) panicked, so the status of an answer decided whether its use is given back"
            ));
            by_default
        })
    }
}

/// Whether a status says that the service did not do its work. 408, 425 and 429 come from time
/// limits and limiters around the handler.
pub(super) fn is_failure(status: StatusCode) -> bool {
    let too_early = status.as_u16() == 425;
    let refused = status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::TOO_MANY_REQUESTS;
    status.is_server_error() || too_early || refused
}

fn swap_heads<A, B>(one: &mut Response<A>, other: &mut Response<B>) {
    std::mem::swap(one.status_mut(), other.status_mut());
    std::mem::swap(one.version_mut(), other.version_mut());
    std::mem::swap(one.headers_mut(), other.headers_mut());
    std::mem::swap(one.extensions_mut(), other.extensions_mut());
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failures")
            .field("in_every_dialect", &self.in_every_dialect)
            .finish_non_exhaustive()
    }
}
