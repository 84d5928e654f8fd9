//! What a CORS layer outside must let through, so that a page of another origin can pay.

use http::{HeaderName, header};

/// Request headers to allow: the credentials of all dialects, and what their stock clients send beside them.
#[must_use]
pub fn request_headers() -> Vec<HeaderName> {
    let own = ["payment-signature", "payment-authorization", "accept-payment", "access-control-expose-headers"]
        .map(HeaderName::from_static);
    [header::AUTHORIZATION, header::CONTENT_TYPE].into_iter().chain(own).collect()
}

/// Response headers to expose: the challenges and receipts of all dialects.
#[must_use]
pub fn exposed_headers() -> Vec<HeaderName> {
    let own = ["payment-required", "payment-response", "x-payment-response", "payment-receipt"].map(HeaderName::from_static);
    [header::WWW_AUTHENTICATE, header::RETRY_AFTER].into_iter().chain(own).collect()
}
