//! What was paid, and what the answer to its credential means.

use http::{Response, StatusCode, header::AUTHORIZATION};

use super::{
    Wallet,
    error::{Cause, PayError},
    hand::Hand,
    job::Job,
    receipt::{Paid, PaidReceipt},
    tokens::Token,
};
use crate::{
    clock::Timestamp,
    dialect::{HeaderLine, offer::Purchase},
    payment::{Amount, Preimage},
    trace,
};

/// A payment whose credential is about to be presented.
pub(super) struct Bought {
    pub(super) header: HeaderLine,
    pub(super) receipt: PaidReceipt,
    /// Until when the credential can be used, if it opens more than this request.
    reusable_until: Option<Timestamp>,
    /// Whether the server may refuse it with reason: it was answered before, or its time is over.
    may_be_spent: bool,
    hand: Hand,
}

impl Bought {
    /// Makes the credential of a payment. `earlier` is the status of the last answer to it and
    /// whether its time is over, if an earlier call paid. `None` if the preimage is not the
    /// invoice's.
    pub(super) fn new(
        purchase: &dyn Purchase,
        preimage: &Preimage,
        (fee, paid_at): (Option<Amount>, Timestamp),
        hand: Hand,
        earlier: Option<(Option<u16>, bool)>,
    ) -> Option<Self> {
        let receipt = PaidReceipt::new(Paid {
            entry: hand.id(),
            amount: purchase.amount(),
            fee,
            dialect: purchase.dialect(),
            payment_hash: purchase.invoice().payment_hash(),
            paid_at,
            is_earlier: earlier.is_some(),
        });
        Some(Self {
            header: purchase.credential(preimage)?,
            receipt,
            reusable_until: purchase.is_reusable().then(|| purchase.redeem_until()),
            may_be_spent: earlier.is_some_and(|(answered, is_over)| is_over || answered.is_some()),
            hand,
        })
    }

    fn is_refused_by(&self, status: StatusCode) -> bool {
        refuses(status, &self.header)
    }
}

/// Returns whether an answer means that the credential in this header was refused. A 401 is about
/// `Authorization`.
fn refuses(status: StatusCode, header: &HeaderLine) -> bool {
    status == StatusCode::PAYMENT_REQUIRED
        || (status == StatusCode::UNAUTHORIZED && header.0 == AUTHORIZATION)
}

impl Token {
    pub(super) fn is_refused_by(&self, status: StatusCode) -> bool {
        refuses(status, &self.header)
    }
}

/// Returns whether the server may still serve what was paid for: the same credential is presented
/// again with the next such request.
fn may_come(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 425 | 429)
}

/// Writes down what the answer to a paid request means, and puts the receipt into it.
pub(super) async fn settle<R, E>(
    wallet: &Wallet,
    job: &Job,
    bought: Bought,
    answer: Result<Response<R>, E>,
) -> Result<Response<R>, PayError<E>> {
    let receipt = bought.receipt.clone();
    let mut answer =
        answer.map_err(|error| PayError::new(Cause::LostAnswer(error, receipt.clone())))?;
    let status = answer.status();
    wallet.note_redirect(job, &mut answer, true);
    if bought.is_refused_by(status) {
        if bought.may_be_spent {
            bought.hand.redeemed(status, false);
        } else if let Err(error) = bought.hand.refused(status).await {
            trace::error(format_args!(
                "a refused credential is not in the ledger: {error}"
            ));
        }
        return Err(PayError::new(Cause::Refused(receipt, status.as_u16())));
    }
    if may_come(status) {
        bought.hand.answered(status);
    } else {
        bought
            .hand
            .redeemed(status, bought.reusable_until.is_some());
        if let Some(until) = bought.reusable_until {
            let (header, entry) = (bought.header, bought.hand.id());
            let token = Token {
                header,
                until,
                entry,
            };
            wallet.keep(&job.place, token);
        }
    }
    answer.extensions_mut().insert(receipt);
    Ok(answer)
}
