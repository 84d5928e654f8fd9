//! Gets an invoice for a request, checks it, and writes the challenges of the 402.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::{
    answers::{self, Offer},
    budget::{self, Hints, Written},
    claim,
    pending::PricedRequest,
    settle::Unanswered,
    within,
};
use crate::{
    clock::Timestamp,
    dialect::{self, Committed, Dialect, RequestView},
    lightning::{Description, InvoiceRequest, NodeErrorKind},
    payment::{Access, Amount, Invoice, InvoiceDescription, Refusal, SKEW, Terms},
    server::{
        config::paywall::PaywallState,
        limit::{CallEnd, Slot},
    },
    trace,
};

/// Asks the node for an invoice, and answers 402 in every dialect that can encode this request.
/// Answers 503 if the node fails, or if the store that must count what is sold does.
pub(in crate::server) async fn challenge(
    asked: &PricedRequest,
    amount: Amount,
    mut slot: Slot,
    refused: Option<(usize, Refusal)>,
) -> Response<Bytes> {
    let setup = asked.setup();
    let terms = &asked.rule.terms;
    let (view, free_again_at) = (asked.view(), asked.free_again_at);
    let Offered {
        dialects: offered,
        committed,
        unsayable,
    } = offered(setup, &view, terms, amount);
    if offered.is_empty() && unsayable {
        return answers::bad_request(
            "no enabled dialect can encode this request: shorten the URL, percent-encode what a URL may not contain (such as `{`, `|` and \
             letters that are not ASCII), and use ASCII in bound headers",
        );
    }
    if offered.is_empty() {
        let fix = match amount.as_whole_sat() {
            Some(_) => "enable another dialect",
            None => {
                "MPP sells whole satoshis only, so round to whole satoshis or enable another dialect"
            }
        };
        trace::error(format_args!(
            "no enabled dialect can express the price {amount} for {}: {fix}",
            asked.place.target.path()
        ));
        return answers::unavailable("no enabled dialect can express the price of this request");
    }
    let (description, committed) = match committed {
        Some(Committed { text, hash }) => (Description::Hashed(text.into_bytes()), Some(hash)),
        None => (Description::Text(memo(terms, view.authority())), None),
    };
    let request = InvoiceRequest::new(amount, description, terms.invoice_expiry);
    let is_counted = !matches!(terms.access, Access::ForDuration(_));
    let (store, limit) = (&*setup.store, setup.time_limit);
    if is_counted && setup.store_health.is_down(store, limit).await {
        return answers::unavailable(Unanswered::Failed.detail());
    }
    if let Err(answer) = claim::number(asked, &slot).await {
        return *answer;
    }
    slot.node_called(setup.clock.now(), terms.invoice_expiry, setup.time_limit);
    let invoice = match within(
        setup.time_limit,
        setup.receiver.create_invoice(request.clone()),
    )
    .await
    {
        Some(Ok(invoice)) => invoice,
        Some(Err(error)) => {
            let (end, fix) = match error.kind() {
                NodeErrorKind::BadAnswer => (CallEnd::BadAnswer, ""),
                NodeErrorKind::Refused if committed.is_some() => (CallEnd::Refused, REFUSED_HASH),
                NodeErrorKind::Refused => (CallEnd::Refused, REFUSED),
                NodeErrorKind::Unreachable => (CallEnd::Unreachable, ""),
            };
            trace::error(format_args!("no invoice: {error}{fix}"));
            slot.not_issued(end);
            return answers::unavailable("the Lightning node could not create an invoice");
        }
        None => {
            trace::error(format_args!(
                "no invoice within {:?}: check the node, or set a longer .time_limit(..)",
                setup.time_limit
            ));
            slot.not_issued(CallEnd::TimedOut);
            return answers::unavailable("the Lightning node did not create an invoice in time");
        }
    };
    if let Err(fault) = check(
        &invoice,
        &request,
        committed.as_ref(),
        terms,
        setup.clock.now(),
    ) {
        trace::error(format_args!(
            "the node's invoice is not what was asked for ({} for {} s, but it made one for {} s): {fault}",
            request.amount,
            request.expiry.as_secs(),
            invoice.expiry().as_secs()
        ));
        slot.not_issued(CallEnd::WrongInvoice);
        return answers::unavailable("the Lightning node created another invoice than requested");
    }
    slot.issued(invoice.payment_hash(), invoice.expires_at());
    let refusal = refused.as_ref().map(|(_, refusal)| refusal);
    let committed = committed.as_ref();
    let asked = dialect::Asked {
        view: &view,
        terms,
        amount,
        invoice: &invoice,
        committed,
        refused: refusal,
        brief: false,
    };
    answer(setup, &offered, &asked, refused.as_ref(), free_again_at)
}

/// The dialects that can encode a request, and what its invoice must commit to.
pub(in crate::server) struct Offered<'a> {
    pub(in crate::server) dialects: Vec<&'a dyn Dialect>,
    pub(in crate::server) committed: Option<Committed>,
    /// A dialect that can express the amount cannot encode this request.
    pub(in crate::server) unsayable: bool,
}

/// Finds the dialects that can encode this request at this amount, and what the invoice must commit
/// to for them.
pub(in crate::server) fn offered<'a>(
    setup: &'a PaywallState,
    view: &RequestView<'_>,
    terms: &Terms,
    amount: Amount,
) -> Offered<'a> {
    let mut offered = Offered {
        dialects: Vec::new(),
        committed: None,
        unsayable: false,
    };
    for dialect in setup
        .dialects
        .iter()
        .filter(|dialect| dialect.offers(terms, Some(amount)))
    {
        match dialect.description(view, terms) {
            Ok(description) => {
                offered.committed = offered.committed.or(description);
                offered.dialects.push(&**dialect);
            }
            Err(_) => offered.unsayable = true,
        }
    }
    offered
}

/// Returns the memo of an invoice that commits to nothing: the charge's description, or else the
/// authority. It is never empty, because some nodes replace an empty one with a text of their own.
fn memo(terms: &Terms, authority: &str) -> String {
    let description = terms
        .resource
        .description
        .as_deref()
        .filter(|text| !text.trim().is_empty());
    description
        .unwrap_or_else(|| authority.get(..MAX_MEMO).unwrap_or(authority))
        .to_owned()
}

/// The longest text that an invoice can carry, in bytes.
const MAX_MEMO: usize = 639;

/// Answers 402 with the challenges for a checked invoice: in the headers as many as fit, in the body
/// all.
pub(in crate::server) fn answer(
    setup: &PaywallState,
    offered: &[&dyn Dialect],
    asked: &dialect::Asked<'_>,
    refused: Option<&(usize, Refusal)>,
    free_again_at: Option<Timestamp>,
) -> Response<Bytes> {
    let challenge = |dialect: &dyn Dialect, asked: &dialect::Asked<'_>| {
        let lines = dialect.challenge(asked).ok();
        lines.filter(|lines| !lines.is_empty())
    };
    let written: Vec<_> = offered
        .iter()
        .filter_map(|dialect| {
            let lines = challenge(*dialect, asked)?;
            Some(Written {
                dialect: *dialect,
                lines,
            })
        })
        .collect();
    if written.is_empty() {
        return answers::unavailable("no enabled dialect can encode this request");
    }
    let is_form = asked.view.is_multipart();
    let form_bound_in: Vec<_> = written
        .iter()
        .filter(|one| is_form && one.dialect.binds_body(asked.view, asked.terms))
        .map(|one| one.dialect.name())
        .collect();
    let refusal_line = refused
        .and_then(|(dialect, refusal)| setup.dialects[*dialect].refusal(refusal, asked.terms));
    let form = refused.map_or("", |(dialect, _)| {
        setup.dialects[*dialect].credential_form()
    });
    let limit = setup.challenge_header_bytes;
    let reserved = refusal_line
        .as_ref()
        .map_or(0, |(name, value)| budget::line_size(name, value));
    let hints = Hints {
        headers: asked.view.headers(),
        refused: refused.map(|(dialect, _)| &*setup.dialects[*dialect]),
    };
    let brief = dialect::Asked {
        brief: true,
        ..*asked
    };
    let room = limit.saturating_sub(reserved);
    let cut = budget::fit(&written, room, &hints, |dialect| challenge(dialect, &brief));
    let kept = cut.map(|(kept, left_out)| {
        let [full, sent] = [&written, &kept].map(|written| budget::sum(written) + reserved);
        setup.notices.challenges_cut(left_out, full, sent, limit);
        kept
    });
    let offer = Offer {
        challenges: &written,
        kept,
        form_bound_in: &form_bound_in,
        amount: asked.amount,
        terms: asked.terms,
        free_again_at,
    };
    answers::payment_required(offer, (asked.refused, form), refusal_line)
}

/// Checks that the node made the invoice that was asked for (lnbtc, server, step "verify own
/// invoice").
///
/// If the invoice commits to the request, everything must be exact. Otherwise the memo may be any
/// text and the expiry may be shorter, because every credential follows the invoice that was made.
///
/// # Errors
///
/// What is wrong, and the fix, for the log.
pub(in crate::server) fn check(
    invoice: &Invoice,
    request: &InvoiceRequest,
    committed: Option<&[u8; 32]>,
    terms: &Terms,
    now: Timestamp,
) -> Result<(), &'static str> {
    let described =
        committed.is_none_or(|hash| *invoice.description() == InvoiceDescription::Hash(*hash));
    let asked = Duration::from_secs(request.expiry.as_secs());
    let least = if committed.is_some() {
        asked
    } else {
        asked.min(SHORTEST)
    };
    let faults = [
        (
            invoice.amount() != Some(request.amount),
            "another amount: the node must make invoices of exactly what it is asked for",
        ),
        (
            invoice.network() != terms.network,
            "another network: the receiver's profile must name the network of its invoices",
        ),
        (
            !described,
            "another description: x402 needs the hash of the request in it; use a node that sets description hashes, or name the \
             other dialects with .dialects([..])",
        ),
        (
            terms.pay_to.is_some_and(|key| key != *invoice.payee()),
            "another key signed it: the receiver's profile must name the key that signs its invoices",
        ),
        (
            invoice.expiry() < least,
            "a shorter expiry: set .invoice_expiry(..) to what the node allows; without x402 (.dialects([..])) a minute is enough",
        ),
        (
            invoice.expiry() > asked,
            "a longer expiry: set .invoice_expiry(..) to what the node makes",
        ),
        (
            invoice.created_at() > now.saturating_add(SKEW),
            "made in the future: set the node's clock, or this server's",
        ),
        (
            invoice.expires_at() <= now,
            "expired already: set the node's clock, or this server's; if both are right, the node ignores \
             .invoice_expiry(..): set it to what the node makes",
        ),
    ];
    faults
        .into_iter()
        .find(|(wrong, _)| *wrong)
        .map_or(Ok(()), |(_, fault)| Err(fault))
}

/// What to check if the node refuses to make an invoice.
const REFUSED: &str = "; if it is not down, check that it takes an invoice of this amount, and set .invoice_expiry(..) to what it \
                       allows";

/// The same, if the invoice must commit to a hash.
const REFUSED_HASH: &str = "; if it is not down, check that it takes an invoice of this amount, set .invoice_expiry(..) to what it \
                            allows, and if it cannot set description hashes, which x402 needs, name the other dialects with \
                            .dialects([..])";

/// An invoice that expires sooner than this is not offered, unless a shorter expiry was asked for:
/// payments take time.
const SHORTEST: Duration = Duration::from_secs(60);
