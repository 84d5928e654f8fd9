//! The enabled dialects of a paywall, and the names it gives itself.

use super::ConfigError;
use crate::{
    dialect::Dialect,
    lightning::ReceiverProfile,
    payment::{DialectName, Network},
};

fn is_service_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

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

/// Returns the enabled dialects. Refuses one that the receiver cannot serve.
pub(in crate::server) fn enabled(
    names: Option<&[DialectName]>,
    profile: &ReceiverProfile,
    l402_service: Option<&str>,
) -> Result<Vec<Box<dyn Dialect>>, ConfigError> {
    if let Some(name) = l402_service.filter(|name| !is_service_name(name)) {
        return Err(ConfigError::new(format!(
            "{name:?} is not an L402 service name: expected 1 to 64 letters, digits, `-`, `_` and `.`"
        )));
    }
    let compiled: Vec<(DialectName, Box<dyn Dialect>)> = vec![
        #[cfg(feature = "l402")]
        (
            DialectName::L402,
            Box::new(crate::dialect::l402::L402::new(
                l402_service.map(Into::into),
            )),
        ),
        #[cfg(feature = "mpp")]
        (DialectName::Mpp, Box::new(crate::dialect::mpp::Mpp)),
        #[cfg(feature = "x402")]
        (DialectName::X402, Box::new(crate::dialect::x402::X402)),
    ];
    if let Some(absent) = names
        .into_iter()
        .flatten()
        .find(|name| compiled.iter().all(|(have, _)| have != *name))
    {
        return Err(ConfigError::new(format!(
            "{absent} is not compiled in: enable the feature of that name"
        )));
    }
    let chosen: Vec<_> = compiled
        .into_iter()
        .filter(|(name, _)| names.is_none_or(|names| names.contains(name)))
        .collect();
    for (name, _) in &chosen {
        let fault = match name {
            DialectName::Mpp if profile.network == Network::Testnet => "has no name for testnet: ",
            DialectName::X402 if profile.public_key.is_none() => {
                "needs the node's public key, which this receiver's profile does not have: set `public_key` in the receiver's profile, or "
            }
            DialectName::L402 | DialectName::Mpp | DialectName::X402 => continue,
        };
        return Err(ConfigError::new(format!(
            "{name} {fault}name the dialects to enable with .dialects([..])"
        )));
    }
    if chosen.is_empty() {
        return Err(ConfigError::new(
            "no dialect is enabled: name one with .dialects([..]), or enable a feature",
        ));
    }
    Ok(chosen.into_iter().map(|(_, dialect)| dialect).collect())
}
