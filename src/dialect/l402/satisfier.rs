use super::{caveat::decimal, reason::Reason};
use crate::{
    clock::Timestamp,
    codec::hex,
    dialect::authority,
    payment::{PaymentHash, Preimage},
};

/// Checks the caveats that others write: aperture's, and the `preimage` that clients append.
///
/// As in aperture, each caveat is checked against the previous one of the same name: it may only
/// narrow. The last one is checked against the request. Other names are skipped, as the
/// specification demands.
pub(super) struct Satisfier<'a> {
    service: Service<'a>,
    payment_hash: PaymentHash,
    services: Option<&'a str>,
    valid_until: Option<u64>,
}

impl<'a> Satisfier<'a> {
    pub(super) const fn new(service: Service<'a>, payment_hash: PaymentHash) -> Self {
        Self {
            service,
            payment_hash,
            services: None,
            valid_until: None,
        }
    }

    pub(super) fn see(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Reason> {
        match name {
            b"preimage" => self.preimage(value),
            b"services" => self.services(value),
            _ => match name.strip_suffix(b"_valid_until") {
                Some(service) if service == self.service.name().as_bytes() => {
                    self.valid_until(value)
                }
                _ => Ok(()),
            },
        }
    }

    pub(super) fn finish(&self, now: Timestamp) -> Result<(), Reason> {
        if self
            .services
            .is_some_and(|list| !names(list).any(|name| name == self.service.name()))
        {
            return Err(Reason::WrongService);
        }
        if self
            .valid_until
            .is_some_and(|until| now.as_unix_seconds() >= until)
        {
            return Err(Reason::Expired);
        }
        Ok(())
    }

    fn preimage(&self, value: &[u8]) -> Result<(), Reason> {
        let preimage = hex::decode_any_case(value).map(Preimage::from_bytes);
        if preimage.is_some_and(|preimage| self.payment_hash.is_of(&preimage)) {
            Ok(())
        } else {
            Err(Reason::PreimageCaveat)
        }
    }

    fn services(&mut self, value: &'a [u8]) -> Result<(), Reason> {
        let Ok(list) = str::from_utf8(value) else {
            return Ok(());
        };
        if list.split(',').count() > MAX_SERVICES || !list.split(',').all(is_service) {
            return Err(Reason::BadServices);
        }
        if self
            .services
            .is_some_and(|before| !names(list).all(|name| names(before).any(|wider| wider == name)))
        {
            return Err(Reason::Widened);
        }
        self.services = Some(list);
        Ok(())
    }

    fn valid_until(&mut self, value: &[u8]) -> Result<(), Reason> {
        if str::from_utf8(value).is_err() {
            return Ok(());
        }
        let until = decimal(value).ok_or(Reason::BadExpiry)?;
        if self.valid_until.is_some_and(|before| until > before) {
            return Err(Reason::Widened);
        }
        self.valid_until = Some(until);
        Ok(())
    }
}

/// The service in aperture's caveats.
#[derive(Clone, Copy, Debug)]
pub(super) enum Service<'a> {
    /// The host of this origin, looked up only if a caveat needs it.
    HostOf(&'a str),
    /// This name.
    Named(&'a str),
}

impl<'a> Service<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::HostOf(origin) => host(origin),
            Self::Named(name) => name,
        }
    }
}

/// Returns the host of an origin, without its port.
fn host(origin: &str) -> &str {
    let authority = authority(origin);
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

/// Lists are compared name by name. A bound on their length keeps that cheap.
const MAX_SERVICES: usize = 64;

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .filter_map(|service| Some(service.split_once(':')?.0))
}

/// Reads `name:tier`. The tier is a number below 256.
fn is_service(entry: &str) -> bool {
    let service = entry.split_once(':').filter(|(name, _)| !name.is_empty());
    service.is_some_and(|(_, tier)| decimal(tier.as_bytes()).is_some_and(|tier| tier < 256))
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn a_host_goes_without_its_port_and_an_address_stays_whole() {
        for (origin, expected) in [
            ("https://api.example.com", "api.example.com"),
            ("https://api.example.com:8443", "api.example.com"),
            ("http://[::1]", "[::1]"),
            ("http://[::1]:3000", "[::1]"),
        ] {
            assert_eq!(host(origin), expected);
        }
    }
}
