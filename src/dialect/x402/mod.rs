//! x402 version 2, scheme `exact` on Bitcoin Lightning (`lnbtc`).
//!
//! | Header | Object | Here |
//! |---|---|---|
//! | `PAYMENT-REQUIRED`, from the server | what is asked | [`PaymentRequired`] |
//! | `PAYMENT-SIGNATURE`, from the client | what was paid | [`PaymentPayload`] |
//! | `PAYMENT-RESPONSE`, from the server | what became of it | [`SettlementResponse`] |
//!
//! Each is standard base64, with padding, of a JSON object ([`decode_header`]). The invoice's
//! description hash commits to the one request that is paid for ([`RequestBinding`]); the payer
//! shows the preimage; [`verify`] makes the facilitator's seven checks, and the eighth is to
//! consume the payment hash. The flow is `upfront`: that comes before the handler.
//!
//! # Ours or another's
//!
//! A challenge of this server carries a quote: a MAC over invoice, request and amount, which stock
//! clients echo. It is what makes a price honoured that has changed since, and it stands for the
//! checks of the invoice. A proof without one is refused (`invalid_exact_lnbtc_extra_mismatch`)
//! unless foreign proofs are accepted, and then holds at the current price only: whoever can make
//! the node sign an invoice could name the price otherwise. That departs from the specification's
//! rule that any proof with the same binding and terms is taken.
//!
//! # Reading
//!
//! A JSON member that stands twice is refused at any depth, types are strict (`300.0` is no
//! timeout, `"025000"` no amount), and a header of more than 64 KiB is not read. What the vectors
//! leave open is decided in [`RequestBinding`]'s and [`Challenge`]'s docs.
//!
//! # As a client
//!
//! ```
//! use http::HeaderMap;
//! use sha2::{Digest, Sha256};
//! use tower_x402::{
//!     Amount, Network,
//!     clock::{Clock, SystemClock},
//!     x402::{Challenge, Conditions, Intent, PaymentRequired, SettlementResponse, decode_header},
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
//! let text = decode_header(answer.headers()["payment-required"].as_bytes()).ok_or("no challenge that can be read")?;
//! let required = PaymentRequired::from_json(&text).ok_or("no challenge that can be read")?;
//!
//! // What you asked for, from your own knowledge: the invoice must commit to just that.
//! let (url, headers) = ("https://api.example.com/weather", HeaderMap::new());
//! let intent = Intent::Http { method: "GET", url, headers: &headers, body_hash: Sha256::digest("").into() };
//! // The wallet's own network; without this line that is mainnet.
//! let conditions = Conditions::at(SystemClock::new().now()).with_networks(&[Network::Regtest]);
//! let challenge = (0..required.accepts().len())
//!     .find_map(|index| Challenge::check(&required, index, &intent, &conditions).ok())
//!     .ok_or("nothing to pay here")?;
//! if challenge.amount() > Amount::from_sat(100) {
//!     return Err("more than this is worth".into());
//! }
//! let preimage = node.settle(challenge.invoice().payment_hash())?; // here your wallet pays `challenge.invoice()`
//!
//! let proof = challenge.credential(&preimage).ok_or("the preimage of another payment")?;
//! let answer = api.oneshot(Request::get("/weather").header("payment-signature", proof).body(String::new())?).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//! let text = decode_header(answer.headers()["payment-response"].as_bytes()).ok_or("no receipt that can be read")?;
//! assert!(SettlementResponse::from_json(&text).is_some_and(|response| response.error_reason().is_none()));
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "__internals")]
pub(crate) mod bench;
mod binding;
mod challenge;
mod claim;
mod client;
mod credential;
mod quote;
pub(crate) mod reason;
mod receipt;
#[cfg(test)]
mod tests;
mod verify;
mod wire;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

#[cfg(feature = "facilitator")]
pub(crate) use self::verify::{proof, terms};
pub use self::{
    binding::{RequestBinding, RequestHash},
    challenge::PaymentRequired,
    client::{Challenge, Intent, PayerReport},
    credential::PaymentPayload,
    reason::Reason,
    receipt::SettlementResponse,
    verify::{Conditions, Verified, verify},
    wire::{PaymentRequirements, decode_header},
};
use self::{
    claim::Authentic,
    quote::{Quote, Quoted},
    verify::Core,
};
use super::{
    Asked, ChallengeLine, Committed, Dialect, HeaderLine, Issuer, Presented, Rank, RequestView,
    Unsayable,
};
use crate::{
    clock::Timestamp,
    codec::fields::{has_any, take_lines},
    payment::{Access, Amount, DialectName, InvoiceDescription, PaymentReceipt, Refusal, Terms},
};

const REQUIRED: HeaderName = HeaderName::from_static("payment-required");
const SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
const RESPONSE: HeaderName = HeaderName::from_static("payment-response");
const VERSION_1: HeaderName = HeaderName::from_static("x-payment");
static CREDENTIALS: [HeaderName; 2] = [SIGNATURE, VERSION_1];

/// This dialect, as the server asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct X402;

impl Dialect for X402 {
    fn name(&self) -> DialectName {
        DialectName::X402
    }

    fn offers(&self, terms: &Terms, amount: Option<Amount>) -> bool {
        terms.access == Access::Once
            && !terms.streams_body
            && terms.pay_to.is_some()
            && terms.invoice_expiry.as_secs() > 0
            && amount.is_none_or(|amount| !amount.is_zero())
    }

    /// Always, but that a body that streams is left alone: no proof is good there.
    fn binds_body(&self, terms: &Terms) -> bool {
        !terms.streams_body
    }

    fn credential(&self, view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Presented {
        let headers = &view.head.headers;
        if !has_any(headers, &CREDENTIALS) {
            return Presented::Absent;
        }
        let mut lines = headers.get_all(SIGNATURE).iter();
        let line = match (lines.next(), lines.next()) {
            (Some(line), None) => line,
            (Some(_), Some(_)) => return Presented::Wrong("two PAYMENT-SIGNATURE lines: send one"),
            (None, _) => {
                return Presented::Wrong(
                    "X-PAYMENT is of x402 version 1: use PAYMENT-SIGNATURE (x402 version 2)",
                );
            }
        };
        let claim = decode_header(line.as_bytes())
            .ok_or(Reason::InvalidPayload)
            .and_then(|text| {
                Authentic::of_head(&PaymentPayload::from_json(&text)?, view, terms, now)
            });
        claim.map_or_else(
            |reason| Presented::Refused(reason.into()),
            |claim| Presented::Authentic(Box::new(claim)),
        )
    }

    fn spent(&self) -> Refusal {
        Reason::DuplicateSettlement.into()
    }

    fn revoked(&self) -> Refusal {
        Reason::InvalidTransactionState.into()
    }

    fn unpaid(&self) -> Refusal {
        Reason::PaymentNotPaid.into()
    }

    fn description(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
    ) -> Result<Option<Committed>, Unsayable> {
        (view.origin.len() + view.target.len() <= challenge::MAX_URL)
            .then_some(())
            .ok_or(Unsayable)?;
        let binding = claim::binding(view, terms).map_err(|_| Unsayable)?;
        let hash = *binding.hash().as_bytes();
        Ok(Some(Committed {
            text: binding.into_canonical(),
            hash,
        }))
    }

    /// None where the invoice does not say what was asked: never ask to be paid for what would be
    /// refused.
    fn challenge(&self, asked: &Asked<'_>) -> Result<Vec<ChallengeLine>, Unsayable> {
        let Asked {
            view,
            terms,
            amount,
            invoice,
            committed,
            refused,
        } = *asked;
        let request_hash = committed.ok_or(Unsayable)?;
        let pay_to = terms.pay_to.as_ref().ok_or(Unsayable)?;
        let core = Core {
            network: terms.network,
            amount,
            max_timeout: invoice.expiry().as_secs(),
            pay_to: *pay_to,
        };
        let bound = view.bound.filter(|_| terms.has_bound);
        let fits = *invoice.description() == InvoiceDescription::Hash(*request_hash)
            && invoice.amount() == Some(amount)
            && invoice.network() == terms.network
            && invoice.payee() == pay_to
            && bound.is_some() == terms.has_bound;
        fits.then_some(()).ok_or(Unsayable)?;
        let ends_at = invoice.expires_at();
        let quote = Quote {
            payment_hash: invoice.payment_hash(),
            ends_at,
            longest_life: terms.longest_life(ends_at),
            bound,
        };
        let quoted = Quoted {
            core: &core,
            invoice: invoice.as_str(),
            request_hash,
        };
        let said = challenge::Said {
            error: refused.map_or("Payment required", Refusal::code),
            url: &[view.origin, view.target].concat(),
            resource: &terms.resource,
            bound_headers: &terms.bound_headers,
            amount,
            pay_to,
            invoice,
            request_hash,
            quote: &quote.seal(view.keys, &quoted),
        };
        let value = challenge::header(&said).ok_or(Unsayable)?;
        Ok(vec![ChallengeLine {
            rank: Rank::PaymentRequired,
            name: REQUIRED,
            value,
        }])
    }

    /// On any status: the payment is settled whatever the handler answered.
    fn receipt(&self, receipt: &PaymentReceipt, _: StatusCode, _: Timestamp) -> Option<HeaderLine> {
        (receipt.dialect() == DialectName::X402).then_some(())?;
        Some((
            RESPONSE,
            SettlementResponse::settled(receipt.network(), receipt.payment_hash()).to_header()?,
        ))
    }

    fn refusal(&self, refusal: &Refusal, terms: &Terms) -> Option<HeaderLine> {
        (refusal.dialect() == DialectName::X402).then_some(())?;
        Some((
            RESPONSE,
            SettlementResponse::refused(terms.network.caip2(), refusal.code()).to_header()?,
        ))
    }

    /// That it is a proof for another request comes before that it has no quote of ours (step 3).
    fn reconsider(&self, refusal: Refusal, view: &RequestView<'_>, terms: &Terms) -> Refusal {
        let is_of_another = || {
            let text = decode_header(view.head.headers.get(SIGNATURE)?.as_bytes())?;
            let claimed =
                claim::request_hash(PaymentPayload::from_json(&text).ok()?.accepted().extra())?;
            Some(claimed != *claim::binding(view, terms).ok()?.hash().as_bytes())
        };
        if refusal == Reason::ExtraMismatch.into() && is_of_another() == Some(true) {
            return Reason::RequestMismatch.into();
        }
        refusal
    }

    fn strip(&self, headers: &mut HeaderMap, _: &Terms) {
        if has_any(headers, &CREDENTIALS) {
            CREDENTIALS
                .iter()
                .for_each(|name| drop(headers.remove(name)));
        }
    }

    /// Those with our quote. If foreign proofs are accepted, those for our receiver's key too: they
    /// are worth as much here.
    fn take_own(&self, headers: &mut HeaderMap, issuer: &Issuer<'_>) -> Vec<HeaderLine> {
        // A line onto which several were folded can be taken apart again.
        let is_own = |line: &HeaderValue| {
            line.as_bytes()
                .split(|byte| *byte == b',')
                .any(|part| claim::is_own(part, issuer))
        };
        take_lines(headers, &SIGNATURE, is_own)
            .into_iter()
            .map(|line| (SIGNATURE, line))
            .collect()
    }
}
