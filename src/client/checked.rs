//! Whether a request may be paid for, and an offer be taken, before anything is asked.

use super::{
    Wallet,
    check::{Cost, Known, check},
    job::Job,
    not_taken::{NotTaken, RefusedOffer},
    text::cleaned,
};
use crate::{
    dialect::offer::{Offer, Purchase},
    payment::Amount,
};

/// An offer that was checked.
pub(super) struct Checked {
    pub(super) purchase: Box<dyn Purchase>,
    pub(super) cost: Cost,
    pub(super) description: Option<String>,
}

/// Returns why a request is not paid for, whatever is offered.
pub(super) fn unpayable(wallet: &Wallet, job: &Job) -> Option<&'static str> {
    if !job.is_kept() {
        return Some(
            "the body of the request is too long to be kept, or of unknown length: raise `max_body`, or send it from memory",
        );
    }
    if job.is_led_here {
        return Some(
            "a redirect from another origin, or from a paid answer, led here: make the request again in ten seconds to pay for it, or allow it with `pay_after_redirects`",
        );
    }
    if job.is_elsewhere {
        return Some(
            "the client beneath followed a redirect: make the request to the last URL yourself, or follow redirects in a layer around the paying one",
        );
    }
    wallet.policy().refuses(&job.place)
}

/// Checks an offer, without asking anything.
pub(super) fn checked(
    wallet: &Wallet,
    job: &Job,
    offer: &dyn Offer,
) -> Result<Checked, Box<RefusedOffer>> {
    let (network, now) = (wallet.network(), wallet.now());
    let purchase = offer
        .check(&job.as_request(), &job.conditions(network, now))
        .map_err(|error| Box::new(refused(offer, None, NotTaken::Challenge(error))))?;
    let known = Known {
        policy: wallet.policy(),
        network,
        own_receivers: wallet.own_receivers(),
        now,
    };
    let cost = check(&*purchase, &known)
        .map_err(|why| Box::new(refused(offer, Some(purchase.amount()), why)))?;
    let description = offer.description().map(cleaned);
    Ok(Checked {
        purchase,
        cost,
        description,
    })
}

/// Returns an offer with the reason why it is not taken.
pub(super) fn refused(offer: &dyn Offer, amount: Option<Amount>, why: NotTaken) -> RefusedOffer {
    RefusedOffer {
        dialect: offer.dialect(),
        amount,
        description: offer.description().map(cleaned),
        why,
    }
}
