use std::num::NonZeroU32;

use super::{
    caveat::{
        AMOUNT_MSAT, BOUND, METHOD, ROUTE, TARGET, USES, VALID_UNTIL, decimal, encodes, split,
    },
    minted::{Minted, Place, count},
    reason::Reason,
    route,
    satisfier::{Satisfier, Service},
};
use crate::{
    clock::Timestamp,
    dialect::RequestView,
    payment::{Amount, PaymentHash, Terms},
};

/// What a genuine token of this server buys, if its caveats allow the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bought {
    pub(super) amount: Amount,
    /// The smallest number of uses in any caveat. `None` if only time ends the token.
    pub(super) uses: Option<NonZeroU32>,
    /// The number that this server minted, which no client's caveat can lower.
    pub(super) minted_until: Timestamp,
    pub(super) valid_until: Timestamp,
}

/// What the caveats are checked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) view: &'a RequestView<'a>,
    pub(super) terms: &'a Terms,
    pub(super) service: Service<'a>,
    pub(super) now: Timestamp,
    /// The token is one of those that only time ends.
    pub(super) is_timed: bool,
    /// The body is known if the token needs it. Otherwise what depends on it is not checked yet.
    pub(super) has_body: bool,
}

/// Checks all caveats of a token whose signature is genuine.
///
/// The first caveats are those that this server minted, in the order of `mint`, and none may be
/// missing. They say what was bought, and are not compared with what the route sells today. Every
/// later one may only narrow. Names that are not known here are skipped.
pub(super) fn bought<'m>(
    mut caveats: impl Iterator<Item = &'m [u8]>,
    payment_hash: PaymentHash,
    expected: &Expected<'m>,
) -> Result<Bought, Reason> {
    let minted = Minted::read(&mut caveats, expected.is_timed)?;
    minted.check(expected.view, expected.terms, expected.has_body)?;
    let mut bought = Bought {
        amount: minted.amount,
        uses: (!minted.is_timed).then_some(minted.uses),
        minted_until: minted.until,
        valid_until: minted.until,
    };
    let mut satisfier = Satisfier::new(expected.service, payment_hash);
    for (name, value) in caveats.filter_map(split) {
        match name {
            METHOD if encodes(value, expected.view.method()) => {}
            AMOUNT_MSAT if decimal(value) == Some(bought.amount.as_msat()) => {}
            BOUND if minted.bound == Some(value) => {}
            METHOD | AMOUNT_MSAT | BOUND => return Err(Reason::Widened),
            TARGET | ROUTE => expected.place(minted.place, name, value)?,
            USES => bought.uses = Some(fewer(bought.uses, value)?),
            VALID_UNTIL => bought.valid_until = sooner(bought.valid_until, value)?,
            _ => satisfier.see(name, value)?,
        }
    }
    satisfier.finish(expected.now)?;
    if expected.now < bought.valid_until {
        Ok(bought)
    } else {
        Err(Reason::Expired)
    }
}

impl Expected<'_> {
    /// Checks a `target` or `route` that a client appended.
    fn place(&self, minted: Place<'_>, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        let (is_here, reason) = if name == TARGET {
            (encodes(value, self.view.target), Reason::WrongTarget)
        } else {
            (
                route::opens(value, self.view.route, self.terms),
                Reason::WrongRoute,
            )
        };
        let is_minted = match minted {
            Place::Target(_) => name == TARGET,
            Place::Route(_) => name == ROUTE,
        };
        match (is_here, is_minted) {
            (true, _) => Ok(()),
            (false, true) => Err(Reason::Widened),
            (false, false) => Err(reason),
        }
    }
}

/// A client may keep fewer uses for itself, but not if only time ends the token.
fn fewer(uses: Option<NonZeroU32>, value: &[u8]) -> Result<NonZeroU32, Reason> {
    let uses = uses.ok_or(Reason::WrongAccess)?;
    match decimal(value) {
        Some(0) => Err(Reason::Spent),
        _ => count(value)
            .filter(|fewer| *fewer <= uses)
            .ok_or(Reason::Widened),
    }
}

fn sooner(until: Timestamp, value: &[u8]) -> Result<Timestamp, Reason> {
    let sooner = decimal(value)
        .map(Timestamp::from_unix_seconds)
        .ok_or(Reason::BadExpiry)?;
    if sooner <= until {
        Ok(sooner)
    } else {
        Err(Reason::Widened)
    }
}
