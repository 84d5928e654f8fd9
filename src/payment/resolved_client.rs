use std::{fmt, net::IpAddr};

/// The address of the client that sent a request, as the layer resolved it, or unknown.
///
/// It is the other end of the connection, or what a trusted proxy reports about it. A header of
/// anybody else never counts. The layer counts its limits by the same address, so an IPv4-mapped
/// IPv6 address is an IPv4 address here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResolvedClient(Option<IpAddr>);

impl ResolvedClient {
    /// A client whose address is not known.
    pub const UNKNOWN: Self = Self(None);

    /// Creates a client with this address, for example in a test of a handler.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self(Some(address))
    }

    /// Returns the address, or `None` if it is unknown.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        self.0
    }
}

/// Prints the address, or `unknown`.
impl fmt::Display for ResolvedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

/// Serialises the address as a string, or null if it is unknown.
impl serde::Serialize for ResolvedClient {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(address) => serializer.collect_str(&address),
            None => serializer.serialize_none(),
        }
    }
}
