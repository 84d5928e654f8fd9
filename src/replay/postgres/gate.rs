//! When to try to connect again.

use std::time::Duration;

use tokio::time::Instant;

/// Lets one caller at a time try to connect while that fails, and each time later.
#[derive(Debug, Default)]
pub(super) struct Gate {
    failures: u32,
    closed: Option<(Instant, String)>,
}

impl Gate {
    /// Returns whether the caller may try now, or why connecting failed.
    pub(super) fn enter(&mut self, now: Instant) -> Result<(), String> {
        match &mut self.closed {
            Some((until, cause)) if now < *until => Err(cause.clone()),
            Some((until, _)) => {
                // For others it stays closed until this caller knows more.
                *until = now + delay(self.failures);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn failed(&mut self, now: Instant, cause: String) {
        self.closed = Some((now + delay(self.failures), cause));
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

/// How long to wait after so many failures in a row.
pub(super) fn delay(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST)
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_one_caller_at_a_time_may_try_and_each_time_later() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut gate = Gate::default();
        assert!(gate.enter(at(0)).is_ok() && gate.enter(at(0)).is_ok());
        gate.failed(at(0), "down".into());
        assert_eq!(gate.enter(at(99)), Err("down".into()));
        assert!(gate.enter(at(100)).is_ok());
        assert!(gate.enter(at(100)).is_err(), "somebody is trying");
        gate.failed(at(100), "down".into());
        assert!(gate.enter(at(299)).is_err());
        assert!(gate.enter(at(300)).is_ok());
        gate.succeeded();
        assert!(gate.enter(at(300)).is_ok() && gate.enter(at(300)).is_ok());
    }

    #[test]
    fn the_longest_wait_is_5_s() {
        assert_eq!(
            [0, 1, 5, 6, u32::MAX].map(|failures| delay(failures).as_millis()),
            [100, 200, 3_200, 5_000, 5_000]
        );
    }
}
