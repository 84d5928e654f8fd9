//! The headers that an outer CORS layer must allow and expose, so that a page of another origin can
//! pay.
//!
//! ```
//! use axum::{Router, routing::get};
//! use http::Method;
//! use tower_http::cors::{Any, CorsLayer};
//! use tower_x402::{Amount, MemoryStore, Paywall, lightning::LocalNode, server::cors};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let paywall = Paywall::builder(LocalNode::new())
//! #     .origin("https://api.example.com")
//! #     .master_secret(tower_x402::Secrets::test_secret(7))
//! #     .replay_store(MemoryStore::new()?)
//! #     .build()?;
//! let app: Router = Router::new()
//!     .route("/weather", get(|| async { "sunny" }).route_layer(paywall.charge(Amount::from_sat(10))?))
//!     .layer(
//!         CorsLayer::new() // last, and so outermost: preflights never reach the paywall
//!             .allow_origin(Any)
//!             .allow_methods([Method::GET])
//!             .allow_headers(cors::request_headers())
//!             .expose_headers(cors::exposed_headers()),
//!     );
//! # let _ = app;
//! # Ok(())
//! # }
//! ```

use http::{HeaderName, header};

use crate::dialect::list::{answer_fields, request_fields};

/// Returns the request headers to allow: the credentials of all dialects, and the other headers
/// that existing clients of these dialects send.
#[must_use]
pub fn request_headers() -> Vec<HeaderName> {
    [header::AUTHORIZATION, header::CONTENT_TYPE]
        .into_iter()
        .chain(request_fields())
        .collect()
}

/// Returns the response headers to expose: the challenges and receipts of all dialects.
#[must_use]
pub fn exposed_headers() -> Vec<HeaderName> {
    [header::WWW_AUTHENTICATE, header::RETRY_AFTER]
        .into_iter()
        .chain(answer_fields())
        .collect()
}
