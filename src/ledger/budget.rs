use std::{fmt, sync::Arc, time::Duration};

use crate::{clock::Timestamp, payment::Amount};

/// The limits of what may be spent. Amounts include routing fees.
///
/// A budget can have other budgets below it. A payment from one of those counts against this one
/// too, so together they never spend what this one does not have.
///
/// ```
/// use tower_x402::{Amount, ledger::Budget};
///
/// let budget = Budget::daily(Amount::from_sat(500)).per_host(Amount::from_sat(200));
/// assert_eq!(budget.total_limit(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Budget {
    pub(super) total: Option<Amount>,
    pub(super) per_host: Option<Amount>,
    pub(super) windows: Vec<(Duration, Amount)>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) lifetime: Option<Duration>,
    pub(super) owner: Option<String>,
}

impl Budget {
    /// Creates a budget without limits of its own. Those of the budgets above it still apply.
    pub fn without_limits() -> Self {
        Self::default()
    }

    /// Creates a budget that may spend `limit` in total, ever.
    pub fn total(limit: Amount) -> Self {
        Self {
            total: Some(limit),
            ..Self::default()
        }
    }

    /// Creates a budget that may spend `limit` in any 24 hours.
    pub fn daily(limit: Amount) -> Self {
        Self::default().per_day(limit)
    }

    /// Sets how much may be spent in total, ever.
    pub fn in_total(self, limit: Amount) -> Self {
        Self {
            total: Some(limit),
            ..self
        }
    }

    /// Sets how much may be spent at one host, ever. All hosts of one registrable domain count as
    /// one.
    pub fn per_host(self, limit: Amount) -> Self {
        Self {
            per_host: Some(limit),
            ..self
        }
    }

    /// Sets how much may be spent in any 60 minutes.
    pub fn per_hour(self, limit: Amount) -> Self {
        self.rolling(HOUR, limit)
    }

    /// Sets how much may be spent in any 24 hours.
    pub fn per_day(self, limit: Amount) -> Self {
        self.rolling(DAY, limit)
    }

    /// Sets how much may be spent in any time of this length, in whole seconds. What was spent may
    /// count for up to a sixtieth longer than that. A budget has at most 8 such limits. Another
    /// limit for the same length replaces the earlier one.
    pub fn rolling(mut self, length: Duration, limit: Amount) -> Self {
        let length = Duration::from_secs(length.as_secs().max(1));
        self.windows.retain(|(held, _)| *held != length);
        self.windows.push((length, limit));
        self.windows.sort_unstable();
        self
    }

    /// Sets when the budget ends. A budget also ends when one above it ends.
    pub fn until(self, moment: Timestamp) -> Self {
        Self {
            expires_at: Some(moment),
            ..self
        }
    }

    /// Sets how long the budget lasts after its creation, in whole seconds. Unlike
    /// [`until`](Self::until), this stays the same when the budget is created again by name: its end
    /// does not move. With both, the earlier end holds.
    pub const fn lasting(mut self, time: Duration) -> Self {
        self.lifetime = Some(Duration::from_secs(time.as_secs()));
        self
    }

    /// Sets the name of whoever the budget is for, of at most 64 characters, for reports.
    pub fn owner(self, name: impl Into<String>) -> Self {
        Self {
            owner: Some(name.into()),
            ..self
        }
    }

    /// Returns how much may be spent in total, ever.
    #[must_use]
    pub const fn total_limit(&self) -> Option<Amount> {
        self.total
    }

    /// Returns how much may be spent at one host, ever.
    #[must_use]
    pub const fn host_limit(&self) -> Option<Amount> {
        self.per_host
    }

    /// Returns the limits of all windows, with their lengths, shortest first.
    #[must_use]
    pub fn window_limits(&self) -> &[(Duration, Amount)] {
        &self.windows
    }

    /// Returns when the budget ends, if that was set as a moment. [`BudgetState::expires_at`] is the
    /// end that holds.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Returns how long the budget lasts after its creation.
    #[must_use]
    pub const fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// Returns the name of whoever the budget is for.
    #[must_use]
    pub fn owner_name(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Returns whether there is a limit in total, or for a day or less.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.total.is_some() || self.windows.iter().any(|(length, _)| *length <= DAY)
    }

    /// Returns whether a limit is 0, so that nothing can be paid.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
    pub(crate) fn pays_nothing(&self) -> bool {
        let windows = self.windows.iter().map(|(_, limit)| *limit);
        let limits = windows.chain(self.total).chain(self.per_host);
        limits.into_iter().any(|limit| limit == Amount::ZERO)
    }

    /// Returns whether the ledger takes these limits.
    pub(super) fn is_valid(&self) -> bool {
        self.windows.len() <= MAX_WINDOWS && self.owner.as_deref().is_none_or(is_name)
    }
}

/// The names of a budget and of all above it, outermost first: `agent/search/task 7`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BudgetPath(Arc<str>);

impl BudgetPath {
    /// Creates the path of an outermost budget. Returns `None` unless the name has 1 to 64
    /// printable ASCII characters, without a slash and without a space at either end.
    #[must_use]
    pub fn root(name: &str) -> Option<Self> {
        is_name(name).then(|| Self(name.into()))
    }

    /// Returns the path of a budget below this one. Returns `None` if the name does not fit, as for
    /// [`root`](Self::root), or if the path would have more than 16 names.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<Self> {
        let fits = is_name(name) && self.names().count() < MAX_DEPTH;
        fits.then(|| Self(format!("{}/{name}", self.0).into()))
    }

    /// Reads a path. Returns `None` if one of its names does not fit, as for [`root`](Self::root).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.split('/').all(is_name) && text.split('/').count() <= MAX_DEPTH;
        fits.then(|| Self(text.into()))
    }

    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the names, outermost first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns this path and those of all budgets above it, innermost first.
    pub(super) fn and_above(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&*self.0), |path| Some(path.rsplit_once('/')?.0))
    }

    /// Returns whether `other` is this budget or below it.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let below = other.0.strip_prefix(&*self.0);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the path of the budget above, or `None` for an outermost one.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(parent.into()))
    }
}

impl fmt::Display for BudgetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BudgetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BudgetPath({self})")
    }
}

impl serde::Serialize for BudgetPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A budget as it is now. Amounts include fees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetState {
    /// The names of the budget and of all above it.
    pub path: BudgetPath,
    /// Its own limits.
    pub limits: Budget,
    /// What was spent from it and from all budgets below it, ever.
    pub spent: Amount,
    /// What is reserved for payments that have not ended.
    pub reserved: Amount,
    /// What could be spent now, by its limits and those of all budgets above it. Limits per host
    /// are left out. `None` if there is no limit.
    pub remaining: Option<Amount>,
    /// When it ends, or the first one above it does.
    pub expires_at: Option<Timestamp>,
    /// Whether it, or one above it, was revoked.
    pub is_revoked: bool,
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'/' || byte == b' ';
    (1..=64).contains(&name.len()) && name.trim() == name && name.bytes().all(fits)
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MAX_WINDOWS: usize = 8;
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_plain_names_and_is_at_most_sixteen_deep() {
        for name in ["a", "task 7", "x=~!", &"n".repeat(64)] {
            assert_eq!(BudgetPath::root(name).unwrap().as_str(), name);
        }
        for bad in ["", " a", "a ", "a/b", "a\n", "\u{e9}", &"n".repeat(65)] {
            assert!(BudgetPath::root(bad).is_none(), "{bad:?}");
            assert!(BudgetPath::root("a").unwrap().child(bad).is_none());
        }
        let mut path = BudgetPath::root("1").unwrap();
        for name in 2..=16 {
            path = path.child(&name.to_string()).unwrap();
        }
        assert!(path.child("17").is_none());
        assert_eq!(BudgetPath::parse(path.as_str()), Some(path.clone()));
        assert_eq!(path.parent().unwrap().names().last(), Some("15"));
        assert!(BudgetPath::parse("a//b").is_none());
    }

    #[test]
    fn a_limit_for_the_same_time_replaces_the_earlier_one() {
        let budget = Budget::daily(Amount::from_sat(1)).per_day(Amount::from_sat(2));
        assert_eq!(budget.window_limits(), [(DAY, Amount::from_sat(2))]);
        assert!(budget.is_limited());
        assert!(!Budget::without_limits().per_host(Amount::ZERO).is_limited());
        let weekly = Budget::without_limits().rolling(DAY * 7, Amount::ZERO);
        assert!(!weekly.is_limited());
    }
}
