//! [x402 version
//! 2](https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v2.md), scheme
//! [`exact` on Bitcoin
//! Lightning](https://github.com/x402-foundation/x402/blob/main/specs/schemes/exact/scheme_exact_lnbtc.md),
//! which is called `lnbtc` below.
//!
//! | Header | Object | Here |
//! |---|---|---|
//! | `PAYMENT-REQUIRED`, from the server | the ways to pay | [`Challenge`] |
//! | `PAYMENT-SIGNATURE`, from the client | the credential | [`PaymentPayload`] |
//! | `PAYMENT-RESPONSE`, from the server | the receipt, or why there is none | [`Receipt`] |
//!
//! Each header is standard base64, with padding, of a JSON object ([`decode_header`]). The
//! invoice's description hash commits to the one request that is paid for ([`RequestBinding`]). The
//! client sends the preimage. [`verify`] does the first seven steps of "Facilitator Validation".
//! The eighth step is to consume the payment hash. The flow is `upfront`: all eight steps come
//! before the handler.
//!
//! # Quotes, and proofs of other servers
//!
//! A challenge of this server carries a quote: a MAC over invoice, request and amount, which
//! clients echo. The quote keeps a quoted price valid after prices change, and it replaces the
//! checks of the invoice.
//!
//! A proof without a quote is refused (`invalid_exact_lnbtc_extra_mismatch`) unless foreign proofs
//! are accepted. Even then it is accepted only at the current price: otherwise anybody who can make
//! the node sign an invoice could choose the price. This departs from the specification, which
//! accepts any proof with the same binding and terms.
//!
//! # Reading
//!
//! A JSON member that is repeated at any depth is refused. Types are strict: `300.0` is not a
//! timeout, and `"025000"` is not an amount. A header of more than 64 KiB is not read.
//! [`RequestBinding`] says what this crate does if the specification's vectors leave a choice.
//!
//! # As a client
//!
//! ```
//! use http::HeaderMap;
//! use sha2::{Digest, Sha256};
//! use tower_x402::{
//!     Amount, ClientConditions, ClientRequest, Network,
//!     clock::{Clock, SystemClock},
//!     x402::{Challenge, Payable, Receipt},
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
//! // The client's own request: the invoice must commit to it. And the wallet's network.
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
//! assert!(Receipt::in_headers(answer.headers()).is_some_and(|receipt| receipt.is_success()));
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
mod identifier;
#[cfg(feature = "client")]
mod offer;
pub(super) mod quote;
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
    challenge::Challenge,
    client::{Payable, PayerReport},
    credential::PaymentPayload,
    reason::Reason,
    receipt::Receipt,
    verify::{Conditions, Verified, verify},
    wire::{PaymentRequirements, decode_header},
};
use self::{
    claim::Authentic,
    quote::{Hash, QUOTES, Quote, Quoted},
    verify::Core,
};
use super::{
    Asked, ChallengeLine, Committed, Dialect, HeaderLine, HttpFields, Issuer, Listed, Presented,
    Rank, RequestView, Unsayable,
};
use crate::{
    clock::Timestamp,
    codec::fields::{has_any, take_lines},
    payment::{
        Access, Amount, DialectName, InvoiceDescription, Network, Payment, PaymentReceipt, Refusal,
        Resource, Terms,
    },
};

const REQUIRED: HeaderName = HeaderName::from_static("payment-required");
const SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
const RESPONSE: HeaderName = HeaderName::from_static("payment-response");
const VERSION_1: HeaderName = HeaderName::from_static("x-payment");
static CREDENTIALS: [HeaderName; 2] = [SIGNATURE, VERSION_1];

/// The dialect, as the server uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct X402;

/// As the list of dialects has it.
pub(super) const LISTED: Listed = Listed {
    name: DialectName::X402,
    fields: HttpFields {
        credentials: &["payment-signature"],
        shared: &[],
        // The stock client sends a list of fields to expose, which only answers should have.
        requests: &["payment-signature", "access-control-expose-headers"],
        answers: &["payment-required", "payment-response", "x-payment-response"],
    },
    purposes: &[QUOTES],
    #[cfg(feature = "client")]
    client: offer::CLIENT,
    make: |_| Ok(Box::new(X402)),
};

impl Dialect for X402 {
    fn name(&self) -> DialectName {
        DialectName::X402
    }

    fn receiver_fault(&self, _: Network, public_key: Option<&[u8; 33]>) -> Option<&'static str> {
        let fault = "needs the node's public key, which this receiver's profile does not have: set `public_key` in the receiver's profile, or ";
        public_key.is_none().then_some(fault)
    }

    fn is_in_authorization(&self, _: bool) -> bool {
        false
    }

    fn takes_foreign_proofs(&self) -> bool {
        true
    }

    fn issuance_denied(&self) -> Option<&'static str> {
        Some("exact_lnbtc_invoice_issuance_denied")
    }

    fn credential_form(&self) -> &'static str {
        "PAYMENT-SIGNATURE: <base64 of the JSON payment payload>"
    }

    fn cannot_sell(&self, terms: &Terms, amount: Option<Amount>) -> Option<&'static str> {
        if terms.access != Access::Once {
            Some("sells one request at a time")
        } else if terms.is_grpc {
            Some("has no form for gRPC")
        } else if terms.streams_body {
            Some("must bind the body: leave .stream_body() out")
        } else if terms.pay_to.is_none() || terms.invoice_expiry.as_secs() == 0 {
            Some("needs the node's public key and an invoice expiry of a second or more")
        } else if amount.is_some_and(Amount::is_zero) {
            Some("sells nothing for zero: name what is free with RouteTable::free(..)")
        } else {
            None
        }
    }

    /// Always, unless the body streams: then no proof is accepted.
    fn binds_body(&self, _: &RequestView<'_>, terms: &Terms) -> bool {
        !terms.streams_body
    }

    fn credential(&self, view: &RequestView<'_>, terms: &Terms, now: Timestamp) -> Presented {
        let headers = view.headers();
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

    fn identifier(&self, headers: &HeaderMap) -> Result<Option<String>, &'static str> {
        identifier::in_headers(headers)
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
        (view.origin.len() + view.client_target().len() <= challenge::MAX_URL)
            .then_some(())
            .ok_or(Unsayable)?;
        let binding = claim::binding(view, terms).map_err(|_| Unsayable)?;
        let hash = *binding.hash().as_bytes();
        Ok(Some(Committed {
            text: binding.into_canonical(),
            hash,
        }))
    }

    /// Refuses an invoice that does not say what was asked for: clients must not pay for what would
    /// be refused.
    fn challenge(&self, asked: &Asked<'_>) -> Result<Vec<ChallengeLine>, Unsayable> {
        let Asked {
            view,
            terms,
            amount,
            invoice,
            committed,
            refused,
            brief,
        } = *asked;
        let request_hash = committed.ok_or(Unsayable)?;
        let pay_to = terms.pay_to.as_ref().ok_or(Unsayable)?;
        let core = Core {
            network: terms.network,
            amount,
            max_timeout: invoice.expiry().as_secs(),
            pay_to: *pay_to,
        };
        let bound = if terms.has_bound() {
            Some(view.bound(&terms.binds).ok_or(Unsayable)?)
        } else {
            None
        };
        let bound = claim::served(view, bound).map(Hash::OfWords);
        let fits = *invoice.description() == InvoiceDescription::Hash(*request_hash)
            && invoice.amount() == Some(amount)
            && invoice.network() == terms.network
            && invoice.payee() == pay_to;
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
        let plain = Resource::default();
        let said = challenge::Said {
            error: refused.map_or("Payment required", Refusal::code),
            url: &[view.origin, view.client_target()].concat(),
            resource: if brief { &plain } else { &terms.resource },
            bound_headers: &terms.bound_headers,
            amount,
            pay_to,
            invoice,
            request_hash,
            quote: &quote.seal(view.keys, &quoted),
            takes_identifier: terms.keeps_answers && !brief,
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
        let Payment::Lightning(paid) = receipt.payment();
        Some((
            RESPONSE,
            Receipt::settled(paid.network(), paid.payment_hash()).to_header()?,
        ))
    }

    fn refusal(&self, refusal: &Refusal, terms: &Terms) -> Option<HeaderLine> {
        (refusal.dialect() == DialectName::X402).then_some(())?;
        Some((
            RESPONSE,
            Receipt::refused(terms.network.caip2(), refusal.code()).to_header()?,
        ))
    }

    /// If a proof is for another request and has no quote of ours, the first is the reason (step
    /// 3).
    fn reconsider(&self, refusal: Refusal, view: &RequestView<'_>, terms: &Terms) -> Refusal {
        let is_of_another = || {
            let text = decode_header(view.headers().get(SIGNATURE)?.as_bytes())?;
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

    /// Proofs with our quote. If foreign proofs are accepted, also those for our receiver's key:
    /// they are worth as much here.
    fn take_own(&self, headers: &mut HeaderMap, issuer: &Issuer<'_>) -> Vec<HeaderLine> {
        // If several lines were folded into one, it can be taken apart again.
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
