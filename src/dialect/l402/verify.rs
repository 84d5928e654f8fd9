//! Verifying a token: signature, preimage, caveats, in that order.

use std::{num::NonZeroU32, sync::Arc};

use super::{
    bought::{Bought, Expected, bought},
    caveat::split,
    credential::Credential,
    identifier::{COUNTED, Identifier, TIMED, key, sold_at},
    macaroon::Macaroon,
    minted,
    reason::Reason,
    satisfier::{Satisfier, Service},
};
use crate::{
    clock::Timestamp,
    dialect::{
        Claim, RequestView,
        keys::{OriginKeys, Purpose},
    },
    payment::{
        Access, Amount, DialectName, PaymentHash, Preimage, Proof, Refusal, Spend, Terms,
        retain_until,
    },
};

/// Verifies a macaroon of any L402 server whose root key is known: its identifier, its signature,
/// the preimage, and the caveats that aperture mints and clients append. Other caveats are skipped:
/// the caller checks its own.
///
/// # Errors
///
/// A [`Refusal`] with the code `bad_identifier`, `bad_signature`, `bad_preimage`, `bad_services`,
/// `wrong_service`, `bad_expiry`, `expired`, `widened` or `preimage_caveat`.
pub fn verify(
    macaroon: &Macaroon,
    root_key: impl AsRef<[u8]>,
    preimage: &Preimage,
    service: &str,
    now: Timestamp,
) -> Result<Identifier, Refusal> {
    let identifier = Identifier::parse(macaroon.identifier()).ok_or(Reason::BadIdentifier)?;
    signed_and_paid(
        macaroon,
        &identifier.payment_hash(),
        root_key.as_ref(),
        preimage,
    )?;
    let mut satisfier = Satisfier::new(Service::Named(service), identifier.payment_hash());
    for (name, value) in macaroon.caveats().filter_map(split) {
        satisfier.see(name, value)?;
    }
    satisfier.finish(now)?;
    Ok(identifier)
}

/// A token of this server whose payment the preimage proves, before it becomes a [`Proof`]: its
/// caveats are still to be checked.
#[derive(Debug)]
pub(super) struct Genuine {
    payment_hash: PaymentHash,
    macaroon: Macaroon,
    purpose: Purpose,
    /// Whether it is all that `Authorization` holds.
    is_alone: bool,
    /// The service in aperture's caveats. Without a name, the origin's host.
    service: Option<Arc<str>>,
    /// Another token in the same request that allows it, as far as the head shows.
    pub(super) next: Option<Box<Self>>,
}

impl Genuine {
    pub(super) fn of(
        (credential, is_alone): (Credential, bool),
        keys: &OriginKeys,
        service: Option<&Arc<str>>,
    ) -> Result<Box<Self>, Reason> {
        let (macaroon, preimage) = credential.into_parts();
        let (payment_hash, token_id) =
            Identifier::split(macaroon.identifier()).ok_or(Reason::BadIdentifier)?;
        let payment_hash = PaymentHash::from_bytes(*payment_hash);
        let (key, purpose) = key(token_id, keys).ok_or(Reason::UnknownKey)?;
        key.with_mac(token_id, |root_key| {
            signed_and_paid(&macaroon, &payment_hash, root_key, &preimage)
        })?;
        Ok(Box::new(Self {
            payment_hash,
            macaroon,
            purpose,
            is_alone,
            service: service.cloned(),
            next: None,
        }))
    }

    /// Returns what the token buys. Without `has_body`, what depends on the body is not checked.
    pub(super) fn buys(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        now: Timestamp,
        has_body: bool,
    ) -> Result<Bought, Reason> {
        if terms.sold_since.is_some() {
            let sold_at = Identifier::split(self.macaroon.identifier())
                .and_then(|(_, token_id)| sold_at(token_id));
            if terms.is_void(sold_at) {
                return Err(Reason::Revoked);
            }
        }
        let service = self
            .service
            .as_deref()
            .map_or(Service::HostOf(view.origin), Service::Named);
        bought(
            self.macaroon.caveats(),
            self.payment_hash,
            &Expected {
                view,
                terms,
                service,
                now,
                is_timed: self.purpose == TIMED,
                has_body,
            },
        )
    }
}

impl Claim for Genuine {
    fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }

    fn is_alone(&self) -> bool {
        self.is_alone
    }

    fn next(self: Box<Self>) -> Option<Box<dyn Claim>> {
        self.next.map(|next| next as Box<dyn Claim>)
    }

    fn uses(&self, view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Option<NonZeroU32> {
        self.buys(view, terms, now, false).ok()?.uses
    }

    fn needs_body(&self, terms: &Terms) -> bool {
        minted::needs_body(self.macaroon.caveats(), terms)
    }

    fn is_of(&self, terms: &Terms) -> bool {
        minted::binds(self.macaroon.caveats(), &terms.binds)
    }

    fn verify(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        _: Option<Amount>,
        now: Timestamp,
    ) -> Result<Proof, Refusal> {
        let bought = self.buys(view, terms, now, true)?;
        let spend = match bought.uses {
            None => Spend::Never,
            // Taken from what was minted, which no client's caveat can shorten, and equal in every
            // dialect for one invoice. A store that forgot too much after its clock jumped tells
            // payments apart by this number alone.
            Some(uses) => Spend::Times {
                uses,
                restores: terms.max_restores,
                retain_until: retain_until(bought.minted_until),
            },
        };
        Ok(Proof {
            dialect: DialectName::L402,
            network: terms.network,
            payment_hash: self.payment_hash,
            amount: bought.amount,
            spend,
            valid_until: bought.valid_until,
            note: None,
        })
    }
}

/// Returns whether a credential's token was minted by this server, whatever it was bought for and
/// whether or not it was paid.
pub(super) fn is_minted(credential: &Credential, keys: &OriginKeys) -> bool {
    let macaroon = credential.macaroon();
    let minted = || {
        let (_, token_id) = Identifier::split(macaroon.identifier())?;
        let (key, _) = key(token_id, keys)?;
        key.with_mac(token_id, |root_key| macaroon.is_signed_with(root_key))
            .then_some(())
    };
    minted().is_some()
}

/// Returns which keys mint a token for this access. A token that a store counts is refused at
/// another store.
pub(super) const fn purpose(access: Access) -> Purpose {
    match access {
        Access::Once | Access::Uses(_) => COUNTED,
        Access::ForDuration(_) => TIMED,
    }
}

fn signed_and_paid(
    macaroon: &Macaroon,
    payment_hash: &PaymentHash,
    root_key: &[u8],
    preimage: &Preimage,
) -> Result<(), Reason> {
    if !macaroon.is_signed_with(root_key) {
        return Err(Reason::BadSignature);
    }
    if payment_hash.is_of(preimage) {
        Ok(())
    } else {
        Err(Reason::BadPreimage)
    }
}
