//! Counts an invoice among those of all instances, before the node is asked to make it.

use bytes::Bytes;
use http::Response;

use super::{answers, pending::PricedRequest, within};
use crate::{
    server::limit::{Slot, TooMany, Unclaimed},
    trace,
};

/// Claims a number for the invoice of a slot, if instances share their limits. If the store fails,
/// there is no invoice: a store that is down must not open the node to a flood.
///
/// # Errors
///
/// The answer: 429 if there are too many invoices, 503 if the store fails.
pub(super) async fn number(asked: &PricedRequest, slot: &Slot) -> Result<(), Box<Response<Bytes>>> {
    let setup = asked.setup();
    let claim = slot.claim(setup.clock.now(), asked.rule.terms.invoice_expiry);
    match within(setup.time_limit, claim).await {
        Some(Ok(())) => Ok(()),
        Some(Err(Unclaimed::TooMany(too_many))) => Err(Box::new(refused(asked, too_many))),
        Some(Err(Unclaimed::Store(error))) => {
            trace::error(format_args!(
                "no invoice, because unpaid invoices could not be counted: {error}"
            ));
            Err(Box::new(answers::unavailable(UNCOUNTED)))
        }
        None => {
            trace::error(format_args!(
                "no invoice, because the store of unpaid invoices did not answer in time"
            ));
            Err(Box::new(answers::unavailable(UNCOUNTED)))
        }
    }
}

/// Answers 429, and logs it once in a while.
pub(super) fn refused(asked: &PricedRequest, too_many: TooMany) -> Response<Bytes> {
    let setup = asked.setup();
    let limits = (&setup.proxies, setup.limiter.limits());
    setup
        .notices
        .full(limits, &asked.head, too_many.full, asked.now);
    answers::too_many(too_many.retry_after.as_secs(), setup.issuance_denied())
}

const UNCOUNTED: &str = "the store of unpaid invoices cannot answer";
