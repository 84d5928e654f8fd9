//! A credential in a request's head, and what the head leaves open.

use sha2::{Digest, Sha256};

use super::{
    Conditions, PaymentPayload, PaymentRequirements, Reason,
    binding::{Binding, Params, RequestBinding},
    quote::{Quote, Quoted},
    verify::{self, Core},
    wire::decode_header,
};
use crate::{
    clock::Timestamp,
    codec::{
        hex,
        json::{Json, Object},
    },
    dialect::{Claim, Issuer, RequestView, keys::OriginKeys},
    payment::{
        Amount, DialectName, Network, PaymentHash, Proof, Refusal, SKEW, Spend, Terms, retain_until,
    },
};

/// A credential that is authentic as far as the head shows: either it has our quote, or our
/// receiver signed its invoice for the request hash that it names. Its preimage is the payment's.
#[derive(Debug)]
pub(super) struct Authentic {
    network: Network,
    amount: Amount,
    request_hash: [u8; 32],
    quote: Quote,
    is_foreign: bool,
}

impl Authentic {
    /// Makes steps 1 to 7 as far as the head allows, against our own terms. The amount and the
    /// request hash are the claimed ones: a quote or our receiver's signature vouches for them, and
    /// [`Claim::verify`] compares them.
    ///
    /// A valid quote replaces step 5, and the comparison of the payee and the timeout that were
    /// asked for then.
    pub(super) fn of_head(
        payload: &PaymentPayload<'_>,
        view: &RequestView<'_>,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Self, Reason> {
        let accepted = payload.accepted();
        let extra = accepted.extra();
        let networks = [terms.network];
        let conditions = Conditions {
            store_created_at: terms.foreign_proofs_since,
            ..Conditions::at(now).with_networks(&networks)
        };
        let core = Core::read(accepted, &networks);
        let opened = core
            .as_ref()
            .ok()
            .and_then(|core| quoted(extra, core, view.keys));
        if opened.is_none() {
            verify::same_core(
                accepted,
                &required(accepted, terms).ok_or(Reason::PayToMismatch)?,
            )?;
        }
        let core = core?;
        verify::transfer_method(extra)?;
        verify::payment_flow(extra)?;
        let binding = Binding::read(extra)?;
        match &binding.params {
            Params::Http { headers } if *headers == terms.bound_headers => {}
            _ => return Err(Reason::RequestMismatch),
        }
        let (quote, foreign) = match opened {
            Some(quote) => (quote, None),
            None if terms.foreign_proofs_since.is_some() => {
                let invoice = core.invoice(verify::invoice_text(extra)?, &binding, &conditions)?;
                let ends_at = invoice.expires_at();
                let longest_life = terms.longest_life(ends_at);
                let quote = Quote {
                    payment_hash: invoice.payment_hash(),
                    ends_at,
                    longest_life,
                    bound: None,
                };
                (quote, Some(invoice.created_at()))
            }
            None => return Err(Reason::ExtraMismatch),
        };
        verify::preimage(payload, quote.payment_hash)?;
        verify::in_time(quote.ends_at, &conditions)?;
        if let Some(created_at) = foreign {
            verify::remembered(created_at, &conditions)?;
        }
        let is_foreign = foreign.is_some();
        if !is_foreign && quote.bound.is_some() != (terms.has_bound || view.client_target.is_some())
        {
            return Err(Reason::RequestMismatch);
        }
        Ok(Self {
            network: core.network,
            amount: core.amount,
            request_hash: binding.hash,
            quote,
            is_foreign,
        })
    }
}

impl Claim for Authentic {
    fn payment_hash(&self) -> PaymentHash {
        self.quote.payment_hash
    }

    fn needs_price(&self) -> bool {
        self.is_foreign
    }

    fn verify(
        &self,
        view: &RequestView<'_>,
        terms: &Terms,
        price: Option<Amount>,
        now: Timestamp,
    ) -> Result<Proof, Refusal> {
        if self.is_foreign && price != Some(self.amount) {
            return Err(Reason::AmountMismatch.into());
        }
        let binding = binding(view, terms)?;
        let same_bound = self.is_foreign || self.quote.bound == bound(view, terms);
        if *binding.hash().as_bytes() != self.request_hash || !same_bound {
            return Err(Reason::RequestMismatch.into());
        }
        verify::in_time(self.quote.ends_at, &Conditions::at(now))?;
        Ok(Proof {
            dialect: DialectName::X402,
            network: self.network,
            payment_hash: self.quote.payment_hash,
            amount: self.amount,
            spend: Spend::Times {
                uses: std::num::NonZeroU32::MIN,
                restores: 0,
                retain_until: retain_until(self.quote.longest_life),
            },
            valid_until: self.quote.ends_at.saturating_add(SKEW),
            note: None,
        })
    }
}

/// Returns what a quote is bound to beside the request hash: what a price function read and the
/// bound headers. The request hash covers the URL as the client wrote it. If this server sees
/// another target, the quote is bound to that too: two targets with one URL stay two.
pub(super) fn bound(view: &RequestView<'_>, terms: &Terms) -> Option<[u8; 32]> {
    let bound = view.bound.filter(|_| terms.has_bound);
    if view.client_target.is_none() {
        return bound;
    }
    let mut hash = Sha256::new_with_prefix(b"served target");
    hash.update([u8::from(bound.is_some())]);
    hash.update(bound.unwrap_or_default());
    hash.update(view.target);
    Some(hash.finalize().into())
}

/// Returns the binding of the request that will be executed.
pub(super) fn binding(view: &RequestView<'_>, terms: &Terms) -> Result<RequestBinding, Reason> {
    if !view.client_target().starts_with('/') {
        return Err(Reason::RequestBinding);
    }
    let url = [view.origin, view.client_target()].concat();
    let body_hash = view.body_hash.as_ref().ok_or(Reason::RequestBinding)?;
    RequestBinding::http(
        view.method(),
        &url,
        body_hash,
        &terms.bound_headers,
        view.headers(),
    )
}

/// Returns the request hash that the client accepted.
pub(super) fn request_hash(extra: &Object<'_>) -> Option<[u8; 32]> {
    hex::decode_lower(extra.get("requestHash")?.as_str()?)
}

/// Returns the quote in the accepted terms, if it is ours and for exactly these terms.
fn quoted(extra: &Object<'_>, core: &Core, keys: &OriginKeys) -> Option<Quote> {
    let request_hash = request_hash(extra)?;
    let quoted = Quoted {
        core,
        invoice: extra.get("invoice")?.as_str()?,
        request_hash: &request_hash,
    };
    Quote::open(extra.get("quote")?.as_str()?, keys, &quoted)
}

/// Returns whether this server issued a proof, whatever it was bought for and whether or not it was
/// paid.
pub(super) fn is_own(header: &[u8], issuer: &Issuer<'_>) -> bool {
    let Some(text) = decode_header(header.trim_ascii()) else {
        return false;
    };
    let Ok(payload) = PaymentPayload::from_json(&text) else {
        return false;
    };
    let accepted = payload.accepted();
    let Ok(core) = Core::read(accepted, &[issuer.network]) else {
        return false;
    };
    let is_quoted = |keys| quoted(accepted.extra(), &core, keys).is_some();
    issuer.foreign == Some(core.pay_to) || issuer.keys.iter().any(is_quoted)
}

/// Returns what these terms ask for today, at the accepted amount.
fn required<'a>(
    accepted: &PaymentRequirements<'a>,
    terms: &Terms,
) -> Option<PaymentRequirements<'a>> {
    let amount = accepted.member("amount").cloned().unwrap_or(Json::Null);
    let members = [
        ("scheme", Json::text("exact")),
        ("network", Json::text(terms.network.caip2())),
        ("amount", amount),
        ("asset", Json::text("BTC")),
        ("payTo", Json::text(hex::encode(terms.pay_to?))),
        (
            "maxTimeoutSeconds",
            Json::Unsigned(terms.invoice_expiry.as_secs()),
        ),
    ];
    Some(members.into_iter().collect())
}
