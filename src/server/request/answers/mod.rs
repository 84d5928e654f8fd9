//! Answers of the layer's own: problem details (RFC 9457), never cached.

mod caches;
mod payment_required;
mod problem;
mod sold;

pub(in crate::server) use self::{
    caches::keep_private,
    payment_required::{Offer, payment_required},
    problem::{
        bad_request, body_too_large, body_too_slow, misconfigured, misdirected, too_many,
        too_often, unavailable, unpriced,
    },
};
