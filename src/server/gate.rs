//! The order of everything that happens to a request. Read this first.
//!
//! 1. Which rule prices it: free and closed requests end here, as do `OPTIONS` and methods that no rule names.
//! 2. Whose authority it names: one that is not ours ends here.
//! 3. Its credential, parsed and authenticated from the head alone; more than one dialect's ends here.
//! 4. Accepted so far: the body, if the dialect binds it; verify; make the inner service ready; consume as the last await;
//!    serve.
//! 5. None, or a refused one: the free allowance; the limiter; the price; the body's hash; the invoice; 402.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;

use super::{
    BoxError, issue,
    layer::{Pricing, Shop},
    price::{self, Quote},
    refuse,
    request::{Asked, Keep, Pending, Place},
    routes::{self, Captured, Lookup},
    rule::Rule,
    settle::{self, Outcome, Paid},
    target, within,
};
use crate::{
    body::RequestBody,
    dialect::{Claim, Dialect, Presented},
    lightning::BoxFuture,
    payment::{PaymentReceipt, Proof, Refusal, Spend},
    trace,
};

/// What is to be done with a request.
pub(super) enum Decision<B> {
    Answer(Response<Bytes>),
    /// Free, or paid for and only time ends the access: to the inner service, once it is ready.
    Pass(Request<RequestBody<B>>, Admission),
    /// Verified: make the inner service ready, then consume.
    Verified(Box<Pending<B>>, usize, Candidate),
    /// Consumed: to the inner service, which is ready, at once.
    Serve(Request<RequestBody<B>>, Admission),
    /// Spent after all: hold nothing of the inner service while the node is asked.
    Spent(Box<Pending<B>>, (usize, Option<Box<dyn Claim>>)),
    Wait(BoxFuture<'static, Self>),
}

/// A proof, and the credential to try where it is spent.
pub(super) struct Candidate {
    proof: Proof,
    next: Option<Box<dyn Claim>>,
}

/// What becomes of the inner service's answer.
#[derive(Default)]
pub(super) struct Admission {
    pub(super) paid: Option<Paid>,
    /// A credential came with the request: shared caches must not keep the answer.
    pub(super) keep_private: bool,
}

impl Admission {
    /// A step of the inner service.
    #[inline]
    pub(super) fn within<T>(&mut self, step: impl FnOnce() -> T) -> T {
        self.paid.iter_mut().for_each(|paid| paid.stepping(true));
        let done = step();
        self.paid.iter_mut().for_each(|paid| paid.stepping(false));
        done
    }
}

/// What the table says of a request. Told apart before anything is moved, so that free requests pay next to nothing.
pub(super) enum Triage {
    Free,
    Priced(Arc<Rule>, Vec<(String, String)>),
    Answer(Box<Response<Bytes>>),
}

/// Decides from the head of a priced request, as far as that goes.
pub(super) fn decide<B>(shop: &Arc<Shop>, rule: Arc<Rule>, captures: Vec<(String, String)>, request: Request<B>) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let setup = shop.paywall.setup();
    let (head, body) = request.into_parts();
    if head.extensions.get::<PaymentReceipt>().is_some() {
        trace::error(format_args!(
            "two layers price {}, so that what was paid at one is asked again at the other: keep one",
            head.uri.path()
        ));
        return Decision::Answer(refuse::misconfigured());
    }
    let client = setup.proxies.client(&head);
    let origin = match setup.authorities.matching(&head, client.is_behind_proxy) {
        Ok(origin) => origin,
        Err(fault) => return Decision::Answer(refuse::misdirected(&fault.to_string())),
    };
    let target = match target::asked_for(&head) {
        Ok(target) => target,
        Err(fault) => return Decision::Answer(refuse::bad_request(&fault.to_string())),
    };
    let place = Place { origin, target, route: rule.route(&head), client: client.key };
    let asked = match Asked::new(shop.clone(), rule, captures, head, place) {
        Ok(asked) => asked,
        Err(fault) => return Decision::Answer(refuse::bad_request(&fault.to_string())),
    };
    let mut pending = Pending { asked, body: RequestBody::inner(body) };
    let (dialect, presented) = match presented(&pending.asked) {
        Err(answer) => return Decision::Answer(*answer),
        Ok(None) => return wait(ask(Box::new(pending), None)),
        Ok(Some(found)) => found,
    };
    pending.asked.presented = true;
    let claim = match presented {
        Presented::Authentic(claim) => claim,
        Presented::Refused(refusal) => return wait(ask(Box::new(pending), Some((dialect, refusal)))),
        Presented::Absent | Presented::Wrong(_) => unreachable!("`presented` has answered these"),
    };
    try_each(pending, dialect, claim)
}

/// Step 4 for the credentials of one dialect, in their order, until one is good.
fn try_each<B>(mut pending: Pending<B>, dialect: usize, mut claim: Box<dyn Claim>) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    loop {
        let refusal = match verify(&mut pending.asked, dialect, &*claim) {
            None => return wait(verify_slowly(Box::new(pending), dialect, claim)),
            Some(Err(refusal)) => refusal,
            Some(Ok(proof)) if proof.spend == Spend::Never => {
                let (request, admission) = admit(pending, dialect, proof, (None, None));
                return Decision::Pass(request, admission);
            }
            Some(Ok(proof)) => return Decision::Verified(Box::new(pending), dialect, Candidate { proof, next: claim.next() }),
        };
        claim = match claim.next() {
            Some(next) => next,
            None => return wait(ask(Box::new(pending), Some((dialect, refusal)))),
        };
    }
}

fn wait<B>(decision: impl Future<Output = Decision<B>> + Send + 'static) -> Decision<B> {
    Decision::Wait(Box::pin(decision))
}

/// Step 1.
pub(super) fn triage<B>(shop: &Shop, request: &Request<B>) -> Triage {
    let answer = match &shop.pricing {
        Pricing::Every(_) if request.method() == Method::OPTIONS => refuse::methods(StatusCode::NO_CONTENT, None),
        Pricing::Every(_) if routes::is_broken(request.uri().path()) => {
            refuse::bad_request("the path holds control bytes, or bytes that are not UTF-8")
        }
        Pricing::Every(rule) => {
            let captures = if rule.charge.price.fixed().is_some() { Vec::new() } else { captures_of_the_route(request) };
            return Triage::Priced(rule.clone(), captures);
        }
        Pricing::Table(rules) => {
            let original = target::original_uri(request.extensions(), request.uri());
            let original = (!std::ptr::eq(original, request.uri())).then(|| original.path());
            let is_connect_protocol = *request.method() == Method::CONNECT && request.uri().path().starts_with('/');
            match rules.lookup(request.method(), request.uri().path(), original, is_connect_protocol) {
                Lookup::Free => return Triage::Free,
                Lookup::Priced { .. }
                    if original.is_some_and(|original| target::is_rewritten(original, request.uri().path())) =>
                {
                    trace::error(format_args!(
                        "a layer between the router and the price table has rewritten {} to {}: what is priced would not be \
                         what is bound; put the table outside of it",
                        original.unwrap_or_default(),
                        request.uri().path()
                    ));
                    refuse::misconfigured()
                }
                Lookup::Priced { value, captured, .. } => {
                    let captures = if value.charge.price.fixed().is_some() { Vec::new() } else { owned(&captured) };
                    return Triage::Priced(value.clone(), captures);
                }
                Lookup::Closed => refuse::not_found(),
                Lookup::Options { allow } => refuse::methods(StatusCode::NO_CONTENT, Some(allow)),
                Lookup::MethodNotAllowed { allow } => refuse::methods(StatusCode::METHOD_NOT_ALLOWED, Some(allow)),
                Lookup::Ambiguous => {
                    refuse::bad_request("this path can be read in two ways that have different prices: write it plainly")
                }
                Lookup::Misplaced(mistake) => {
                    trace::error(format_args!("{mistake}"));
                    refuse::misconfigured()
                }
            }
        }
    };
    Triage::Answer(Box::new(answer))
}

/// What the route's own pattern captures, where the layer stands on a route and a price function will see it.
fn captures_of_the_route<B>(request: &Request<B>) -> Vec<(String, String)> {
    let path = target::original_uri(request.extensions(), request.uri()).path();
    target::matched_path(request.extensions()).map(|pattern| routes::captures(pattern, path)).unwrap_or_default()
}

fn owned(captured: &Captured<'_>) -> Vec<(String, String)> {
    captured.decoded().into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
}

/// Step 3: the one credential, if any. 400 where there are several, or one that no payment can cure.
fn presented(asked: &Asked) -> Result<Option<(usize, Presented)>, Box<Response<Bytes>>> {
    let mut found = None;
    for (index, dialect) in asked.setup().dialects.iter().enumerate() {
        match dialect.credential(&asked.view(), &asked.rule.terms, asked.now) {
            Presented::Absent => {}
            Presented::Wrong(why) => return Err(Box::new(refuse::bad_request(why))),
            presented if found.is_none() => found = Some((index, presented)),
            _ => return Err(Box::new(refuse::bad_request("a request must carry the credential of one dialect only"))),
        }
    }
    Ok(found)
}

/// Step 4, where the head tells all; `None` where it does not.
fn verify(asked: &mut Asked, dialect: usize, claim: &dyn Claim) -> Option<Result<Proof, Refusal>> {
    let setup = asked.setup();
    if setup.revocations.as_ref().is_some_and(|revoked| revoked.contains(&claim.payment_hash())) {
        return Some(Err(setup.dialects[dialect].revoked()));
    }
    let needs_body = setup.dialects[dialect].binds_body(&asked.rule.terms);
    if needs_body || claim.needs_price() || setup.must_confirm(&claim.payment_hash()) {
        return None;
    }
    asked.bind(None);
    Some(claim.verify(&asked.view(), &asked.rule.terms, None, asked.now))
}

/// Step 4, where the body, the price or the receiver must be asked.
async fn verify_slowly<B>(mut pending: Box<Pending<B>>, dialect: usize, claim: Box<dyn Claim>) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let shop = pending.asked.shop.clone();
    let setup = shop.paywall.setup();
    if setup.dialects[dialect].binds_body(&pending.asked.rule.terms)
        && let Err(answer) = pending.read_body(Keep::Presented).await
    {
        return Decision::Answer(*answer);
    }
    pending.asked.bind(pending.asked.body_hash);
    let mut current = None;
    if claim.needs_price() {
        if pending.asked.rule.charge.reads_body
            && let Err(answer) = pending.read_body(Keep::Presented).await
        {
            return Decision::Answer(*answer);
        }
        current = match price::quote(&pending.asked, pending.body.data()).await {
            Quote::Amount(amount) => Some(amount),
            Quote::Free => return pass(*pending),
            Quote::Answer(answer) => return Decision::Answer(*answer),
        };
    }
    let verdict = claim.verify(&pending.asked.view(), &pending.asked.rule.terms, current, pending.asked.now);
    let next = claim.next();
    let proof = match verdict {
        Ok(proof) => proof,
        Err(refusal) => return refuse(pending, dialect, next, refusal),
    };
    match settle::confirm(setup, &proof).await {
        Ok(true) => {}
        Ok(false) => {
            let refusal = setup.dialects[dialect].unpaid();
            return refuse(pending, dialect, next, refusal);
        }
        Err(why) => return Decision::Answer(refuse::unavailable(why)),
    }
    if proof.spend == Spend::Never {
        let (request, admission) = admit(*pending, dialect, proof, (None, None));
        return Decision::Pass(request, admission);
    }
    Decision::Verified(pending, dialect, Candidate { proof, next })
}

/// Step 4 again with the next credential of the same dialect, where the request has one; step 5 where it has none.
fn refuse<B>(pending: Box<Pending<B>>, dialect: usize, next: Option<Box<dyn Claim>>, refusal: Refusal) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match next {
        Some(claim) => try_each(*pending, dialect, claim),
        None => wait(ask(pending, Some((dialect, refusal)))),
    }
}

/// Step 4, the last await before the inner service.
pub(super) fn consume<B: Send + 'static>(pending: Box<Pending<B>>, dialect: usize, candidate: Candidate) -> Decision<B> {
    wait(async move {
        let Candidate { proof, next } = candidate;
        let shop = pending.asked.shop.clone();
        match within(shop.paywall.setup().time_limit, settle::consume(&shop.paywall, &proof)).await {
            Some(Ok(Outcome::Granted { lease, remaining })) => {
                let (request, admission) = admit(*pending, dialect, proof, (lease, remaining));
                Decision::Serve(request, admission)
            }
            Some(Ok(Outcome::Spent)) => Decision::Spent(pending, (dialect, next)),
            Some(Err(error)) => {
                trace::error(format_args!("nothing was consumed: {error}"));
                Decision::Answer(refuse::unavailable("the store of spent payments cannot answer"))
            }
            None => {
                trace::error(format_args!("the store of spent payments did not answer in time"));
                Decision::Answer(refuse::unavailable("the store of spent payments did not answer in time"))
            }
        }
    })
}

/// For a genuine credential that is used up.
pub(super) fn refuse_spent<B>(pending: Box<Pending<B>>, (dialect, next): (usize, Option<Box<dyn Claim>>)) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let refusal = pending.asked.setup().dialects[dialect].spent();
    refuse(pending, dialect, next, refusal)
}

/// Step 5.
async fn ask<B>(mut pending: Box<Pending<B>>, refused: Option<(usize, Refusal)>) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let shop = pending.asked.shop.clone();
    let rule = pending.asked.rule.clone();
    let setup = shop.paywall.setup();
    let client = pending.asked.place.client;
    setup.tell_of_unknown(client);
    if rule.allowance.as_ref().is_some_and(|allowance| allowance.take(client, pending.asked.now)) {
        return pass(*pending);
    }
    let slot = match setup.limiter.reserve(client, pending.asked.now) {
        Ok(slot) => slot,
        Err(full) => return Decision::Answer(refuse::too_many(full.retry_after.as_secs(), setup.speaks_x402())),
    };
    if rule.charge.reads_body
        && let Err(answer) = pending.read_body(Keep::Unpaid).await
    {
        return Decision::Answer(*answer);
    }
    let amount = match price::quote(&pending.asked, pending.body.data()).await {
        Quote::Amount(amount) => amount,
        Quote::Free => return pass(*pending),
        Quote::Answer(answer) => return Decision::Answer(*answer),
    };
    let binds_body = |dialect: &dyn Dialect| dialect.offers(&rule.terms, Some(amount)) && dialect.binds_body(&rule.terms);
    if setup.dialects.iter().any(|dialect| binds_body(&**dialect))
        && let Err(answer) = pending.read_body(Keep::Nothing).await
    {
        return Decision::Answer(*answer);
    }
    let Pending { mut asked, body } = *pending;
    drop(body);
    asked.bind(asked.body_hash);
    let refused = refused
        .map(|(dialect, refusal)| (dialect, setup.dialects[dialect].reconsider(refusal, &asked.view(), &asked.rule.terms)));
    Decision::Answer(issue::challenge(&asked, amount, slot, refused).await)
}

/// To the inner service, unpaid.
fn pass<B>(pending: Pending<B>) -> Decision<B> {
    let Pending { mut asked, body } = pending;
    asked.strip();
    let admission = Admission { paid: None, keep_private: asked.presented };
    Decision::Pass(Request::from_parts(asked.head, body), admission)
}

/// To the inner service, with a receipt.
fn admit<B>(
    pending: Pending<B>,
    dialect: usize,
    proof: Proof,
    granted: (Option<Box<settle::Lease>>, Option<u32>),
) -> (Request<RequestBody<B>>, Admission) {
    let Pending { mut asked, body } = pending;
    asked.strip();
    let Asked { shop, mut head, place, now, .. } = asked;
    let paid = Paid::new(shop, dialect, proof, (head.method.clone(), place), now, granted);
    head.extensions.insert(paid.receipt().clone());
    (Request::from_parts(head, body), Admission { paid: Some(paid), keep_private: true })
}
