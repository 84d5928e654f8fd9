//! MPP: the `Payment` scheme with method `lightning` and intent `charge` (core draft -01, lightning
//! charge draft -00).
//!
//! ```text
//! 402  WWW-Authenticate: Payment id, realm, method="lightning", intent="charge", request, expires, digest?, header?, opaque
//!      Authorization: Payment base64url({challenge, payload: {preimage}})
//! 200  Payment-Receipt: base64url({challengeId, method, reference, status, timestamp})
//! ```
//!
//! 1. Nothing is stored for a challenge: its `id` is a MAC over realm, method, intent,
//!    `request`, `expires`, `digest`, `header` and `opaque`. Old secrets verify until their
//!    challenges expire.
//! 2. `opaque` ties it to one method, path and query (and what a price saw), `digest` to one
//!    body; none means an empty one.
//! 3. Whole satoshis only; Testnet has no name here.
//! 4. Where `Authorization` is in use for something else, `header="Payment-Authorization"`
//!    selects that field, and it alone.
//!
//! # As a client
//!
//! ```
//! use sha2::{Digest, Sha256};
//! use tower_x402::{
//!     Amount,
//!     clock::{Clock, SystemClock},
//!     mpp::{Challenge, Payable, Receipt},
//! };
//!
//! # use std::convert::Infallible;
//! # use http::{Request, Response, StatusCode};
//! # use tower::{Layer, ServiceExt, service_fn};
//! # use tower_x402::{MemoryStore, Paywall, body::RequestBody, lightning::LocalNode};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let node = LocalNode::new();
//! # let secret = tower_x402::Secrets::test_secret(7);
//! # let builder = Paywall::builder(node.clone()).origin("https://api.example.com").master_secret(secret);
//! # let paywall = builder.replay_store(MemoryStore::new()?).build()?;
//! # let api = paywall.charge(Amount::from_sat(10))?.layer(service_fn(async |_: Request<RequestBody<String>>| {
//! #     Ok::<_, Infallible>(Response::new(String::from("sunny")))
//! # }));
//! let answer = api.clone().oneshot(Request::get("/weather").body(String::new())?).await?;
//! assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
//!
//! // The first way to pay by Lightning that holds what it says. Other schemes and broken challenges are passed over.
//! let (body_hash, now) = (Sha256::digest("").into(), SystemClock::new().now());
//! let payable = Challenge::all(answer.headers())
//!     .into_iter()
//!     .find_map(|challenge| Payable::check(challenge, Some(&body_hash), now).ok())
//!     .ok_or("nothing to pay here")?;
//! if payable.amount() > Amount::from_sat(100) {
//!     return Err("more than this is worth".into());
//! }
//! let preimage = node.settle(payable.invoice().payment_hash())?; // here your wallet pays `payable.invoice()`
//!
//! let (name, value) = payable.credential(&preimage).ok_or("the preimage of another payment")?;
//! let answer = api.oneshot(Request::get("/weather").header(name, value).body(String::new())?).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//! assert!(Receipt::parse(answer.headers()["payment-receipt"].as_bytes()).is_some());
//! # Ok(())
//! # }
//! ```

mod accept;
#[cfg(feature = "__internals")]
pub(crate) mod bench;
mod challenge;
mod credential;
mod issue;
mod payable;
pub mod reason;
mod receipt;
mod verify;
mod wire;

use http::{HeaderMap, HeaderName, StatusCode, header::AUTHORIZATION};

pub use self::{
    accept::{ACCEPT_PAYMENT, AcceptPayment},
    challenge::Challenge,
    credential::{Credential, CredentialText, PAYMENT_AUTHORIZATION},
    payable::{ChallengeError, Payable},
    receipt::{PAYMENT_RECEIPT, Receipt},
    wire::{ChargeRequest, MethodDetails},
};
use self::{
    credential::Found,
    verify::{Body, Charged, Issuer},
};
use super::{
    Asked, ChallengeLine, Claim, Committed, Dialect, HeaderLine, Presented, RequestView, Unsayable,
    keys::Purpose,
};
use crate::{
    clock::Timestamp,
    payment::{
        Access, Amount, DialectName, PaymentHash, PaymentReceipt, Proof, Refusal, RefusalKind,
        Terms,
    },
};

/// The dialect, for the server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mpp;

impl Dialect for Mpp {
    fn name(&self) -> DialectName {
        DialectName::Mpp
    }

    fn offers(&self, terms: &Terms, amount: Option<Amount>) -> bool {
        let sayable = |amount: Amount| amount.as_whole_sat().is_some_and(|sat| sat > 0);
        terms.access == Access::Once
            && wire::network_name(terms.network).is_some()
            && amount.is_none_or(sayable)
    }

    fn binds_body(&self, terms: &Terms) -> bool {
        !terms.streams_body || terms.bound_covers_body
    }

    fn credential(&self, view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Presented {
        let text = match credential::find(&view.head.headers, &field(terms)) {
            Found::Nothing => return Presented::Absent,
            Found::Several => {
                return Presented::Wrong(
                    "a request may carry one `Payment` credential: send the one that was paid for it",
                );
            }
            Found::One(text) => text,
        };
        let Some(credential) = text.as_ref().and_then(CredentialText::read) else {
            return Presented::Refused(reason::refusal(RefusalKind::Malformed));
        };
        let issuer = Issuer {
            realm: view.authority(),
            header: issue::header(terms),
            network: terms.network,
            keys: view.keys.all(Purpose::MppId),
        };
        // What a price saw is known only later.
        let bound = if terms.has_bound {
            None
        } else {
            issue::bound(view, terms)
        };
        match issuer.authenticate(&credential, bound.as_ref(), now) {
            Ok(charged) => Presented::Authentic(Box::new(charged)),
            Err(refusal) => Presented::Refused(refusal),
        }
    }

    fn spent(&self) -> Refusal {
        reason::refusal(RefusalKind::Spent)
    }

    fn revoked(&self) -> Refusal {
        reason::refusal(RefusalKind::Revoked)
    }

    fn unpaid(&self) -> Refusal {
        reason::refusal(RefusalKind::Unpaid)
    }

    fn description(&self, _: &RequestView<'_>, _: &Terms) -> Result<Option<Committed>, Unsayable> {
        Ok(None)
    }

    fn challenge(&self, asked: &Asked<'_>) -> Result<Vec<ChallengeLine>, Unsayable> {
        issue::line(asked).map(|line| vec![line]).ok_or(Unsayable)
    }

    fn receipt(
        &self,
        receipt: &PaymentReceipt,
        status: StatusCode,
        _: Timestamp,
    ) -> Option<HeaderLine> {
        (status.is_success() && receipt.dialect() == DialectName::Mpp).then_some(())?;
        Some((PAYMENT_RECEIPT, Receipt::of(receipt)?.to_header_value()?))
    }

    fn refusal(&self, _: &Refusal, _: &Terms) -> Option<HeaderLine> {
        None
    }

    fn strip(&self, headers: &mut HeaderMap, terms: &Terms) {
        credential::strip(headers, &PAYMENT_AUTHORIZATION);
        if !terms.authorization_taken {
            credential::strip(headers, &AUTHORIZATION);
        }
    }

    /// From both fields: which one counts is said by the terms, and there are none.
    fn take_own(
        &self,
        headers: &mut HeaderMap,
        issuer: &crate::dialect::Issuer<'_>,
    ) -> Vec<HeaderLine> {
        let is_own = |credential: &Credential<'_>| {
            let echo = &credential.challenge;
            let digest = echo.digest.as_deref().and_then(wire::digest);
            issuer
                .keys
                .iter()
                .any(|keys| verify::is_minted(echo, digest, keys.all(Purpose::MppId)))
        };
        let fields = [&PAYMENT_AUTHORIZATION, &AUTHORIZATION];
        fields
            .into_iter()
            .flat_map(|name| credential::take(headers, name, is_own))
            .collect()
    }
}

impl Claim for Charged {
    fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }

    fn verify(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        _: Option<Amount>,
        now: Timestamp,
    ) -> Result<Proof, Refusal> {
        let bought = issue::bound(view, terms).zip(issue::body(view, terms));
        let (bound, body): ([u8; 32], Body) =
            bought.ok_or(reason::refusal(RefusalKind::WrongRequest))?;
        Self::verify(self, &bound, body, now)
    }
}

/// The one field in which this route reads credentials.
fn field(terms: &Terms) -> HeaderName {
    if terms.authorization_taken {
        PAYMENT_AUTHORIZATION
    } else {
        AUTHORIZATION
    }
}

#[cfg(test)]
mod tests;
