use nostr::{Keys, PublicKey, SecretKey};

use crate::{
    codec::hex,
    lightning::{ConnectError, url::NodeUrl},
};

/// The most relays that a URL may name.
const MOST: usize = 10;

/// What a wallet's URL says: the wallet's key, its relays, and the key that this client signs with.
pub(super) struct Address {
    pub(super) wallet: PublicKey,
    pub(super) relays: Vec<String>,
    pub(super) keys: Keys,
}

impl Address {
    /// Reads a URL as wallets show it. Fields such as `lud16`, which are of no use here, are
    /// skipped.
    pub(super) fn of(url: &NodeUrl) -> Result<Self, ConnectError> {
        let wrong = |what: &str| {
            ConnectError::url(format!(
                "the {} URL {what}: copy it exactly as the wallet shows it",
                url.scheme()
            ))
        };
        let wallet = hex::decode_any_case::<32>(url.host())
            .and_then(|key| {
                PublicKey::from_byte_array(key)
                    .xonly()
                    .ok()
                    .map(PublicKey::from)
            })
            .ok_or_else(|| wrong("does not begin with the public key of a wallet"))?;
        let relays: Vec<String> = url.fields("relay").map(str::to_owned).collect();
        if relays.is_empty() {
            return Err(wrong("names no relay"));
        }
        if relays.len() > MOST {
            return Err(wrong("names more than 10 relays"));
        }
        if !relays
            .iter()
            .all(|relay| relay.starts_with("wss://") || relay.starts_with("ws://"))
        {
            return Err(wrong(
                "names a relay that does not begin with wss:// or ws://",
            ));
        }
        let secret = url
            .secret("secret")?
            .ok_or_else(|| wrong("has no secret"))?;
        let secret = secret
            .text()
            .and_then(hex::decode_any_case::<32>)
            .and_then(|secret| SecretKey::from_slice(&secret).ok())
            .ok_or_else(|| wrong("has a secret that is not 64 hexadecimal digits"))?;
        Ok(Self {
            wallet,
            relays,
            keys: Keys::new(secret),
        })
    }
}
