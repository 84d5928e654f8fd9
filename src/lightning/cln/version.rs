use std::sync::Arc;

/// The first version whose `listpays` tells a payment that `xpay` still makes from one that failed.
const FIRST_THAT_PAYS: (u32, u32) = (26, 6);

/// The version of a node, as it tells it: for example `v26.06.1`.
#[derive(Clone)]
pub(super) struct Version(Arc<str>);

impl Version {
    pub(super) fn of(told: &str) -> Self {
        Self(told.chars().take(50).collect::<String>().into())
    }

    /// Succeeds if this crate can pay with it. A version that cannot be read could be too old.
    pub(super) fn pays(&self) -> Result<(), String> {
        if self.numbers().is_some_and(|found| found >= FIRST_THAT_PAYS) {
            return Ok(());
        }
        Err(format!(
            "expected Core Lightning 26.06 or newer to pay, and this is {:?}: update it, or only receive with it",
            self.0
        ))
    }

    fn numbers(&self) -> Option<(u32, u32)> {
        let told = self.0.strip_prefix('v').unwrap_or(&self.0);
        let end = told.find(|c: char| c != '.' && !c.is_ascii_digit());
        let mut numbers = told[..end.unwrap_or(told.len())].split('.');
        let mut next = || numbers.next()?.parse().ok();
        Some((next()?, next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_are_known_to_tell_the_outcome_pay() {
        for version in [
            "v26.06",
            "v26.06.6",
            "26.06.1",
            "v26.06rc2",
            "v26.06-12-g1234567-modded",
            "v26.09",
            "v27.03.1",
            "v100.01",
        ] {
            Version::of(version).pays().unwrap();
        }
        for version in [
            "v24.11",
            "v25.12.1",
            "v26.04.1",
            "v26.05-99-g1234567",
            "",
            "v",
            "v26",
            "26062604",
            "1234567",
            "v26.x",
            "main",
            "v-26.06",
            "v99999999999.06",
            "basedon-v26.06",
        ] {
            let why = Version::of(version).pays().unwrap_err();
            assert!(
                why.contains("26.06 or newer") && why.contains(version),
                "{why}"
            );
        }
    }
}
