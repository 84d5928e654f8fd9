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
    request::{Asked, Pending, Place},
    routes::{self, Captured, Lookup},
    rule::Rule,
    settle::{self, Outcome, Paid},
    target, within,
};
use crate::{
    body::RequestBody,
    dialect::{Claim, Dialect, Presented},
    lightning::BoxFuture,
    payment::{Proof, Refusal, Spend},
    trace,
};

/// What is to be done with a request.
pub(super) enum Decision<B> {
    Answer(Response<Bytes>),
    /// Free, or paid for and only time ends the access: to the inner service, once it is ready.
    Pass(Request<RequestBody<B>>, Admission),
    /// Verified: make the inner service ready, then consume.
    Verified(Box<Pending<B>>, usize, Proof),
    /// Consumed: to the inner service, which is ready, at once.
    Serve(Request<RequestBody<B>>, Admission),
    /// Spent after all: hold nothing of the inner service while the node is asked.
    Spent(Box<Pending<B>>, usize),
    Wait(BoxFuture<'static, Self>),
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
    match verify(&mut pending.asked, dialect, &*claim) {
        None => wait(verify_slowly(Box::new(pending), dialect, claim)),
        Some(Err(refusal)) => wait(ask(Box::new(pending), Some((dialect, refusal)))),
        Some(Ok(proof)) if proof.spend == Spend::Never => {
            let (request, admission) = admit(pending, dialect, proof, (None, None));
            Decision::Pass(request, admission)
        }
        Some(Ok(proof)) => Decision::Verified(Box::new(pending), dialect, proof),
    }
}

fn wait<B>(decision: impl Future<Output = Decision<B>> + Send + 'static) -> Decision<B> {
    Decision::Wait(Box::pin(decision))
}

/// Step 1.
pub(super) fn triage<B>(shop: &Shop, request: &Request<B>) -> Triage {
    let answer = match &shop.pricing {
        Pricing::Every(_) if request.method() == Method::OPTIONS => refuse::methods(StatusCode::NO_CONTENT, None),
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
    let pattern = target::matched_path(request.extensions(), request.uri());
    let path = target::original_uri(request.extensions(), request.uri()).path();
    routes::captures(pattern, path)
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
        && let Err(answer) = pending.read_body(true).await
    {
        return Decision::Answer(*answer);
    }
    pending.asked.bind(pending.asked.body_hash);
    let mut current = None;
    if claim.needs_price() {
        if pending.asked.rule.charge.reads_body
            && let Err(answer) = pending.read_body(true).await
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
    drop(claim);
    let proof = match verdict {
        Ok(proof) => proof,
        Err(refusal) => return ask(pending, Some((dialect, refusal))).await,
    };
    match settle::confirm(setup, &proof).await {
        Ok(true) => {}
        Ok(false) => {
            let refusal = setup.dialects[dialect].unpaid();
            return ask(pending, Some((dialect, refusal))).await;
        }
        Err(why) => return Decision::Answer(refuse::unavailable(why)),
    }
    if proof.spend == Spend::Never {
        let (request, admission) = admit(*pending, dialect, proof, (None, None));
        return Decision::Pass(request, admission);
    }
    Decision::Verified(pending, dialect, proof)
}

/// Step 4, the last await before the inner service.
pub(super) fn consume<B: Send + 'static>(pending: Box<Pending<B>>, dialect: usize, proof: Proof) -> Decision<B> {
    wait(async move {
        let shop = pending.asked.shop.clone();
        match within(shop.paywall.setup().time_limit, settle::consume(&shop.paywall, &proof)).await {
            Some(Ok(Outcome::Granted { lease, remaining })) => {
                let (request, admission) = admit(*pending, dialect, proof, (lease, remaining));
                Decision::Serve(request, admission)
            }
            Some(Ok(Outcome::Spent)) => Decision::Spent(pending, dialect),
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

/// Step 5 for a genuine credential that is used up.
pub(super) fn refuse_spent<B>(pending: Box<Pending<B>>, dialect: usize) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let refusal = pending.asked.setup().dialects[dialect].spent();
    wait(ask(pending, Some((dialect, refusal))))
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
        Err(full) => return Decision::Answer(refuse::too_many(full.retry_after.as_secs())),
    };
    if rule.charge.reads_body
        && let Err(answer) = pending.read_body(true).await
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
        && let Err(answer) = pending.read_body(false).await
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
