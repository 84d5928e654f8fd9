use std::fmt;

/// A Bitcoin network: mainnet, or one of the test networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Network {
    /// Mainnet, where money is real. It is printed as `bitcoin`, as in most node software.
    #[doc(alias = "mainnet")]
    Bitcoin,
    /// A private test network on one machine.
    Regtest,
    /// The public test network with signed blocks.
    Signet,
    /// The public test network, version 3.
    Testnet,
}

impl Network {
    pub(crate) const ALL: [Self; 4] = [Self::Bitcoin, Self::Regtest, Self::Signet, Self::Testnet];

    /// Returns the currency part of a BOLT11 invoice's prefix, for example `bc` in `lnbc`.
    #[must_use]
    pub const fn bolt11_currency(self) -> &'static str {
        match self {
            Self::Bitcoin => "bc",
            Self::Regtest => "bcrt",
            Self::Signet => "tbs",
            Self::Testnet => "tb",
        }
    }

    /// Returns the CAIP-2 identifier in x402's `lnbtc` namespace. The specification defines only
    /// those of mainnet and testnet; the other two are for tests.
    #[must_use]
    pub const fn caip2(self) -> &'static str {
        match self {
            Self::Bitcoin => "lnbtc:000000000019d6689c085ae165831e93",
            Self::Regtest => "lnbtc:0f9188f13cb7b2c71f2a335e3a4fc328",
            Self::Signet => "lnbtc:00000008819873e925422c1ff0f99f7c",
            Self::Testnet => "lnbtc:000000000933ea01ad0ee984209779ba",
        }
    }

    /// Returns the network of a CAIP-2 identifier, or `None` if no network has it.
    #[must_use]
    pub fn from_caip2(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.caip2() == id)
    }

    /// Returns the name in lower case: `bitcoin`, `regtest`, `signet` or `testnet`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::Regtest => "regtest",
            Self::Signet => "signet",
            Self::Testnet => "testnet",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
