//! The order of everything that happens to a request. Read this first.
//!
//! 1. Which rule prices it: free requests (without our credentials) and closed ones end here, as
//!    do `OPTIONS` and methods that no rule names.
//! 2. Whose authority it names: one that is not ours ends here.
//! 3. Its credential, parsed and authenticated from the head alone; more than one dialect's ends
//!    here.
//! 4. Accepted so far (`redeem`): the body, if the dialect binds it; verify; make the inner
//!    service ready; consume as the last await; serve. A payment that is known to be used up is
//!    refused at once. Of each other one some requests at a time are made ready.
//! 5. None, or a refused one (`unpaid`): the free allowance; the limiter; the price; the body's
//!    hash; the invoice; 402.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body::Body;

use super::{
    admission::{Admission, Admitted, strip},
    answers,
    credential::{Verdict, presented, verify},
    decision::{Decision, answer, wait},
    pending::{Pending, PricedRequest, RequestPlace, bound},
    redeem::weighed,
    settle,
    unpaid::ask,
};
use crate::{
    body::RequestBody,
    payment::{PaymentReceipt, Spend},
    server::{
        config::{BoxError, price},
        origin,
        routes::{priced::PricedRoutes, rule::Rule},
    },
    trace,
};

/// Decides from the head of a priced request, as far as that goes: admits what is paid for until a
/// time, at once.
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
            "two layers price {}, so that what was paid at one is asked again at the other: keep one",
            head.uri.path()
        ));
        return Err(answer(answers::misconfigured()));
    }
    let client = setup.proxies.client(&head);
    let origin = setup.authorities.matching(&head, client.is_behind_proxy);
    let origin = origin.map_err(|fault| answer(answers::misdirected(&fault.to_string())))?;
    let target = origin::asked_for(&head)
        .map_err(|fault| answer(answers::bad_request(&fault.to_string())))?;
    let place = RequestPlace {
        origin,
        target,
        nested: rule.nested(&head),
        client: client.key,
    };
    let declared = rule.charge.declared();
    let seen = declared.map(|declared| price::seen(declared, captures, &head));
    let seen = seen
        .transpose()
        .map_err(|fault| answer(answers::bad_request(&fault.to_string())))?;
    let (now, keys) = (setup.clock.now(), setup.keys.current());
    let view = place.view((setup, rule), &head, &keys);
    let found = match presented(setup, &view, terms, now).map_err(Decision::Answer)? {
        None => None,
        Some((dialect, Err(refusal))) => Some((dialect, Err(refusal))),
        Some((dialect, Ok(claim))) => {
            let bound = || bound(terms, &head, seen.as_deref(), None);
            match verify(setup, &view, terms, now, (dialect, &*claim), bound) {
                // What only time ends is admitted here and now, and nothing is moved to the heap.
                Verdict::Told(Ok(proof)) if proof.spend == Spend::Never => {
                    strip(setup, &mut head, terms, claim.is_alone());
                    settle::accepted(setup, proof, (&mut head, place), now, None);
                    return Ok((
                        Request::from_parts(head, body),
                        Admission {
                            paid: None,
                            keep_private: true,
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
        Some((dialect, Err(refusal))) => wait(ask(pending, Some((dialect, refusal)))),
        Some((dialect, Ok((claim, verdict)))) => weighed(pending, dialect, claim, verdict),
    })
}
