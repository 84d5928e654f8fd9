//! The order of everything that happens to a request. Read this first.
//!
//! 1. Find the rule that prices it. Free requests (without credentials of this server) and closed
//!    ones end here, as do `OPTIONS` and methods that no rule names.
//! 2. Find the origin that it names. A request for another server ends here.
//! 3. Parse the credential, and authenticate it from the head alone. A request with credentials of
//!    two dialects ends here.
//! 4. If it is accepted so far (`redeem`): read the body, if the dialect binds it; verify; make the
//!    inner service ready; consume a use, then note the identifier of its payment if it has one, as
//!    the last awaits; serve. A payment that is known to be used up is refused at once. Of each other
//!    payment, a limited number of requests at a time make the inner service ready.
//! 5. If there is none, or it was refused (`unpaid`): the free allowance; the limiter; the price; the
//!    body's hash; the invoice; 402.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use super::{
    admission::{Admission, Admitted, strip},
    again, answers,
    credential::{Found, Verdict, presented, verify},
    decision::{Decision, answer, wait},
    pending::{Pending, PricedRequest, RequestPlace},
    redeem::{refuse, weighed},
    settle,
    unpaid::ask,
};
use crate::{
    body::RequestBody,
    clock::Timestamp,
    dialect::Claim,
    payment::{PaymentReceipt, Refusal, Spend},
    server::{
        config::{BoxError, paywall::PaywallState, price},
        origin,
        routes::{priced::PricedRoutes, rule::Rule},
    },
    trace,
};

/// Decides about a priced request from its head, as far as that is possible. A request with a valid
/// credential for a duration is admitted at once.
#[inline]
pub(in crate::server) fn decide<B>(
    routes: &Arc<PricedRoutes>,
    rule: &Arc<Rule>,
    captures: Vec<(String, String)>,
    request: Request<B>,
) -> Result<Admitted<B>, Decision<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (setup, terms) = (routes.paywall.setup(), &rule.terms);
    let (mut head, body) = request.into_parts();
    let body = RequestBody::inner(body);
    if head.extensions.get::<PaymentReceipt>().is_some() {
        trace::error(format_args!(
            "two layers price {}, so a client that paid at one must pay at the other too: keep one",
            head.uri.path()
        ));
        return Err(answer(answers::misconfigured()));
    }
    let client = setup.proxies.client(&head);
    let proxy = client.is_behind_proxy.then(|| setup.proxies.header());
    let origin = setup.authorities.matching(&head, proxy);
    let origin = origin.map_err(|fault| {
        if fault.names_another() {
            setup.notices.misdirected(setup.clock.now());
        }
        answer(answers::misdirected(&fault.to_string()))
    })?;
    let target = origin::raw_target(&head)
        .map_err(|fault| answer(answers::bad_request(&fault.to_string())))?;
    let prefix = setup.authorities.prefix(origin);
    let forwarded = setup.proxies_send_prefix && client.is_behind_proxy;
    let client_target = origin::client_target(&head, &target, prefix, forwarded)
        .map_err(|fault| answer(answers::bad_request(&fault.to_string())))?;
    let place = RequestPlace {
        origin,
        target,
        client_target,
        client: client.key,
        address: client.address,
    };
    let declared = rule.charge.declared();
    let seen = declared.map(|declared| price::seen(declared, captures, &head));
    let seen = seen
        .transpose()
        .map_err(|fault| answer(answers::bad_request(&fault.to_string())))?;
    let (now, keys) = (setup.clock.now(), setup.keys.current());
    let view = place.view((setup, rule), &head, &keys, seen.as_deref());
    let mut was_good = None;
    let found = match presented(setup, &view, terms, now).map_err(Decision::Answer)? {
        None => None,
        Some((dialect, Err(refusal))) => {
            was_good = expired((setup, rule), refusal, now, |then| {
                presented(setup, &view, terms, then)
            });
            Some((dialect, Err(refusal)))
        }
        Some((dialect, Ok(claim))) => {
            match verify(setup, &view, rule, now, (dialect, &*claim)) {
                // If uses are not counted, the request is admitted here, and nothing moves to the heap.
                Verdict::Told(Ok(proof)) if proof.spend == Spend::Never => {
                    strip(setup, &mut head, terms, claim.is_alone());
                    setup
                        .notices
                        .accepted(rule.charge.price.fixed(), proof.amount);
                    let ends_at = rule.ends_at(&proof, now);
                    let receipt = settle::accepted(setup, proof, (&mut head, place), now, None);
                    return Ok((
                        Request::from_parts(head, body),
                        Admission {
                            paid: None,
                            receipt: Some(receipt),
                            keep_private: true,
                            to_keep: None,
                            ends_at,
                        },
                    ));
                }
                verdict => Some((dialect, Ok((claim, verdict)))),
            }
        }
    };
    let mut asked = PricedRequest::new(
        (routes.clone(), rule.clone()),
        head,
        place,
        (now, keys.kept()),
        seen,
    );
    asked.presented = found.is_some();
    let pending = Box::new(Pending { asked, body });
    Err(match found {
        None => wait(ask(pending, None)),
        Some((dialect, Err(refusal))) if let Some((claim, then)) = was_good => {
            let mut pending = pending;
            pending.asked.in_use = setup.spent.is_served(claim.payment_hash());
            if pending.asked.in_use || pending.asked.kept().is_none() {
                return Err(refuse(pending, dialect, None, refusal));
            }
            again::expired(pending, claim, then, move |pending, _| {
                wait(ask(pending, Some((dialect, refusal))))
            })
        }
        Some((dialect, Err(refusal))) => wait(ask(pending, Some((dialect, refusal)))),
        Some((dialect, Ok((claim, verdict)))) => weighed(pending, dialect, claim, verdict),
    })
}

/// Returns the claim of a credential that has expired, as it was when an answer to it may have been
/// kept, and that time. Only if the charge keeps answers, or if a credential may have expired while
/// it is being served.
fn expired(
    (setup, rule): (&PaywallState, &Rule),
    refusal: Refusal,
    now: Timestamp,
    presented: impl FnOnce(Timestamp) -> Result<Option<Found>, Box<Response<Bytes>>>,
) -> Option<(Box<dyn Claim>, Timestamp)> {
    let while_served = || again::while_served(setup, refusal, now);
    let then = again::when_it_was_good(rule, refusal, now).or_else(while_served)?;
    match presented(then) {
        Ok(Some((_, Ok(claim)))) => Some((claim, then)),
        _ => None,
    }
}
