//! Answers of the layer's own: problem details (RFC 9457), never cached.

mod caches;
mod payment_required;
mod problem;

pub(super) use self::{
    caches::keep_private,
    payment_required::payment_required,
    problem::{
        bad_request, body_too_large, body_too_slow, methods, misconfigured, misdirected, not_found,
        too_many, too_often, unavailable,
    },
};
