//! Verifying a charge. From the head: echo, id, expiry, what was bought, preimage. With the body:
//! expiry, what was bought, digest. That is the order of the [`lightning` method](super),
//! "Verification", except that the preimage comes before what needs the body: nobody has a body
//! read without paying.
//!
//! A credential says what it bound. It is checked against that, not against today's charge.

use std::{borrow::Cow, sync::Arc};

use constant_time_eq::constant_time_eq_32;
use sha2::{Digest as _, Sha256};

use super::{
    challenge::{CHARGE, Challenge, METHOD},
    credential::Credential,
    reason,
    wire::{self, ChargeRequest, Opaque},
};
use crate::{
    clock::Timestamp,
    codec::{base64, hex},
    dialect::{
        RequestView,
        bound::{EMPTY_BODY, binds_body},
        keys::DerivedKey,
    },
    payment::{
        Access, Amount, DialectName, Invoice, Network, PaymentHash, Proof, Refusal, RefusalKind,
        Spend, Terms, retain_until,
    },
};

/// What this server put, or would have put, into a challenge.
#[derive(Debug)]
pub(super) struct Issuer<'a> {
    pub(super) realm: &'a str,
    pub(super) header: Option<&'a str>,
    pub(super) network: Network,
    pub(super) keys: &'a [DerivedKey],
    /// Whether it must be known when a credential was sold: then its invoice is read.
    pub(super) dates_sales: bool,
}

/// A charge that this server issued and that was paid.
#[derive(Debug)]
pub(super) struct Charged {
    challenge_id: Arc<str>,
    network: Network,
    amount: Amount,
    pub(super) payment_hash: PaymentHash,
    expires: Timestamp,
    longest_life: Timestamp,
    bound: [u8; 32],
    digest: Option<[u8; 32]>,
    /// No digest binds the body.
    is_any_body: bool,
    /// The words for what `bound` covers besides method and target. Empty too if the challenge is of
    /// a version that did not say so.
    binds: String,
    /// The moment of the sale, if it was asked for.
    sold_at: Option<Timestamp>,
}

impl Issuer<'_> {
    /// Steps 1 to 5: the echo is one that this server could have issued, the id proves that it did,
    /// and the invoice was paid. `bought` checks what the head tells of step 4.
    pub(super) fn authenticate(
        &self,
        credential: &Credential<'_>,
        bought: impl FnOnce(&Charged) -> Result<(), Refusal>,
        now: Timestamp,
    ) -> Result<Charged, Refusal> {
        let echo = &credential.challenge;
        let digest = self
            .check_echo(echo)
            .ok_or(reason::refusal(RefusalKind::Forged))?;
        // 2. The id, under any key whose challenges may still be valid.
        check(is_minted(echo, digest, self.keys), RefusalKind::Forged)?;
        let preimage = credential
            .preimage()
            .ok_or(reason::refusal(RefusalKind::Malformed))?;
        let charged = self
            .read(echo, digest)
            .ok_or(reason::refusal(RefusalKind::Forged))?;
        charged.check_end(now)?;
        bought(&charged)?;
        // 5. The preimage.
        check(charged.payment_hash.is_of(&preimage), RefusalKind::Unpaid)?;
        Ok(charged)
    }

    /// 1. The slots that this server mints are there, and no others. No slot is minted with a `|`
    ///    in it. So if an echo moves text from one slot into the next, it has one `|` too many and
    ///    its id does not match.
    fn check_echo(&self, echo: &Challenge<'_>) -> Option<Option<[u8; 32]>> {
        let ours = echo.realm == self.realm && echo.method == METHOD && echo.intent == CHARGE;
        let whole = echo.expires.is_some()
            && echo.opaque.is_some()
            && echo.header.as_deref() == self.header;
        (ours && whole).then_some(())?;
        match &echo.digest {
            None => Some(None),
            Some(text) => wire::digest(text).map(Some),
        }
    }

    fn read(&self, echo: &Challenge<'_>, digest: Option<[u8; 32]>) -> Option<Charged> {
        let request = base64::decode_url(&*echo.request)?;
        let request: ChargeRequest<'_> = wire::from_json(&request)?;
        let details = &request.method_details;
        let opaque = base64::decode_url(&**echo.opaque.as_ref()?)?;
        let opaque: Opaque<'_> = wire::from_json(&opaque)?;
        (details.network.as_deref() == wire::network_name(self.network)).then_some(())?;
        Some(Charged {
            challenge_id: Arc::from(&*echo.id),
            network: self.network,
            amount: Amount::try_from_sat(wire::digits(&request.amount)?)?,
            payment_hash: PaymentHash::from_bytes(hex::decode_lower(
                details.payment_hash.as_ref()?.as_bytes(),
            )?),
            expires: wire::from_rfc3339(echo.expires.as_ref()?)?,
            longest_life: Timestamp::from_unix_seconds(wire::digits(&opaque.until)?),
            bound: base64::decode_url_array(&*opaque.bound)?,
            digest,
            is_any_body: opaque.body.is_some_and(|body| body == "any"),
            binds: opaque.binds.map(Cow::into_owned).unwrap_or_default(),
            sold_at: match self.dates_sales {
                true => Some(Invoice::parse(&details.invoice).ok()?.created_at()),
                false => None,
            },
        })
    }
}

impl Charged {
    /// Steps 3, 4 and 6.
    pub(super) fn verify(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Proof, Refusal> {
        self.check_end(now)?;
        self.check_bound(view, terms, true)?;
        // 6. The body.
        check(self.covers(view.body_hash), RefusalKind::WrongRequest)?;
        Ok(Proof {
            dialect: DialectName::Mpp,
            network: self.network,
            payment_hash: self.payment_hash,
            amount: self.amount,
            spend: Spend::Times {
                uses: std::num::NonZeroU32::MIN,
                restores: 0,
                retain_until: retain_until(self.longest_life),
            },
            valid_until: self.expires,
            note: Some(self.challenge_id.clone()),
        })
    }

    /// 3. Before its end.
    fn check_end(&self, now: Timestamp) -> Result<(), Refusal> {
        check(now < self.expires, RefusalKind::Expired)
    }

    /// 4. Method, target and what else was bound. And what was sold is not void. If `has_body`,
    ///    also what depends on the body.
    pub(super) fn check_bound(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        has_body: bool,
    ) -> Result<(), Refusal> {
        check(!terms.is_void(self.sold_at), RefusalKind::Revoked)?;
        let is_bound = self.is_as_bound(view, terms).unwrap_or(!has_body);
        check(is_bound, RefusalKind::WrongRequest)
    }

    /// Returns whether what was bound is the same here, and today's price reads nothing that was
    /// left open. `None` if the body must be known, and is not.
    fn is_as_bound(&self, view: &RequestView<'_>, terms: &Terms) -> Option<bool> {
        let is = |more: Option<[u8; 32]>| {
            let bound = bound_hash(view.method(), view.target, more.as_ref());
            constant_time_eq_32(&self.bound, &bound)
        };
        let words = match &*self.binds {
            "" if is(None) => Some(""),
            "" => {
                // Versions before the words bound the hash alone.
                let mut words = None;
                for terms in terms.and_earlier().filter(|terms| terms.has_bound()) {
                    if is(Some(view.bound_before_words(&terms.binds)?)) {
                        words = Some(&*terms.binds);
                    }
                }
                words
            }
            words => is(Some(view.bound(words)?)).then_some(words),
        };
        let Some(words) = words else {
            return Some(false);
        };
        let is_body_bound = !self.is_any_body || binds_body(words);
        Some(!view.is_open(terms, Access::Once, words, is_body_bound)?)
    }

    /// Returns whether verifying needs the body's hash.
    pub(super) fn needs_body(&self, terms: &Terms) -> bool {
        !self.is_any_body || terms.bound_covers_body || binds_body(&self.binds)
    }

    /// Returns whether it binds what these terms bind.
    pub(super) fn is_of(&self, terms: &Terms) -> bool {
        self.binds == terms.binds
    }

    /// A digest that nobody can check covers nothing.
    fn covers(&self, body: Option<[u8; 32]>) -> bool {
        let is_bought =
            |hash: [u8; 32]| constant_time_eq_32(&self.digest.unwrap_or(EMPTY_BODY), &hash);
        self.is_any_body || body.is_some_and(is_bought)
    }
}

fn check(holds: bool, kind: RefusalKind) -> Result<(), Refusal> {
    if holds {
        Ok(())
    } else {
        Err(reason::refusal(kind))
    }
}

/// Returns the hash that `opaque` carries: of the method, what else is bound, and the target. A
/// method holds no zero byte, and what else is bound has one length, so no two requests give the
/// same text.
pub(super) fn bound_hash(method: &str, target: &str, bound: Option<&[u8; 32]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update("tower-x402 mpp v1\0");
    hash.update(method);
    hash.update([0, u8::from(bound.is_some())]);
    hash.update(bound.map_or(&[][..], |hash| &hash[..]));
    hash.update(target);
    hash.finalize().into()
}

/// Returns whether the id of a challenge is a MAC of ours over all of it. A digest counts in the
/// form in which it is minted.
pub(super) fn is_minted(
    echo: &Challenge<'_>,
    digest: Option<[u8; 32]>,
    keys: &[DerivedKey],
) -> bool {
    let Some(claimed) = base64::decode_url_array(&*echo.id) else {
        return false;
    };
    let input = input(echo, digest);
    keys.iter()
        .any(|key| constant_time_eq_32(&key.mac.mac(input.as_bytes()), &claimed))
}

fn input(echo: &Challenge<'_>, digest: Option<[u8; 32]>) -> String {
    match (digest, &echo.digest) {
        (Some(hash), Some(text)) if !text.ends_with(':') => Challenge {
            digest: Some(wire::digest_text(&hash).into()),
            ..echo.clone()
        }
        .id_input(),
        _ => echo.id_input(),
    }
}
