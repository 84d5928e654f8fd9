//! Events: signed and encrypted requests, and what the wallet answers.

use nostr::{
    Event, EventBuilder, EventId, Keys, Kind, PublicKey, Tag, Timestamp,
    nips::{
        nip04,
        nip44::{self, Version},
    },
};
use zeroize::Zeroizing;

use super::fault::{Fault, NAME};
use crate::payment::PayerId;

/// How requests and answers are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// NIP-04, which older wallets need.
    Nip04,
    /// NIP-44, version 2.
    Nip44,
}

/// The keys of one connection: ours, and the wallet's public one.
pub(super) struct Cipher {
    pub(super) keys: Keys,
    pub(super) wallet: PublicKey,
    pub(super) encryption: Encryption,
}

impl Cipher {
    /// Names the wallet by both keys: another connection may not know the payments of this one.
    pub(super) fn payer_id(&self) -> PayerId {
        let keys = [self.wallet, self.keys.public_key()];
        PayerId::of(NAME, &keys.map(|key| key.to_bytes()).concat())
    }

    /// Returns a request. The wallet ignores it after it has expired.
    pub(super) fn request(&self, content: &str, expires: Timestamp) -> Result<Event, Fault> {
        let (secret, wallet) = (self.keys.secret_key(), &self.wallet);
        let content = match self.encryption {
            Encryption::Nip04 => {
                nip04::encrypt(secret, wallet, content).map_err(|error| error.to_string())
            }
            Encryption::Nip44 => nip44::encrypt(secret, wallet, content, Version::V2)
                .map_err(|error| error.to_string()),
        }
        .map_err(|error| Fault::Unsent(error.into()))?;
        let mut event = EventBuilder::new(Kind::WalletConnectRequest, content)
            .tag(Tag::public_key(self.wallet))
            .tag(Tag::expiration(expires));
        if self.encryption == Encryption::Nip44 {
            let tag = Tag::parse(["encryption", "nip44_v2"]);
            event = event.tag_maybe(tag.ok());
        }
        event
            .sign_with_keys(&self.keys)
            .map_err(|error| Fault::Unsent(error.into()))
    }

    /// Returns whether the wallet signed this event. Whatever else a relay sends is ignored.
    pub(super) fn is_of_wallet(&self, event: &Event) -> bool {
        event.pubkey == self.wallet && event.verify().is_ok()
    }

    /// Decrypts an event that the wallet signed.
    pub(super) fn open(&self, event: &Event) -> Result<Zeroizing<String>, Fault> {
        let (secret, wallet) = (self.keys.secret_key(), &self.wallet);
        // A wallet may answer in the older form despite the tag of the request.
        let opened = if event.content.contains("?iv=") {
            nip04::decrypt(secret, wallet, &event.content).map_err(|error| error.to_string())
        } else {
            nip44::decrypt(secret, wallet, &event.content).map_err(|error| error.to_string())
        };
        opened
            .map(Zeroizing::new)
            .map_err(|error| Fault::Unreadable(error.into()))
    }
}

/// Returns the request that an answer is to.
pub(super) fn answered(event: &Event) -> Option<EventId> {
    event.tags.event_ids().next().copied()
}
