//! [L402](https://github.com/lightninglabs/L402/blob/master/protocol-specification.md), and LSAT,
//! its older name: a token that becomes a credential once its invoice is paid.
//!
//! ```text
//! 402  WWW-Authenticate: L402 macaroon="<base64>", invoice="<BOLT11>"
//!      Authorization: L402 <base64>:<preimage in hex>
//! ```
//!
//! The macaroon's identifier holds the payment hash, and its caveats say what was sold. Its
//! signature is a chain of MACs. Only this server can begin the chain, and anybody can continue it.
//! So a holder can narrow a token, and nobody can widen it. The caveats that this server
//! understands are `method`, `target`, `route`, `uses` and `valid_until` (Unix seconds). A caveat
//! with a name that the server does not know has no effect. L402 has no receipt.
//!
//! A token is checked against its own caveats and not against what its route sells today. So what
//! was sold stays valid when a charge changes: see [`Charge`](crate::Charge), "When a charge
//! changes".
//!
//! # As a client
//!
//! ```
//! use http::HeaderMap;
//! use sha2::{Digest, Sha256};
//! use tower_x402::{
//!     Amount, ClientConditions, ClientRequest, Network,
//!     clock::{Clock, SystemClock},
//!     l402::{Challenge, Payable},
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
//! // The client's own request, and the wallet's network.
//! let (url, headers) = ("https://api.example.com/weather", HeaderMap::new());
//! let request = ClientRequest::Http { method: "GET", url, headers: &headers, body_hash: Sha256::digest("").into() };
//! let conditions = ClientConditions::new(Network::Regtest, SystemClock::new().now());
//! let payable = Challenge::in_headers(answer.headers())
//!     .iter()
//!     .find_map(|challenge| Payable::check(challenge, &request, &conditions).ok())
//!     .ok_or("nothing to pay here")?;
//! if payable.amount() > Amount::from_sat(100) {
//!     return Err("more than this is worth".into());
//! }
//! let preimage = node.settle(payable.invoice().payment_hash())?; // here your wallet pays `payable.invoice()`
//!
//! let (name, value) = payable.credential(&preimage).ok_or("the preimage of another payment")?;
//! let answer = api.oneshot(Request::get("/weather").header(name, value).body(String::new())?).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//! # Ok(())
//! # }
//! ```

mod authorization;
mod bought;
mod caveat;
mod challenge;
mod client;
mod credential;
pub(super) mod identifier;
mod macaroon;
mod mint;
mod minted;
#[cfg(feature = "client")]
mod offer;
pub(crate) mod reason;
mod route;
mod satisfier;
mod scheme;
mod verify;

#[cfg(feature = "__internals")]
pub(crate) mod bench;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};

pub use self::{
    challenge::Challenge,
    client::Payable,
    credential::Credential,
    identifier::Identifier,
    macaroon::{Macaroon, MacaroonError},
    scheme::Scheme,
    verify::verify,
};
use self::{
    identifier::{COUNTED, TIMED},
    mint::mint,
    reason::Reason,
    verify::Genuine,
};
use super::{
    Asked, ChallengeLine, Committed, Dialect, HeaderLine, HttpFields, Issuer, Listed, Presented,
    Rank, RequestView, Unsayable, accept_authenticate,
};
use crate::{
    clock::Timestamp,
    codec::base64,
    payment::{Amount, DialectName, PaymentReceipt, Refusal, Terms},
};

/// The dialect, as the server uses it.
#[derive(Debug, Default)]
pub(crate) struct L402 {
    /// The service in aperture's caveats. Without a name, the origin's host.
    service: Option<Arc<str>>,
}

/// As the list of dialects has it.
pub(super) const LISTED: Listed = Listed {
    name: DialectName::L402,
    fields: HttpFields {
        credentials: &["macaroon", "grpc-metadata-macaroon"],
        shared: &["authorization"],
        requests: &[],
        answers: &[],
    },
    purposes: &[COUNTED, TIMED],
    #[cfg(feature = "client")]
    client: offer::CLIENT,
    make: |options| match options.l402_service {
        Some(name) if !is_service_name(name) => Err(format!(
            "{name:?} is not an L402 service name: expected 1 to 64 letters, digits, `-`, `_` and `.`"
        )),
        service => Ok(Box::new(L402::new(service.map(Into::into)))),
    },
};

fn is_service_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl L402 {
    pub(crate) const fn new(service: Option<Arc<str>>) -> Self {
        Self { service }
    }
}

impl Dialect for L402 {
    fn name(&self) -> DialectName {
        DialectName::L402
    }

    fn is_in_authorization(&self, _: bool) -> bool {
        true
    }

    fn credential_form(&self) -> &'static str {
        "Authorization: L402 <macaroon>:<preimage in 64 hex digits>"
    }

    fn cannot_sell(&self, _: &Terms, amount: Option<Amount>) -> Option<&'static str> {
        amount
            .is_some_and(Amount::is_zero)
            .then_some("sells nothing for zero: name what is free with RouteTable::free(..)")
    }

    fn binds_body(&self, _: &RequestView<'_>, terms: &Terms) -> bool {
        terms.bound_covers_body
    }

    /// Of several credentials, the first one counts whose caveats allow this request, as far as the
    /// head shows. Others that allow it come next. If none does, the refusal is that of the first
    /// genuine one, or else of the last one.
    fn credential(&self, view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Presented {
        let (mut first, mut genuine, mut other) = (None::<Box<Genuine>>, None, None);
        let mut last = &mut first;
        let found = authorization::presented(view.headers());
        // With one credential there is nothing to choose: its caveats are checked when it is
        // verified, unless a charge of this route has a body read before that.
        let is_alone = found.is_alone;
        let reads_body = terms.and_earlier().any(|terms| terms.bound_covers_body);
        let is_checked_later = found.is_one() && !reads_body;
        for part in found {
            let token = Credential::read(part).and_then(|credential| {
                Genuine::of((credential, is_alone), view.keys, self.service.as_ref())
            });
            match token.map(|token| {
                (
                    if is_checked_later {
                        Ok(())
                    } else {
                        token.buys(view, terms, now, false).map(|_| ())
                    },
                    token,
                )
            }) {
                Ok((Ok(()), token)) => last = &mut last.insert(token).next,
                Ok((Err(reason), _)) => genuine = genuine.or(Some(reason)),
                Err(reason) => other = Some(reason),
            }
        }
        match (first, genuine.or(other)) {
            (Some(token), _) => Presented::Authentic(token),
            (None, Some(reason)) => Presented::Refused(reason.into()),
            (None, None) => Presented::Absent,
        }
    }

    fn spent(&self) -> Refusal {
        Reason::Spent.into()
    }

    fn revoked(&self) -> Refusal {
        Reason::Revoked.into()
    }

    fn unpaid(&self) -> Refusal {
        Reason::Unpaid.into()
    }

    fn description(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
    ) -> Result<Option<Committed>, Unsayable> {
        if mint::is_sayable(view, terms) {
            Ok(None)
        } else {
            Err(Unsayable)
        }
    }

    fn is_named(&self, headers: &HeaderMap) -> bool {
        let schemes = [Scheme::L402, Scheme::Lsat];
        schemes
            .iter()
            .any(|scheme| accept_authenticate::names(headers, scheme.as_str()))
    }

    fn challenge(&self, asked: &Asked<'_>) -> Result<Vec<ChallengeLine>, Unsayable> {
        let invoice = asked.invoice;
        let macaroon = mint(
            asked.view,
            asked.terms,
            asked.amount,
            invoice.payment_hash(),
            (invoice.created_at(), invoice.expires_at()),
        )?;
        let token = base64::encode_standard(macaroon.as_bytes());
        let line = |rank, scheme| {
            let value = challenge::header_value(scheme, &token, invoice.as_str());
            ChallengeLine {
                rank,
                name: WWW_AUTHENTICATE,
                value,
            }
        };
        let (l402, lsat) = (
            line(Rank::L402, Scheme::L402),
            line(Rank::Lsat, Scheme::Lsat),
        );
        if !asked.brief {
            return Ok(vec![l402, lsat]);
        }
        let names =
            |scheme: Scheme| accept_authenticate::names(asked.view.headers(), scheme.as_str());
        let is_old = names(Scheme::Lsat) && !names(Scheme::L402);
        Ok(vec![if is_old { lsat } else { l402 }])
    }

    fn receipt(&self, _: &PaymentReceipt, _: StatusCode, _: Timestamp) -> Option<HeaderLine> {
        None
    }

    fn refusal(&self, _: &Refusal, _: &Terms) -> Option<HeaderLine> {
        None
    }

    fn strip(&self, headers: &mut HeaderMap, _: &Terms) {
        authorization::strip(headers);
    }

    fn take_own(&self, headers: &mut HeaderMap, issuer: &Issuer<'_>) -> Vec<HeaderLine> {
        authorization::take(headers, |part| {
            Credential::read(part).is_ok_and(|credential| {
                issuer
                    .keys
                    .iter()
                    .any(|keys| verify::is_minted(&credential, keys))
            })
        })
    }
}
