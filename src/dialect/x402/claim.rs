//! A credential in a request's head, and what the head leaves open.

use sha2::{Digest, Sha256};

use super::{
    Conditions, PaymentPayload, PaymentRequirements, Reason,
    binding::{Binding, Params, RequestBinding},
    quote::{Hash, Quote, Quoted},
    verify::{self, Core},
    wire::decode_header,
};
use crate::{
    clock::Timestamp,
    codec::{
        hex,
        json::{Json, Object},
    },
    dialect::{Claim, Issuer, RequestView, bound, keys::OriginKeys},
    payment::{
        Access, Amount, DialectName, Network, PaymentHash, Proof, Refusal, SKEW, Spend, Terms,
        retain_until,
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
    /// The proof is bound to a body.
    needs_body: bool,
    /// Today's charge sells with these bound headers.
    is_of_today: bool,
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
        let Params::Http { headers } = &binding.params else {
            return Err(Reason::RequestMismatch);
        };
        // Another server's proof is for what is sold today. The parameters of a binding are the
        // charge's and never the credential's (lnbtc, "Request Binding").
        let is_quoted = opened.is_some();
        let sold = || {
            sold(terms)
                .take(if is_quoted { usize::MAX } else { 1 })
                .filter(|terms| *headers == terms.bound_headers)
        };
        if sold().next().is_none() {
            return Err(Reason::RequestMismatch);
        }
        let is_of_today = *headers == terms.bound_headers;
        let needs_body = sold().any(|terms| !terms.streams_body);
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
        let sold_at = quote.ends_at.as_unix_seconds();
        let sold_at = Timestamp::from_unix_seconds(sold_at.saturating_sub(core.max_timeout));
        if terms.is_void(Some(sold_at)) {
            return Err(Reason::InvalidTransactionState);
        }
        Ok(Self {
            network: core.network,
            amount: core.amount,
            request_hash: binding.hash,
            quote,
            is_foreign,
            needs_body,
            is_of_today,
        })
    }
}

impl Claim for Authentic {
    fn payment_hash(&self) -> PaymentHash {
        self.quote.payment_hash
    }

    fn needs_body(&self, _: &Terms) -> bool {
        self.needs_body
    }

    fn is_of(&self, terms: &Terms) -> bool {
        self.is_foreign || self.is_of_today && self.quote.bound.is_some() == terms.has_bound()
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
        let count = if self.is_foreign { 1 } else { usize::MAX };
        let mut verdicts = sold(terms).take(count).map(|terms| self.check(view, terms));
        let todays = verdicts.next().unwrap_or(Err(Reason::RequestMismatch));
        todays.or_else(|reason| verdicts.find(Result::is_ok).unwrap_or(Err(reason)))?;
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

/// Returns the terms that may have sold a proof: today's, and those of earlier charges that sold one
/// request, because x402 sells nothing else.
fn sold(terms: &Terms) -> impl Iterator<Item = &Terms> {
    let earlier = terms.earlier.iter();
    std::iter::once(terms).chain(earlier.filter(|terms| terms.access == Access::Once))
}

/// Returns the hash of what a quote binds beside the request hash, if it binds anything. The
/// request hash covers the URL as the client wrote it. If this server sees another target, the
/// quote is bound to that too: two targets with one URL stay two.
pub(super) fn served(view: &RequestView<'_>, bound: Option<[u8; 32]>) -> Option<[u8; 32]> {
    if view.client_target.is_none() {
        return bound;
    }
    let mut hash = Sha256::new_with_prefix(b"served target");
    hash.update([u8::from(bound.is_some())]);
    hash.update(bound.unwrap_or_default());
    hash.update(view.target);
    Some(hash.finalize().into())
}

impl Authentic {
    /// Checks that a charge with these terms sold exactly this request.
    fn check(&self, view: &RequestView<'_>, terms: &Terms) -> Result<(), Reason> {
        // Nobody reads a body that streams today, and no charge that bound it was named.
        if view.body_hash.is_none() || *binding(view, terms)?.hash().as_bytes() != self.request_hash
        {
            return Err(Reason::RequestMismatch);
        }
        let is_same = self.is_foreign || self.is_as_bound(view, terms);
        is_same.then_some(()).ok_or(Reason::RequestMismatch)
    }

    /// Returns whether what the quote bound is the same here.
    fn is_as_bound(&self, view: &RequestView<'_>, terms: &Terms) -> bool {
        // A fixed price saw nothing, and the binding covers all that a price function may see.
        let Some(hash) = self.quote.bound else {
            return view.client_target.is_none();
        };
        let is = |words: &str| match hash {
            Hash::OfWords(hash) => served(view, view.bound(words)) == Some(hash),
            Hash::BeforeWords(hash) => served(view, view.bound_before_words(words)) == Some(hash),
        };
        let (Hash::OfWords(all) | Hash::BeforeWords(all)) = hash;
        // A price function may have seen query and body when it was sold, whatever it sees today.
        let sold = [(false, false), (true, false), (true, true)];
        let mut sold = sold.into_iter().map(|(is_priced, body)| {
            bound::words(Access::Once, is_priced, body, &terms.bound_headers)
        });
        served(view, None) == Some(all) || is(&terms.binds) || sold.any(|words| is(&words))
    }
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
