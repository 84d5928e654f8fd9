//! The stream of settlements.

use std::{collections::VecDeque, num::NonZeroU64, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    NAME, fault,
    node::call,
    wire::{Frame, Invoices, KnownInvoice, number},
};
use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    lightning::{
        BoxStream,
        rest::{self, Ask, CallError, Lines, Rest, RestError},
        unfold::unfold,
    },
    payment::PaymentHash,
    trace,
};

/// The first and the longest pause before it connects again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long nothing may come before it connects again. A connection that broke without a sign would
/// wait for ever.
const SILENCE: Duration = Duration::from_secs(600);

/// How many of the newest invoices are read when the stream begins.
const NEWEST: u32 = 100;

/// Returns the payment hashes of the invoices that settle from now on.
pub(super) fn stream(rest: &Rest) -> BoxStream<'_, PaymentHash> {
    let settlements = Settlements {
        rest,
        since: SystemClock::new().now(),
        seen: None,
        found: VecDeque::new(),
        lines: None,
        pause: PAUSES.0,
    };
    unfold(settlements, |mut settlements| {
        Box::pin(async move { (settlements.next().await, settlements) })
    })
}

struct Settlements<'a> {
    rest: &'a Rest,
    since: Timestamp,
    /// The index of the last settlement that was seen. LND counts settlements, and sends those after
    /// an index again.
    seen: Option<NonZeroU64>,
    /// Settlements that were found in the list of invoices.
    found: VecDeque<PaymentHash>,
    lines: Option<Lines>,
    pause: Duration,
}

impl Settlements<'_> {
    async fn next(&mut self) -> PaymentHash {
        loop {
            match self.try_next().await {
                Ok(Some(settled)) => {
                    self.pause = PAUSES.0;
                    return settled;
                }
                Ok(None) => self.lines = None,
                Err(error) => {
                    self.lines = None;
                    trace::warn(format_args!(
                        "the stream of settlements is interrupted for {} seconds: {}",
                        self.pause.as_secs(),
                        self.rest.failed(error)
                    ));
                    sleep(self.pause).await;
                    self.pause = PAUSES.1.min(self.pause * 2);
                }
            }
        }
    }

    /// Returns the next settlement, or `None` if the stream must be opened again.
    async fn try_next(&mut self) -> Result<Option<PaymentHash>, CallError> {
        if self.seen.is_none() && self.lines.is_none() {
            self.list().await?;
        }
        if let Some(found) = self.found.pop_front() {
            return Ok(Some(found));
        }
        let lines = match &mut self.lines {
            Some(lines) => lines,
            // LND answers when the first invoice is made or settled.
            none => match timeout(SILENCE, open(self.rest, self.seen)).await {
                Ok(opened) => none.insert(opened?),
                Err(_) => return Ok(None),
            },
        };
        loop {
            let line = match timeout(SILENCE, lines.next()).await {
                Ok(Ok(Some(line))) => line,
                Ok(Err(RestError::TooLong)) => {
                    // LND would send it again after each new connection.
                    trace::warn(format_args!(
                        "{NAME}: a settlement is left out, because its line is longer than 1 MiB"
                    ));
                    continue;
                }
                Ok(Ok(None)) => return Err(CallError::bad("it ended the stream")),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Ok(None),
            };
            let frame: Frame<KnownInvoice> = rest::parse(&line)?;
            if let Some(fault) = frame.error {
                return Err(fault::of(&fault).1);
            }
            let Some(invoice) = frame.result.filter(|invoice| invoice.state == "SETTLED") else {
                continue;
            };
            self.seen = NonZeroU64::new(number(&invoice.settle_index)?).or(self.seen);
            if number(&invoice.settle_date)? < self.since.as_unix_seconds() {
                continue; // of before this stream
            }
            let hash = invoice.payment_hash();
            return hash
                .map(Some)
                .ok_or_else(|| CallError::bad("expected a payment hash in base64"));
        }
    }

    /// Finds the last settlement among the newest invoices, and those since the stream began, because
    /// LND's stream begins with the next one if it is given no index.
    async fn list(&mut self) -> Result<(), CallError> {
        let mut count = NEWEST;
        let reply = loop {
            let path = format!("/v1/invoices?reversed=true&num_max_invoices={count}");
            match call(self.rest, Ask::get(path)).await {
                Ok(reply) => break reply,
                Err((_, CallError::Rest(RestError::TooLong))) if count > 1 => count /= 2,
                // The newest invoice is too long, so the stream begins with the next settlement.
                Err((_, CallError::Rest(RestError::TooLong))) => return Ok(()),
                Err((_, error)) => return Err(error),
            }
        };
        for invoice in reply.json::<Invoices>()?.invoices {
            self.seen = self
                .seen
                .max(NonZeroU64::new(number(&invoice.settle_index)?));
            let settled = number(&invoice.settle_date)?;
            if invoice.state == "SETTLED" && settled >= self.since.as_unix_seconds() {
                self.found.extend(invoice.payment_hash());
            }
        }
        Ok(())
    }
}

async fn open(rest: &Rest, seen: Option<NonZeroU64>) -> Result<Lines, CallError> {
    let path = match seen {
        Some(seen) => format!("/v1/invoices/subscribe?settle_index={seen}"),
        None => "/v1/invoices/subscribe".to_owned(),
    };
    let (status, mut lines) = rest.open(Ask::get(path)).await?;
    if status.is_success() {
        return Ok(lines);
    }
    let body = lines.next().await?.unwrap_or_default();
    Err(fault::of_answer(status, &body).1)
}
