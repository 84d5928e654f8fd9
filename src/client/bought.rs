//! What was paid, and what the answer to its credential means.

use http::{Response, StatusCode, header::AUTHORIZATION};
use http_body::Body;

use super::{
    Wallet,
    error::{Cause, PayError},
    hand::Hand,
    job::Job,
    paid_body::{PaidBody, Redeeming},
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
    if_refused: IfRefused,
    hand: Hand,
}

/// What it means if the server refuses a credential.
#[derive(Clone, Copy, Debug)]
pub(super) enum IfRefused {
    /// It may have served the request before: an answer was lost, or said that the server failed.
    InDoubt,
    /// Its time was over.
    Over,
    /// It was bought with other headers than these, which the server may bind. Whether it was
    /// presented before.
    OtherHeaders([u8; 32], bool),
    /// The server broke its word.
    Trouble,
}

impl Bought {
    /// Makes the credential of a payment, and notes that it is about to be presented. `earlier` says
    /// what a refusal means, if an earlier call paid. `None` if the preimage is not the invoice's.
    pub(super) fn new(
        purchase: &dyn Purchase,
        preimage: &Preimage,
        (fee, paid_at): (Option<Amount>, Timestamp),
        hand: Hand,
        earlier: Option<IfRefused>,
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
        let header = purchase.credential(preimage)?;
        hand.presented();
        Some(Self {
            header,
            receipt,
            reusable_until: purchase.is_reusable().then(|| purchase.redeem_until()),
            if_refused: earlier.unwrap_or(IfRefused::Trouble),
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
pub(super) async fn settle<R: Body, E>(
    wallet: &Wallet,
    job: &Job,
    bought: Bought,
    answer: Result<Response<R>, E>,
) -> Result<Response<PaidBody<R>>, PayError<E>> {
    let receipt = bought.receipt.clone();
    let mut answer =
        answer.map_err(|error| PayError::new(Cause::LostAnswer(error, receipt.clone())))?;
    let status = answer.status();
    wallet.note_redirect(job, &mut answer, true);
    if bought.is_refused_by(status) {
        match bought.if_refused {
            IfRefused::InDoubt => bought.hand.in_doubt(status),
            IfRefused::Over => bought.hand.redeemed(status, false),
            IfRefused::OtherHeaders(headers, was_presented) => {
                bought.hand.refused_for(headers, was_presented);
            }
            IfRefused::Trouble => {
                if let Err(error) = bought.hand.refused(status).await {
                    trace::error(format_args!(
                        "a refused credential is not in the ledger: {error}"
                    ));
                }
            }
        }
        return Err(PayError::new(Cause::Refused(receipt, status.as_u16())));
    }
    answer.extensions_mut().insert(receipt);
    let mut redeeming = None;
    if may_come(status) {
        bought.hand.answered(status);
    } else if let Some(until) = bought.reusable_until {
        bought.hand.redeemed(status, true);
        let (header, entry) = (bought.header, bought.hand.id());
        let token = Token {
            header,
            until,
            entry,
        };
        wallet.keep(&job.place, token);
    } else {
        redeeming = Some(Redeeming::new(bought.hand, status));
    }
    Ok(answer.map(|body| PaidBody::new(body, redeeming)))
}
