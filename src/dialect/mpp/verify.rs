//! Verifying a charge. From the head: echo, id, expiry, what was bought, preimage. With the body:
//! expiry, what was bought, digest. That is the order of the [`lightning` method](super),
//! "Verification", except that the preimage comes before what needs the body: nobody has a body
//! read without paying.
//!
//! Nothing here looks at a request. The caller passes what a credential must have been bought for.

use std::sync::Arc;

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
    dialect::keys::DerivedKey,
    payment::{
        Amount, DialectName, Network, PaymentHash, Proof, Refusal, RefusalKind, Spend, retain_until,
    },
};

/// SHA-256 of no bytes: the body that a credential without a digest was bought for.
pub(super) const EMPTY_BODY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// What this server put, or would have put, into a challenge.
#[derive(Debug)]
pub(super) struct Issuer<'a> {
    pub(super) realm: &'a str,
    pub(super) header: Option<&'a str>,
    pub(super) network: Network,
    pub(super) keys: &'a [DerivedKey],
}

/// A body, as far as credentials are bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// SHA-256 of the body.
    Hashed([u8; 32]),
    /// The body streams: no credential is bound to it.
    Streamed,
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
}

impl Issuer<'_> {
    /// Steps 1 to 5: the echo is one that this server could have issued, the id proves that it did,
    /// and the invoice was paid. `bound` is given if the head tells what it must be.
    pub(super) fn authenticate(
        &self,
        credential: &Credential<'_>,
        bound: Option<&[u8; 32]>,
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
        bound.map_or(Ok(()), |bound| charged.check_bound(bound))?;
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
        })
    }
}

impl Charged {
    /// Steps 3, 4 and 6.
    pub(super) fn verify(
        &self,
        bound: &[u8; 32],
        body: Body,
        now: Timestamp,
    ) -> Result<Proof, Refusal> {
        self.check_end(now)?;
        self.check_bound(bound)?;
        // 6. The body.
        check(self.covers(body), RefusalKind::WrongRequest)?;
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

    /// 4. Method, target and what the price function read.
    fn check_bound(&self, bound: &[u8; 32]) -> Result<(), Refusal> {
        check(
            constant_time_eq_32(&self.bound, bound),
            RefusalKind::WrongRequest,
        )
    }

    /// A digest that nobody can check covers nothing.
    fn covers(&self, body: Body) -> bool {
        match (body, self.digest) {
            (Body::Hashed(hash), digest) => {
                constant_time_eq_32(&digest.unwrap_or(EMPTY_BODY), &hash)
            }
            (Body::Streamed, digest) => digest.is_none(),
        }
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
