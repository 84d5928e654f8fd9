//! The enabled dialects of a paywall, and the names it gives itself.

use super::ConfigError;
use crate::{
    dialect::{Dialect, Options, list::DIALECTS},
    lightning::ReceiverProfile,
    payment::DialectName,
};

/// Returns the label of the service, empty if it has none.
pub(in crate::server) fn service_label(label: Option<&str>) -> Result<&str, ConfigError> {
    let is_label = |text: &str| {
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    match label {
        Some(text) if !is_label(text) => Err(ConfigError::new(format!(
            "{text:?} is not a service label: expected 1 to 64 printable ASCII characters"
        ))),
        label => Ok(label.unwrap_or_default()),
    }
}

/// Returns the enabled dialects, in the order of their names. Refuses one that the receiver cannot
/// serve.
pub(in crate::server) fn enabled(
    names: Option<&[DialectName]>,
    profile: &ReceiverProfile,
    l402_service: Option<&str>,
) -> Result<Vec<Box<dyn Dialect>>, ConfigError> {
    let absent = names
        .into_iter()
        .flatten()
        .find(|name| DIALECTS.iter().all(|listed| listed.name != **name));
    if let Some(absent) = absent {
        return Err(ConfigError::new(format!(
            "{absent} is not compiled in: enable the feature of that name"
        )));
    }
    let options = Options { l402_service };
    let mut listed: Vec<_> = DIALECTS
        .iter()
        .filter(|listed| names.is_none_or(|names| names.contains(&listed.name)))
        .collect();
    listed.sort_by_key(|listed| {
        names.and_then(|names| names.iter().position(|name| *name == listed.name))
    });
    let chosen: Vec<_> = listed
        .iter()
        .map(|listed| (listed.make)(&options).map_err(ConfigError::new))
        .collect::<Result<_, _>>()?;
    for dialect in &chosen {
        let public_key = profile.public_key.as_ref();
        if let Some(fault) = dialect.receiver_fault(profile.network, public_key) {
            return Err(ConfigError::new(format!(
                "{} {fault}name the dialects to enable with .dialects([..])",
                dialect.name()
            )));
        }
    }
    if chosen.is_empty() {
        return Err(ConfigError::new(
            "no dialect is enabled: name one with .dialects([..]), or enable a feature",
        ));
    }
    Ok(chosen)
}
