use std::num::NonZeroU32;

use super::{
    caveat::{
        AMOUNT_MSAT, BOUND, METHOD, ROUTE, TARGET, USES, VALID_UNTIL, decimal, encodes, split,
    },
    reason::Reason,
    satisfier::{Satisfier, Service},
};
use crate::{
    clock::Timestamp,
    codec::hex,
    dialect::RequestView,
    payment::{Access, Amount, PaymentHash, Terms},
};

/// What a genuine token of this server buys, if its caveats allow the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bought {
    pub(super) amount: Amount,
    /// The smallest number of uses in any caveat.
    pub(super) uses: NonZeroU32,
    /// The number that this server minted, which no client's caveat can lower.
    pub(super) minted_until: Timestamp,
    pub(super) valid_until: Timestamp,
}

/// What the caveats are checked against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) route: &'a str,
    pub(super) access: Access,
    pub(super) bound: Bound,
    pub(super) service: Service<'a>,
    pub(super) now: Timestamp,
}

/// What the `bound` caveat must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    /// There must be no such caveat.
    Nothing,
    /// There must be one, but its value is not known before the body is: it is not checked yet.
    Later,
    /// It must be this.
    Is([u8; 32]),
}

impl<'a> Expected<'a> {
    pub(super) fn of(
        view: &RequestView<'a>,
        terms: &Terms,
        service: Service<'a>,
        now: Timestamp,
    ) -> Self {
        let bound = match (terms.has_bound, view.bound) {
            (false, _) => Bound::Nothing,
            (true, None) => Bound::Later,
            (true, Some(hash)) => Bound::Is(hash),
        };
        let RequestView { target, route, .. } = *view;
        Self {
            method: view.method(),
            target,
            route,
            access: terms.access,
            bound,
            service,
            now,
        }
    }

    /// Checks `target`, which only single-use tokens have, or `route`, which all other tokens have.
    fn place(&self, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        let (text, reason) = match name {
            TARGET => (self.target, Reason::WrongTarget),
            ROUTE => (self.route, Reason::WrongRoute),
            _ => return Err(Reason::MissingCaveat),
        };
        if encodes(value, text) {
            Ok(())
        } else {
            Err(reason)
        }
    }

    fn minted_place(&self) -> &'static [u8] {
        if self.access == Access::Once {
            TARGET
        } else {
            ROUTE
        }
    }
}

impl Bound {
    fn allows(self, value: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Later => true,
            Self::Is(hash) => hex::decode_lower(value) == Some(hash),
        }
    }
}

/// Checks all caveats of a token whose signature is genuine.
///
/// The first caveats are those that this server minted, in the order of `mint`, and none may be
/// missing. Every later one may only narrow. Names that are not known here are skipped.
pub(super) fn bought<'m>(
    mut caveats: impl Iterator<Item = &'m [u8]>,
    payment_hash: PaymentHash,
    expected: &Expected<'m>,
) -> Result<Bought, Reason> {
    let mut bought = own(&mut caveats, expected)?;
    let mut satisfier = Satisfier::new(expected.service, payment_hash);
    for (name, value) in caveats.filter_map(split) {
        match name {
            METHOD if encodes(value, expected.method) => {}
            AMOUNT_MSAT if decimal(value) == Some(bought.amount.as_msat()) => {}
            BOUND if expected.bound.allows(value) => {}
            METHOD | AMOUNT_MSAT | BOUND => return Err(Reason::Widened),
            TARGET | ROUTE => expected.place(name, value).map_err(|reason| {
                if name == expected.minted_place() {
                    Reason::Widened
                } else {
                    reason
                }
            })?,
            USES => bought.uses = fewer(bought.uses, value, expected.access)?,
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

fn own<'m>(
    caveats: &mut impl Iterator<Item = &'m [u8]>,
    expected: &Expected<'_>,
) -> Result<Bought, Reason> {
    let mut next = || caveats.next().ok_or(Reason::MissingCaveat);

    if !encodes(named(METHOD, next()?)?, expected.method) {
        return Err(Reason::WrongMethod);
    }
    let (name, place) = split(next()?).ok_or(Reason::MissingCaveat)?;
    if matches!(name, TARGET | ROUTE) && name != expected.minted_place() {
        return Err(Reason::WrongAccess);
    }
    expected.place(name, place)?;
    let amount = decimal(named(AMOUNT_MSAT, next()?)?).ok_or(Reason::MissingCaveat)?;
    let uses = match expected.access {
        Access::Uses(_) => count(named(USES, next()?)?).ok_or(Reason::MissingCaveat)?,
        Access::Once | Access::ForDuration(_) => NonZeroU32::MIN,
    };
    let mut last = next()?;
    if let Ok(value) = named(BOUND, last) {
        if !expected.bound.allows(value) {
            return Err(Reason::WrongBound);
        }
        last = next()?;
    } else if !matches!(expected.bound, Bound::Nothing) {
        return Err(Reason::MissingCaveat);
    }
    let until = decimal(named(VALID_UNTIL, last)?)
        .map(Timestamp::from_unix_seconds)
        .ok_or(Reason::MissingCaveat)?;
    Ok(Bought {
        amount: Amount::from_msat(amount),
        uses,
        minted_until: until,
        valid_until: until,
    })
}

#[inline]
fn named<'m>(name: &[u8], caveat: &'m [u8]) -> Result<&'m [u8], Reason> {
    caveat
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(b"="))
        .ok_or(Reason::MissingCaveat)
}

fn count(value: &[u8]) -> Option<NonZeroU32> {
    NonZeroU32::new(decimal(value)?.try_into().ok()?)
}

/// A client may keep fewer uses for itself, but not if only time ends the token.
fn fewer(uses: NonZeroU32, value: &[u8], access: Access) -> Result<NonZeroU32, Reason> {
    if matches!(access, Access::ForDuration(_)) {
        return Err(Reason::WrongAccess);
    }
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
