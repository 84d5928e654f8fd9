//! The receipt of a paid request, for axum handlers.

use std::fmt;

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::payment::PaymentReceipt;

/// The verified receipt of the payment that this request is served for.
///
/// `Option<Paid>` is `None` where a request passed for free (no rule, no price, an allowance).
///
/// ```
/// use tower_x402::Paid;
///
/// async fn weather(Paid(receipt): Paid) -> String {
///     format!("sunny; you paid {}", receipt.payment())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(weather));
/// ```
///
/// A test of the handler calls it with a pretend receipt (feature `conformance`):
///
/// ```
/// # #[cfg(feature = "conformance")]
/// # {
/// # use tower_x402::Paid;
/// use tower_x402::{Amount, PaymentReceipt};
///
/// # async fn weather(Paid(receipt): Paid) -> String {
/// #     format!("sunny; you paid {}", receipt.payment())
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

/// A handler asked for [`Paid`] and no payment was made: a mistake of the server, answered with
/// 500.
#[derive(Clone, Copy, Debug)]
pub struct MissingReceipt(());

impl fmt::Display for MissingReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no payment receipt: add .route_layer(paywall.charge(..)?) to the route (an X402Layer), and where requests may pass for free take \
             Option<Paid> instead of Paid",
        )
    }
}

impl std::error::Error for MissingReceipt {}

impl IntoResponse for MissingReceipt {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
