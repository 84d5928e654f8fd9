//! MPP: the [`Payment` scheme](https://datatracker.ietf.org/doc/draft-httpauth-payment/) (core
//! draft -01) with the [`lightning` method](https://paymentauth.org/draft-lightning-charge-00.html)
//! (draft -00) and its intent `charge`.
//!
//! ```text
//! 402  WWW-Authenticate: Payment id, realm, method="lightning", intent="charge", request, expires, digest?, header?, opaque
//!      Authorization: Payment base64url({challenge, payload: {preimage}})
//! 200  Payment-Receipt: base64url({challengeId, method, reference, status, timestamp})
//! ```
//!
//! 1. Nothing is stored for a challenge. Its `id` is a MAC over realm, method, intent, `request`,
//!    `expires`, `digest`, `header` and `opaque`. To rotate the master secret, keep the old one
//!    until its challenges have expired.
//! 2. `opaque` binds the challenge to one method, path and query, and to what a price function
//!    read. `digest` binds it to one body. A challenge without `digest` is for a request without a
//!    body, or for a route that streams bodies and does not bind them.
//! 3. Prices are whole satoshis. Testnet has no name in this protocol.
//! 4. If the route uses `Authorization` for something else, `header="Payment-Authorization"`
//!    selects that header. Only the selected one is read.
//!
//! # As a client
//!
//! ```
//! use http::HeaderMap;
//! use sha2::{Digest, Sha256};
//! use tower_x402::{
//!     Amount, ClientConditions, ClientRequest, Network,
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
//! // The client's own request, and the wallet's network.
//! let (url, headers) = ("https://api.example.com/weather", HeaderMap::new());
//! let request = ClientRequest::Http { method: "GET", url, headers: &headers, body_hash: Sha256::digest("").into() };
//! let conditions = ClientConditions::new(Network::Regtest, SystemClock::new().now());
//! // The first challenge that passes the checks. Other methods and broken challenges are skipped.
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
//! assert!(Receipt::in_headers(answer.headers()).is_some());
//! # Ok(())
//! # }
//! ```

mod accept;
#[cfg(feature = "__internals")]
pub(crate) mod bench;
mod challenge;
mod client;
mod credential;
pub(super) mod issue;
#[cfg(feature = "client")]
mod offer;
pub mod reason;
mod receipt;
mod verify;
mod wire;

use http::{HeaderMap, HeaderName, StatusCode, header::AUTHORIZATION};

pub use self::{
    accept::{ACCEPT_PAYMENT, AcceptPayment},
    challenge::Challenge,
    client::Payable,
    credential::{Credential, CredentialText, PAYMENT_AUTHORIZATION},
    receipt::{PAYMENT_RECEIPT, Receipt},
    wire::{ChargeRequest, MethodDetails},
};
use self::{
    credential::Found,
    issue::IDS,
    verify::{Charged, Issuer},
};
use super::{
    Asked, ChallengeLine, Claim, Committed, Dialect, HeaderLine, HttpFields, Listed, Presented,
    RequestView, Unsayable, accept_authenticate,
};
use crate::{
    clock::Timestamp,
    payment::{
        Access, Amount, DialectName, Network, PaymentHash, PaymentReceipt, Proof, Refusal,
        RefusalKind, Terms,
    },
};

/// The dialect, as the server uses it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mpp;

/// As the list of dialects has it.
pub(super) const LISTED: Listed = Listed {
    name: DialectName::Mpp,
    fields: HttpFields {
        credentials: &["payment-authorization"],
        shared: &["authorization"],
        requests: &["payment-authorization", "accept-payment"],
        answers: &["payment-receipt"],
    },
    purposes: &[IDS],
    #[cfg(feature = "client")]
    client: offer::CLIENT,
    make: |_| Ok(Box::new(Mpp)),
};

impl Dialect for Mpp {
    fn name(&self) -> DialectName {
        DialectName::Mpp
    }

    fn receiver_fault(&self, network: Network, _: Option<&[u8; 33]>) -> Option<&'static str> {
        wire::network_name(network)
            .is_none()
            .then_some("has no name for testnet: ")
    }

    fn is_in_authorization(&self, authorization_taken: bool) -> bool {
        !authorization_taken
    }

    fn credential_form(&self) -> &'static str {
        "Payment <base64url of a JSON object of challenge and payload>"
    }

    fn cannot_sell(&self, terms: &Terms, amount: Option<Amount>) -> Option<&'static str> {
        let is_whole = |amount: Amount| amount.as_whole_sat().is_some_and(|sat| sat > 0);
        if terms.access != Access::Once {
            Some("sells one request at a time")
        } else if terms.is_grpc {
            Some("has no form for gRPC")
        } else if wire::network_name(terms.network).is_none() {
            Some("has no name for the node's network")
        } else if !amount.is_none_or(is_whole) {
            Some("sells whole satoshis only: round the price")
        } else {
            None
        }
    }

    fn binds_body(&self, view: &RequestView<'_>, terms: &Terms) -> bool {
        issue::is_body_bound(view, terms)
    }

    fn credential(&self, view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Presented {
        let text = match credential::find(view.headers(), &field(terms)) {
            Found::Nothing => return bought_for_another_field(view, terms, now),
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
        match authenticate(&credential, issue::header(terms), view, terms, now) {
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

    fn is_named(&self, headers: &HeaderMap) -> bool {
        issue::is_accepted(headers) || accept_authenticate::names(headers, challenge::SCHEME)
    }

    /// They send `Accept-Payment`.
    fn is_named_by_clients(&self) -> bool {
        true
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

    /// From both headers, because there are no terms that say which one counts.
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
                .any(|keys| verify::is_minted(echo, digest, keys.all(IDS)))
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

    fn needs_body(&self, terms: &Terms) -> bool {
        Self::needs_body(self, terms)
    }

    fn is_of(&self, terms: &Terms) -> bool {
        Self::is_of(self, terms)
    }

    fn verify(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        _: Option<Amount>,
        now: Timestamp,
    ) -> Result<Proof, Refusal> {
        Self::verify(self, view, terms, now)
    }
}

/// Returns a credential in the header in which this route reads none today, but did when it sold
/// this. That header may be the application's own, so whatever is not good there is left alone.
fn bought_for_another_field(view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Presented {
    let (name, header) = if terms.authorization_taken {
        (AUTHORIZATION, None)
    } else {
        (PAYMENT_AUTHORIZATION, Some(credential::HEADER))
    };
    let Found::One(Some(text)) = credential::find(view.headers(), &name) else {
        return Presented::Absent;
    };
    text.read()
        .and_then(|credential| authenticate(&credential, header, view, terms, now).ok())
        .map_or(Presented::Absent, |charged| {
            Presented::Authentic(Box::new(charged))
        })
}

fn authenticate(
    credential: &Credential<'_>,
    header: Option<&str>,
    view: &RequestView<'_>,
    terms: &Terms,
    now: Timestamp,
) -> Result<Charged, Refusal> {
    let issuer = Issuer {
        realm: view.authority(),
        header,
        network: terms.network,
        keys: view.keys.all(IDS),
        dates_sales: terms.sold_since.is_some(),
    };
    // What depends on the body is checked later.
    let bought = |charged: &Charged| charged.check_bound(view, terms, false);
    issuer.authenticate(credential, bought, now)
}

/// Returns the one header in which this route asks for credentials.
fn field(terms: &Terms) -> HeaderName {
    if terms.authorization_taken {
        PAYMENT_AUTHORIZATION
    } else {
        AUTHORIZATION
    }
}

#[cfg(test)]
mod tests;
