//! `extra.quote`: proves that this operator issued exactly this invoice for exactly this request at
//! this amount.
//!
//! It is base64url of `version (1) | payment hash (32) | invoice end (8) | longest life (8) | key
//! id (4) | MAC (32)`. In version 3 the hash of what is bound (32) stands before the MAC. Version 2
//! is read too: it has that hash as versions before the words made it. Numbers are big-endian Unix
//! seconds. The MAC also covers SHA-256 of the invoice's text, the request hash, and amount, timeout
//! and payee of the requirements. So a quote replaces reading the invoice, and a quoted price stays
//! valid after prices or the node change.

use sha2::{Digest, Sha256};

use super::verify::Core;
use crate::{
    clock::Timestamp,
    codec::base64,
    dialect::keys::{OriginKeys, Purpose},
    payment::PaymentHash,
};

/// The keys of quotes in `extra`.
pub(in crate::dialect) const QUOTES: Purpose = Purpose {
    label: "x402/quote",
    is_counted: true,
};

/// What a quote says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) payment_hash: PaymentHash,
    pub(super) ends_at: Timestamp,
    /// The last moment of any credential of this payment, in any dialect.
    pub(super) longest_life: Timestamp,
    /// The hash of what is bound besides method and URL.
    pub(super) bound: Option<Hash>,
}

/// The hash of what is bound, in either form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// `RequestView::bound`.
    OfWords([u8; 32]),
    /// `RequestView::bound_before_words`.
    BeforeWords([u8; 32]),
}

/// What the MAC of a quote covers besides the quote's own fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a> {
    pub(super) core: &'a Core,
    pub(super) invoice: &'a str,
    pub(super) request_hash: &'a [u8; 32],
}

const BARE: usize = 53;
const BOUND: usize = BARE + 32;
const MAC: usize = 32;

impl Quote {
    /// Returns the text to send.
    pub(super) fn seal(&self, keys: &OriginKeys, quoted: &Quoted<'_>) -> String {
        let key = keys.minting(QUOTES);
        let mut bytes = Vec::with_capacity(BOUND + MAC);
        let (version, bound) = match &self.bound {
            None => (1, None),
            Some(Hash::BeforeWords(hash)) => (2, Some(hash)),
            Some(Hash::OfWords(hash)) => (3, Some(hash)),
        };
        bytes.push(version);
        bytes.extend(self.payment_hash.as_bytes());
        bytes.extend(self.ends_at.as_unix_seconds().to_be_bytes());
        bytes.extend(self.longest_life.as_unix_seconds().to_be_bytes());
        bytes.extend(key.id);
        bytes.extend(bound.into_iter().flatten());
        let mac = key.mac.mac(&quoted.message(&bytes));
        bytes.extend(mac);
        base64::encode_url(bytes)
    }

    /// Returns the quote, if one of our keys made it for exactly this.
    pub(super) fn open(text: &str, keys: &OriginKeys, quoted: &Quoted<'_>) -> Option<Self> {
        (text.len() <= (BOUND + MAC).div_ceil(3) * 4).then_some(())?;
        let bytes = base64::decode_url(text)?;
        let (said, mac) = bytes.split_last_chunk::<MAC>()?;
        let (version, rest) = said.split_first()?;
        let (payment_hash, rest) = rest.split_first_chunk()?;
        let (ends_at, rest) = rest.split_first_chunk()?;
        let (longest_life, rest) = rest.split_first_chunk()?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let bound = match (version, rest) {
            (1, []) => None,
            (2, rest) => Some(Hash::BeforeWords(rest.try_into().ok()?)),
            (3, rest) => Some(Hash::OfWords(rest.try_into().ok()?)),
            _ => return None,
        };
        let expected = keys.by_id(QUOTES, *key_id)?.mac.mac(&quoted.message(said));
        constant_time_eq::constant_time_eq_32(&expected, mac).then(|| Self {
            payment_hash: PaymentHash::from_bytes(*payment_hash),
            ends_at: Timestamp::from_unix_seconds(u64::from_be_bytes(*ends_at)),
            longest_life: Timestamp::from_unix_seconds(u64::from_be_bytes(*longest_life)),
            bound,
        })
    }
}

impl Quoted<'_> {
    /// Every part has one length for each version, so no two quotes give the same message.
    fn message(&self, said: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(BOUND + 113);
        message.extend(said);
        message.extend(Sha256::digest(self.invoice));
        message.extend(self.request_hash);
        message.extend(self.core.amount.as_msat().to_be_bytes());
        message.extend(self.core.max_timeout.to_be_bytes());
        message.extend(self.core.pay_to);
        message
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payment::{Amount, Network};

    const CORE: Core = Core {
        network: Network::Regtest,
        amount: Amount::from_sat(7),
        max_timeout: 300,
        pay_to: [2; 33],
    };
    const QUOTED: Quoted<'static> = Quoted {
        core: &CORE,
        invoice: "lnbcrt1",
        request_hash: &[9; 32],
    };

    fn keys(secret: u8, origin: &str, store: u8) -> OriginKeys {
        crate::dialect::list::keys_of_secret(
            &[secret; 32],
            Network::Regtest,
            (origin, ""),
            &[store; 16],
        )
    }

    fn quote(bound: Option<Hash>) -> Quote {
        let at = Timestamp::from_unix_seconds;
        Quote {
            payment_hash: PaymentHash::from_bytes([5; 32]),
            ends_at: at(1),
            longest_life: at(u64::MAX),
            bound,
        }
    }

    #[test]
    fn a_quote_opens_under_its_own_secret_origin_and_store_alone() {
        let ours = keys(1, "https://a", 1);
        for bound in [
            None,
            Some(Hash::BeforeWords([3; 32])),
            Some(Hash::OfWords([3; 32])),
        ] {
            let text = quote(bound).seal(&ours, &QUOTED);
            assert_eq!(Quote::open(&text, &ours, &QUOTED), Some(quote(bound)));
            for other in [
                keys(2, "https://a", 1),
                keys(1, "https://b", 1),
                keys(1, "https://a", 2),
            ] {
                assert_eq!(Quote::open(&text, &other, &QUOTED), None);
            }
        }
    }

    #[test]
    fn a_quote_opens_only_with_the_terms_that_it_was_made_for() {
        let keys = keys(1, "https://a", 1);
        let text = quote(None).seal(&keys, &QUOTED);
        let others = [
            Core {
                amount: Amount::from_sat(6),
                ..CORE
            },
            Core {
                max_timeout: 301,
                ..CORE
            },
            Core {
                pay_to: [3; 33],
                ..CORE
            },
        ];
        let mut quoted: Vec<_> = others
            .iter()
            .map(|core| Quoted { core, ..QUOTED })
            .collect();
        quoted.push(Quoted {
            invoice: "LNBCRT1",
            ..QUOTED
        });
        quoted.push(Quoted {
            request_hash: &[8; 32],
            ..QUOTED
        });
        for other in quoted {
            assert_eq!(Quote::open(&text, &keys, &other), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn no_changed_byte_opens(at in 0..117_usize, flip in 1..=255_u8, bound: bool) {
            let keys = keys(1, "https://a", 1);
            let mut bytes = base64::decode_url(quote(bound.then_some(Hash::OfWords([3; 32]))).seal(&keys, &QUOTED)).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert_eq!(Quote::open(&base64::encode_url(bytes), &keys, &QUOTED), None);
        }

        #[test]
        fn garbage_does_not_open(text in "[A-Za-z0-9_=-]{0,170}") {
            prop_assert_eq!(Quote::open(&text, &keys(1, "https://a", 1), &QUOTED), None);
        }
    }
}
