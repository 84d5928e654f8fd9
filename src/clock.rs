//! The clock: moments in whole seconds, the operating system's clock, and one for tests.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment in time: whole seconds since the Unix epoch, in UTC.
///
/// `Display` and `Debug` print ISO 8601; serde serialises the seconds as a number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest moment that this type can hold.
    pub const MAX: Self = Self(u64::MAX);

    /// Creates a moment from whole seconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Returns the whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_seconds(self) -> u64 {
        self.0
    }

    /// Returns the moment in ISO 8601 and in UTC, for example `2026-09-21T14:13:20Z`. A year after
    /// 9999 has a plus sign in front.
    #[must_use]
    pub fn to_iso_8601(self) -> String {
        self.to_string()
    }

    /// Returns the moment `duration` later, or [`Timestamp::MAX`] if that overflows. A fraction of a
    /// second in `duration` is ignored.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// Returns the time that passed since `earlier`, or zero if `earlier` is later than this.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / 86_400);
        let (hour, minute, second) = (self.0 / 3600 % 24, self.0 / 60 % 60, self.0 % 60);
        let sign = if year > 9999 { "+" } else { "" };
        write!(
            f,
            "{sign}{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

/// Returns the Gregorian year, month and day of a day number counted from 1970-01-01. Years are
/// counted from March, so that a leap day is the last day of its year.
const fn date(day: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let day = day + 719_468; // from 0000-03-01
    let in_era = day % DAYS_OF_400_YEARS;
    let year_of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * in_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = day / DAYS_OF_400_YEARS * 400 + year_of_era + (month <= 2) as u64;
    (year, month, in_year - (153 * from_march + 2) / 5 + 1)
}

/// A wall clock.
///
/// # Contract
///
/// `now` does not block, and may be called for each request. The clock may jump forwards or
/// backwards. A credential keeps the expiry that was written into it, and a store answers "spent"
/// for any payment that it has already forgotten.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

fn _is_dyn_compatible(_: &dyn Clock) {}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// Creates a handle to the operating system's clock.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        )
    }
}

/// A clock for tests that stands still until it is set or advanced. Clones share one time.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// Creates a clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.0)))
    }

    /// Sets the clock to `now`, which may be earlier or later than its present time.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Advances the clock by whole seconds. A fraction of a second in `by` is ignored.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().saturating_add(by));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_printed_in_iso_8601_and_in_utc_and_serialised_in_seconds() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_790_000_000, "2026-09-21T14:13:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "+10000-01-01T00:00:00Z"),
            (u64::MAX, "+584554051223-11-09T07:00:15Z"),
        ] {
            let moment = Timestamp::from_unix_seconds(seconds);
            assert_eq!(moment.to_iso_8601(), text);
            assert_eq!(format!("{moment}"), text);
            assert_eq!(format!("{moment:?}"), format!("Timestamp({text})"));
            assert_eq!(serde_json::to_value(moment).unwrap(), seconds);
        }
    }
}
