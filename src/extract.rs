//! The axum extractor for the receipt of a paid request.

use std::{collections::BTreeSet, fmt, sync::Mutex};

use axum::extract::MatchedPath;
use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};

use crate::{
    lock::lock,
    payment::{PaymentReceipt, ResolvedClient},
    trace,
};

/// An axum extractor for the receipt of the payment for this request.
///
/// `Option<Paid>` is `None` if the request passed for free: no rule prices it, its price is `None`,
/// or a free allowance covered it. In the last two cases [`ResolvedClient::of`] tells who sent it.
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
/// A test can call the handler with a receipt made for tests (feature `conformance`):
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
        let receipt = parts.extensions.get().cloned();
        receipt.map(Self).ok_or_else(|| MissingReceipt {
            passed_for_free: parts.extensions.get::<ResolvedClient>().is_some(),
            route: parts.extensions.get().cloned(),
        })
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Paid {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get().cloned().map(Self))
    }
}

/// The rejection if a handler takes [`Paid`] and the request was not paid. The cause is a mistake
/// in the server's set-up.
///
/// The answer is 500 with a body that tells clients nothing. The log says at ERROR what to change,
/// once for each route: put the layer on the route (`.route_layer(paywall.charge(..)?)`), or take
/// `Option<Paid>` if requests may pass for free.
#[derive(Clone, Debug)]
pub struct MissingReceipt {
    /// A layer priced the request, and let it pass for free.
    passed_for_free: bool,
    route: Option<MatchedPath>,
}

impl MissingReceipt {
    /// Logs what to change, once for each route.
    fn log(&self) {
        let route = self.route.as_ref().map_or("(unknown)", MatchedPath::as_str);
        let mut logged = lock(&LOGGED);
        if logged.len() >= MAX_LOGGED || !logged.insert(route.to_owned()) {
            return;
        }
        drop(logged);
        let advice = match self.passed_for_free {
            true => {
                "requests may pass for free there (`None` as the price, a free allowance), so take Option<Paid> instead of Paid"
            }
            false => "no layer prices it: add .route_layer(paywall.charge(..)?) to the route",
        };
        trace::error(format_args!(
            "the handler of the route {route} takes Paid, and a request came to it without a payment: {advice}"
        ));
    }
}

/// The routes whose handlers were logged.
static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// How many routes are logged. More are not, so that the set stays small.
const MAX_LOGGED: usize = 256;

impl fmt::Display for MissingReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no payment receipt for this request")
    }
}

impl std::error::Error for MissingReceipt {}

impl IntoResponse for MissingReceipt {
    fn into_response(self) -> Response {
        self.log();
        (StatusCode::INTERNAL_SERVER_ERROR, "internal server error").into_response()
    }
}
