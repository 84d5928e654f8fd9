//! The layer's own answers: problem details (RFC 9457), never cached.

mod grpc;
mod payment_required;
mod problem;
mod sold;

pub(in crate::server) use self::{
    grpc::GrpcStatus,
    payment_required::{Offer, payment_required},
    problem::{
        bad_request, body_cut_off, body_too_large, body_too_slow, identifier_taken, in_use,
        misconfigured, misdirected, too_many, too_often, unavailable, unpriced,
    },
};
