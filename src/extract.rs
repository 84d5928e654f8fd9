//! The axum extractor for the receipt of a paid request.

use std::fmt;

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::payment::PaymentReceipt;

/// An axum extractor for the receipt of the payment that paid for this request.
///
/// `Option<Paid>` is `None` if the request passed for free: no rule prices it, its price is `None`,
/// or a free allowance covered it.
///
/// ```
/// use tower_x402::Paid;
///
/// async fn weather(Paid(receipt): Paid) -> String {
///     format!("sunny; you paid {}", receipt.amount())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(weather));
/// ```
///
/// A test can call the handler with a receipt made for tests (feature `conformance`):
///
/// ```
/// # #[cfg(feature = "conformance")]
/// # {
/// # use tower_x402::Paid;
/// use tower_x402::{Amount, PaymentReceipt};
///
/// # async fn weather(Paid(receipt): Paid) -> String {
/// #     format!("sunny; you paid {}", receipt.amount())
/// # }
/// # tokio_test::block_on(async {
/// assert_eq!(weather(Paid(PaymentReceipt::for_tests(Amount::from_sat(10)))).await, "sunny; you paid 10 sat");
/// # });
/// # }
/// ```
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "handlers destructure it")]
pub struct Paid(pub PaymentReceipt);

impl<S: Sync> FromRequestParts<S> for Paid {
    type Rejection = MissingReceipt;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingReceipt> {
        parts
            .extensions
            .get()
            .cloned()
            .map(Self)
            .ok_or(MissingReceipt(()))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Paid {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get().cloned().map(Self))
    }
}

/// The rejection if a handler takes [`Paid`] and the request was not paid. It is a mistake in the
/// server, so the answer is 500.
#[derive(Clone, Copy, Debug)]
pub struct MissingReceipt(());

impl fmt::Display for MissingReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no payment receipt: add .route_layer(paywall.charge(..)?) to the route, or take Option<Paid> if requests may pass for free",
        )
    }
}

impl std::error::Error for MissingReceipt {}

impl IntoResponse for MissingReceipt {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
