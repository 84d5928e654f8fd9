//! Asks for the price of a request.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::Response;

use super::{answers, pending::PricedRequest, within};
use crate::{
    payment::Amount,
    server::config::{
        BoxError,
        price::{BadRequest, PriceFunction, PriceKind, PriceRequest},
    },
    trace,
};

/// How long a price function may take to say that what was bought is free now.
pub(in crate::server) const WAIT_FOR_FREE: Duration = Duration::from_secs(1);

/// The result of asking for the price.
pub(in crate::server) enum PriceAnswer {
    Amount(Amount),
    Free,
    Answer(Box<Response<Bytes>>),
}

/// Asks for the price of a request. `body` is empty unless the charge reads it.
pub(in crate::server) async fn quote(asked: &PricedRequest, body: Bytes) -> PriceAnswer {
    let unavailable = |why: fmt::Arguments<'_>| {
        trace::error(format_args!(
            "no price for {}: {why}",
            asked.place.target.path()
        ));
        PriceAnswer::Answer(Box::new(answers::unavailable(
            "the price of this request is not available now",
        )))
    };
    let answer = match (&asked.rule.charge.price.0, &asked.seen) {
        (PriceKind::Fixed(amount), _) => Ok(Some(*amount)),
        (PriceKind::Function(_), None) => {
            return unavailable(format_args!(
                "there is nothing to show to the price function"
            ));
        }
        (PriceKind::Function(function), Some(seen)) => {
            let (seen, misread) = seen.for_one_run(body);
            let answer =
                match within(asked.setup().time_limit, caught(function.clone(), seen)).await {
                    None => return unavailable(format_args!("the price function took too long")),
                    Some(Err(Panicked)) => {
                        return unavailable(format_args!("the price function panicked"));
                    }
                    Some(Ok(answer)) => answer,
                };
            if let Some(why) = misread.get() {
                return unavailable(format_args!("{why}"));
            }
            answer
        }
    };
    match answer {
        Ok(Some(amount)) if amount.is_zero() => unavailable(format_args!(
            "the price function returned zero: return Ok(None) for free"
        )),
        Ok(Some(amount)) if amount > Amount::ALL_BITCOIN => unavailable(format_args!(
            "the price function returned more than 21 million bitcoin"
        )),
        Ok(Some(amount)) if asked.setup().profile.whole_sats_only => {
            match amount.rounded_up_to_sat() {
                Some(amount) => PriceAnswer::Amount(amount),
                None => unavailable(format_args!(
                    "the price cannot be rounded up to whole satoshis"
                )),
            }
        }
        Ok(Some(amount)) => PriceAnswer::Amount(amount),
        Ok(None) => PriceAnswer::Free,
        Err(error) => match error.downcast_ref::<BadRequest>() {
            Some(bad) => PriceAnswer::Answer(Box::new(answers::bad_request(&bad.to_string()))),
            None => unavailable(format_args!("{error}")),
        },
    }
}

struct Panicked;

/// Calls a price function, and turns its panic into an error.
async fn caught(
    function: Arc<PriceFunction>,
    request: PriceRequest,
) -> Result<Result<Option<Amount>, BoxError>, Panicked> {
    let mut answer = catch_unwind(AssertUnwindSafe(|| function(request))).map_err(|_| Panicked)?;
    std::future::poll_fn(move |cx| {
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}
