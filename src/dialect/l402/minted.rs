//! What a token of this server says that it bought, whatever this route sells today.

use std::num::NonZeroU32;

use super::{
    caveat::{
        AMOUNT_MSAT, BOUND, METHOD, ROUTE, TARGET, USES, VALID_UNTIL, decimal, encodes, split,
    },
    reason::Reason,
    route,
};
use crate::{
    clock::Timestamp,
    codec::hex,
    dialect::{RequestView, bound},
    payment::{Access, Amount, Terms},
};

/// The caveats that this server minted. None may be missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minted<'m> {
    method: &'m [u8],
    pub(super) place: Place<'m>,
    pub(super) amount: Amount,
    /// For one request and for a duration: 1.
    pub(super) uses: NonZeroU32,
    /// The whole value of `bound`.
    pub(super) bound: Option<&'m [u8]>,
    pub(super) until: Timestamp,
    pub(super) is_timed: bool,
}

/// What a token is valid for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'m> {
    /// For one request: exactly this target.
    Target(&'m [u8]),
    /// For several uses or a duration: this route.
    Route(&'m [u8]),
}

impl<'m> Minted<'m> {
    /// Reads the first caveats, in the order of `mint`.
    pub(super) fn read(
        caveats: &mut impl Iterator<Item = &'m [u8]>,
        is_timed: bool,
    ) -> Result<Self, Reason> {
        let mut next = || caveats.next().ok_or(Reason::MissingCaveat);

        let method = named(METHOD, next()?)?;
        let place = match split(next()?) {
            Some((TARGET, value)) if !is_timed => Place::Target(value),
            Some((ROUTE, value)) => Place::Route(value),
            _ => return Err(Reason::MissingCaveat),
        };
        let amount = decimal(named(AMOUNT_MSAT, next()?)?).ok_or(Reason::MissingCaveat)?;
        let uses = match place {
            Place::Route(_) if !is_timed => {
                count(named(USES, next()?)?).ok_or(Reason::MissingCaveat)?
            }
            Place::Target(_) | Place::Route(_) => NonZeroU32::MIN,
        };
        let mut last = next()?;
        let bound = named(BOUND, last).ok();
        if bound.is_some() {
            last = next()?;
        }
        let until = decimal(named(VALID_UNTIL, last)?).ok_or(Reason::MissingCaveat)?;
        Ok(Self {
            method,
            place,
            amount: Amount::from_msat(amount),
            uses,
            bound,
            until: Timestamp::from_unix_seconds(until),
            is_timed,
        })
    }

    /// Checks that this is the request that was bought, as far as its head shows. If `has_body`,
    /// also what depends on the body.
    pub(super) fn check(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        has_body: bool,
    ) -> Result<(), Reason> {
        if !encodes(self.method, view.method()) {
            return Err(Reason::WrongMethod);
        }
        match self.place {
            Place::Target(target) if !encodes(target, view.target) => {
                return Err(Reason::WrongTarget);
            }
            Place::Route(value) if !route::opens(value, view.route, terms) => {
                return Err(Reason::WrongRoute);
            }
            Place::Target(_) | Place::Route(_) => {}
        }
        match self.is_as_bound(view, terms) {
            Some(true) => Ok(()),
            None if !has_body => Ok(()),
            Some(false) | None => Err(Reason::WrongBound),
        }
    }

    /// Returns whether what it bound is the same here, and today's price reads nothing that it left
    /// open. `None` if the body must be known, and is not.
    fn is_as_bound(&self, view: &RequestView<'_>, terms: &Terms) -> Option<bool> {
        let words = match self.bound {
            None => "",
            Some(value) => match said(value) {
                Some((words, hash)) if view.bound(words)? != hash => return Some(false),
                Some((words, _)) => words,
                None => match self.bound_before_words(value, view, terms)? {
                    Ok(words) => words,
                    Err(Unbound) => return Some(false),
                },
            },
        };
        let is_open = view.is_open(terms, self.access(), words, bound::binds_body(words))?;
        Some(!is_open)
    }

    /// Returns the words of the charge, today's or an earlier one, that binds this. Versions before
    /// the words minted the hash alone.
    fn bound_before_words<'t>(
        &self,
        value: &[u8],
        view: &RequestView<'_>,
        terms: &'t Terms,
    ) -> Option<Result<&'t str, Unbound>> {
        let Some(hash) = hex::decode_lower::<32>(value) else {
            return Some(Err(Unbound));
        };
        for terms in terms.and_earlier().filter(|terms| terms.has_bound()) {
            if view.bound_before_words(&terms.binds)? == hash {
                return Some(Ok(&terms.binds));
            }
        }
        Some(Err(Unbound))
    }

    /// Returns the kind of access. The length of a duration is not known and stands as zero.
    pub(super) const fn access(&self) -> Access {
        match self.place {
            Place::Target(_) => Access::Once,
            Place::Route(_) if self.is_timed => Access::ForDuration(std::time::Duration::ZERO),
            Place::Route(_) => Access::Uses(self.uses),
        }
    }
}

/// No charge that is known here binds this.
struct Unbound;

/// Returns whether the token can only be verified with the body's hash.
pub(super) fn needs_body<'m>(caveats: impl Iterator<Item = &'m [u8]>, terms: &Terms) -> bool {
    // A price that reads the body: the token may have left it open.
    if terms.bound_covers_body {
        return true;
    }
    bound(caveats).is_some_and(|value| match said(value) {
        Some((words, _)) => bound::binds_body(words),
        None => terms.earlier.iter().any(|terms| terms.bound_covers_body),
    })
}

/// Returns whether the token binds what these words name. A hash alone may be of any.
pub(super) fn binds<'m>(caveats: impl Iterator<Item = &'m [u8]>, words: &str) -> bool {
    match bound(caveats) {
        None => words.is_empty(),
        Some(value) => said(value).is_none_or(|(said, _)| said == words),
    }
}

/// Returns the value of `bound`. A client may have appended it to a token that has none: that only
/// costs the client time.
fn bound<'m>(caveats: impl Iterator<Item = &'m [u8]>) -> Option<&'m [u8]> {
    caveats
        .take(MINTED)
        .find_map(|caveat| named(BOUND, caveat).ok())
}

/// No token has more caveats of this server's own.
const MINTED: usize = 6;

/// Reads what `bound` says: the words and the hash. `None` for the hash alone.
fn said(value: &[u8]) -> Option<(&str, [u8; 32])> {
    let (words, hash) = str::from_utf8(value).ok()?.split_once(':')?;
    Some((words, hex::decode_lower(hash.as_bytes())?))
}

#[inline]
fn named<'m>(name: &[u8], caveat: &'m [u8]) -> Result<&'m [u8], Reason> {
    caveat
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(b"="))
        .ok_or(Reason::MissingCaveat)
}

pub(super) fn count(value: &[u8]) -> Option<NonZeroU32> {
    NonZeroU32::new(decimal(value)?.try_into().ok()?)
}
