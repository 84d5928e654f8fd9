//! The order of everything that happens to a request. Read this first.
//!
//! 1. Which rule prices it: free requests (without our credentials) and closed ones end here, as do `OPTIONS` and methods that
//!    no rule names.
//! 2. Whose authority it names: one that is not ours ends here.
//! 3. Its credential, parsed and authenticated from the head alone; more than one dialect's ends here.
//! 4. Accepted so far: the body, if the dialect binds it; verify; make the inner service ready; consume as the last await;
//!    serve. A payment that is known to be used up is refused at once. Of each other one a few requests at a time are made ready.
//! 5. None, or a refused one: the free allowance; the limiter; the price; the body's hash; the invoice; 402.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;

use super::{
    BoxError,
    admission::{Admission, Admitted},
    answers, aside,
    confirm::confirm,
    credential::{Verdict, presented, verify},
    issue,
    layer::Shop,
    pace::TooOften,
    paywall::Setup,
    price,
    quote::{Quote, quote},
    request::{Asked, Keep, Pending, Place, bound, discard},
    rule::Rule,
    settle::{self, Outcome, Paid},
    target,
    turns::InLine,
    within,
};
use crate::{
    body::RequestBody,
    clock::Timestamp,
    dialect::{Claim, Dialect},
    lightning::BoxFuture,
    payment::{PaymentReceipt, Proof, Refusal, Spend, Terms},
    replay::Limits,
    trace,
};

/// What is to be done with a request. Small, because the future of every request has room for it.
pub(super) enum Decision<B> {
    Answer(Box<Response<Bytes>>),
    /// Free, or paid for and only time ends the access: to the inner service, once it is ready.
    Pass(Box<Admitted<B>>),
    /// Verified: make the inner service ready, then consume.
    Verified(Box<Pending<B>>, usize, Box<Candidate>),
    /// Consumed: to the inner service, which is ready, at once.
    Serve(Box<Admitted<B>>),
    /// Spent after all: hold nothing of the inner service while the node is asked.
    Spent(Box<Pending<B>>, (usize, Option<Box<dyn Claim>>)),
    Wait(BoxFuture<'static, Self>),
}

/// A proof, and the credential to try where it is spent.
pub(super) struct Candidate {
    proof: Proof,
    /// What the store is asked.
    ask: (Limits, Timestamp),
    next: Option<Box<dyn Claim>>,
    /// The turn to make the inner service ready and ask the store.
    turn: InLine,
}

/// So many requests with one payment for several uses may ask the store at once: each holds a permit of the inner service.
const AT_ONCE: usize = 2;

/// Decides from the head of a priced request, as far as that goes: admits what is paid for until a time, at once.
#[inline]
pub(super) fn decide<B>(
    shop: &Arc<Shop>,
    rule: &Arc<Rule>,
    captures: Vec<(String, String)>,
    request: Request<B>,
) -> Result<Admitted<B>, Decision<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (setup, terms) = (shop.paywall.setup(), &rule.terms);
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
    let target = target::asked_for(&head).map_err(|fault| answer(answers::bad_request(&fault.to_string())))?;
    let place = Place { origin, target, nested: rule.nested(&head), client: client.key };
    let seen = price::seen(rule, captures, &head).map_err(|fault| answer(answers::bad_request(&fault.to_string())))?;
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
                    strip(setup, &mut head, terms);
                    settle::accepted(setup, proof, (&mut head, place), now, None);
                    return Ok((Request::from_parts(head, body), Admission { paid: None, keep_private: true }));
                }
                verdict => Some((dialect, Ok((claim, verdict)))),
            }
        }
    };
    let mut asked = Asked::new((shop.clone(), rule.clone()), head, place, (now, keys.kept()), seen);
    asked.presented = found.is_some();
    let pending = Box::new(Pending { asked, body });
    Err(match found {
        None => wait(ask(pending, None)),
        Some((dialect, Err(refusal))) => wait(ask(pending, Some((dialect, refusal)))),
        Some((dialect, Ok((claim, verdict)))) => weighed(pending, dialect, claim, verdict),
    })
}

/// Step 4 for a further credential.
fn try_claim<B>(pending: Box<Pending<B>>, dialect: usize, claim: Box<dyn Claim>) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let asked = &pending.asked;
    let (setup, terms) = (asked.setup(), &asked.rule.terms);
    let verdict = verify(setup, &asked.view(), terms, asked.now, (dialect, &*claim), || asked.bound(None));
    weighed(pending, dialect, claim, verdict)
}

/// Step 4, as far as the head tells.
fn weighed<B>(pending: Box<Pending<B>>, dialect: usize, claim: Box<dyn Claim>, verdict: Verdict) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match verdict {
        Verdict::Told(verdict) => decided(pending, dialect, claim.next(), verdict),
        // Its body is not held, and it has no price.
        Verdict::Later if pending.asked.is_used_up(&*claim) => refuse_spent(pending, (dialect, claim.next())),
        Verdict::Later => wait(verify_slowly(pending, dialect, claim)),
    }
}

/// Step 4, verified: to the inner service where nothing is to be consumed, to the store where a use is; with a refusal, to the
/// next credential of the same dialect, and to step 5 where the request has none.
fn decided<B>(
    pending: Box<Pending<B>>,
    dialect: usize,
    next: Option<Box<dyn Claim>>,
    verdict: Result<Proof, Refusal>,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let proof = match verdict {
        Ok(proof) => proof,
        Err(refusal) => return refuse(pending, dialect, next, refusal),
    };
    match proof.spend {
        Spend::Never => Decision::Pass(Box::new(grant(*pending, dialect, proof, None))),
        Spend::Times { uses, .. } if pending.asked.setup().spent.is_used_up(proof.payment_hash, uses) => {
            refuse_spent(pending, (dialect, next))
        }
        Spend::Times { uses, restores, retain_until } => {
            let ask = (Limits::new(uses, restores), retain_until);
            let at_once = AT_ONCE.min(uses.get() as usize);
            let turn = pending.asked.setup().turns.line_up(proof.payment_hash, at_once);
            let mut candidate = Box::new(Candidate { proof, ask, next, turn });
            match candidate.turn.try_turn() {
                true => Decision::Verified(pending, dialect, candidate),
                false => wait(take_turn(pending, dialect, candidate)),
            }
        }
    }
}

/// Step 4, if others with the same payment are asking the store: waits for their answers, and holds nothing of the inner
/// service.
async fn take_turn<B>(pending: Box<Pending<B>>, dialect: usize, mut candidate: Box<Candidate>) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let setup = pending.asked.setup();
    if within(setup.time_limit, candidate.turn.turn()).await.is_none() {
        return answer(answers::unavailable("too many requests with this payment are waiting"));
    }
    let (limits, _) = candidate.ask;
    if setup.spent.is_used_up(candidate.proof.payment_hash, limits.uses) {
        return refuse_spent(pending, (dialect, candidate.next));
    }
    Decision::Verified(pending, dialect, candidate)
}

fn answer<B>(response: Response<Bytes>) -> Decision<B> {
    Decision::Answer(Box::new(response))
}

fn wait<B>(decision: impl Future<Output = Decision<B>> + Send + 'static) -> Decision<B> {
    Decision::Wait(Box::pin(decision))
}

/// Step 4, where the body, the price or the receiver must be asked.
async fn verify_slowly<B>(mut pending: Box<Pending<B>>, dialect: usize, claim: Box<dyn Claim>) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let shop = pending.asked.shop.clone();
    let setup = shop.paywall.setup();
    let (payment_hash, client) = (claim.payment_hash(), pending.asked.place.client);
    let keep = Keep::Presented(payment_hash);
    if setup.dialects[dialect].binds_body(&pending.asked.rule.terms)
        && let Err(answer) = pending.read_body(keep).await
    {
        return Decision::Answer(answer);
    }
    pending.asked.bind();
    let mut current = None;
    if claim.needs_price() {
        if pending.asked.rule.charge.reads_body
            && let Err(answer) = pending.read_body(keep).await
        {
            return Decision::Answer(answer);
        }
        if pending.asked.seen.is_some()
            && let Err(TooOften(wait)) = setup.repricing.take(payment_hash, client)
        {
            return answer(answers::too_often(wait));
        }
        current = match quote(&pending.asked, pending.body.data()).await {
            Quote::Amount(amount) => Some(amount),
            Quote::Free => return pass(*pending),
            Quote::Answer(answer) => return Decision::Answer(answer),
        };
    }
    let verdict = claim.verify(&pending.asked.view(), &pending.asked.rule.terms, current, pending.asked.now);
    let is_priced = claim.needs_price() && pending.asked.seen.is_some();
    let next = claim.next();
    if let Ok(proof) = &verdict {
        if is_priced {
            setup.repricing.succeeded(client);
        }
        match confirm(setup, proof, client).await {
            Ok(true) => {}
            Ok(false) => return decided(pending, dialect, next, Err(setup.dialects[dialect].unpaid())),
            Err(why) => return answer(answers::unavailable(why)),
        }
    }
    decided(pending, dialect, next, verdict)
}

/// Step 4 again with the next credential of the same dialect, where the request has one; step 5 where it has none.
fn refuse<B>(pending: Box<Pending<B>>, dialect: usize, next: Option<Box<dyn Claim>>, refusal: Refusal) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match next {
        Some(claim) => try_claim(pending, dialect, claim),
        None => wait(ask(pending, Some((dialect, refusal)))),
    }
}

/// Step 4, the last await before the inner service.
pub(super) fn consume<B: Send + 'static>(pending: Box<Pending<B>>, dialect: usize, candidate: Box<Candidate>) -> Decision<B> {
    wait(async move {
        let Candidate { proof, ask, next, turn } = *candidate;
        let shop = pending.asked.shop.clone();
        let setup = shop.paywall.setup();
        let outcome = within(setup.time_limit, settle::consume(setup, &proof, ask)).await;
        drop(turn);
        match outcome {
            Some(Ok(Outcome::Granted { lease, remaining })) => {
                Decision::Serve(Box::new(grant(*pending, dialect, proof, Some((lease, remaining)))))
            }
            Some(Ok(Outcome::Spent)) => Decision::Spent(pending, (dialect, next)),
            Some(Err(error)) => {
                trace::error(format_args!("nothing was consumed: {error}"));
                answer(answers::unavailable("the store of spent payments cannot answer"))
            }
            None => {
                trace::error(format_args!("the store of spent payments did not answer in time"));
                answer(answers::unavailable("the store of spent payments did not answer in time"))
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
    setup.notices.asked(setup, &pending.asked.head, client);
    setup.sold.compare_once();
    if rule.allowance.as_ref().is_some_and(|allowance| allowance.take(client, pending.asked.now)) {
        return pass(*pending);
    }
    let slot = match setup.limiter.reserve(client, pending.asked.now) {
        Ok(slot) => slot,
        Err(refused) => {
            setup.notices.full(setup, &pending.asked.head, refused.full, pending.asked.now);
            return answer(answers::too_many(refused.retry_after.as_secs(), setup.speaks_x402()));
        }
    };
    if rule.charge.reads_body
        && let Err(answer) = pending.read_body(Keep::Unpaid).await
    {
        return Decision::Answer(answer);
    }
    let amount = match quote(&pending.asked, pending.body.data()).await {
        Quote::Amount(amount) => amount,
        Quote::Free => return pass(*pending),
        Quote::Answer(answer) => return Decision::Answer(answer),
    };
    let binds_body = |dialect: &dyn Dialect| dialect.offers(&rule.terms, Some(amount)) && dialect.binds_body(&rule.terms);
    if setup.dialects.iter().any(|dialect| binds_body(&**dialect))
        && let Err(answer) = pending.read_body(Keep::Nothing).await
    {
        return Decision::Answer(answer);
    }
    let Pending { mut asked, body } = *pending;
    discard(&asked, body).await;
    asked.bind();
    let refused = refused
        .map(|(dialect, refusal)| (dialect, setup.dialects[dialect].reconsider(refusal, &asked.view(), &asked.rule.terms)));
    answer(issue::challenge(&asked, amount, slot, refused).await)
}

/// Takes out the credentials that stop here: every dialect's, for one may read a field that another never looks at. A field that
/// is the application's own loses those of this server.
fn strip(setup: &Setup, head: &mut Parts, terms: &Terms) {
    if !setup.keep_credentials {
        setup.dialects.iter().for_each(|dialect| dialect.strip(&mut head.headers, terms));
    }
    if terms.authorization_taken {
        drop(aside::set_aside(setup, &mut head.headers));
    }
}

/// To the inner service, unpaid.
fn pass<B>(pending: Pending<B>) -> Decision<B> {
    let Pending { mut asked, body } = pending;
    let setup = asked.shop.paywall.setup();
    if asked.presented {
        strip(setup, &mut asked.head, &asked.rule.terms);
    }
    // One that this route does not look for is still worth something elsewhere.
    let aside = aside::set_aside(setup, &mut asked.head.headers);
    let admission = Admission { paid: None, keep_private: asked.presented || aside.is_some() };
    if let Some(aside) = aside {
        asked.head.extensions.insert(aside);
    }
    Decision::Pass(Box::new((Request::from_parts(asked.head, body), admission)))
}

/// Paid for: a receipt goes with the request.
fn grant<B>(pending: Pending<B>, dialect: usize, proof: Proof, granted: Option<(Box<settle::Lease>, u32)>) -> Admitted<B> {
    let Pending { asked: Asked { shop, rule, mut head, place, now, .. }, body } = pending;
    let setup = shop.paywall.setup();
    strip(setup, &mut head, &rule.terms);
    let receipt = settle::accepted(setup, proof, (&mut head, place), now, granted.as_ref().map(|(_, left)| *left));
    let paid = granted.map(|(lease, _)| Paid::new(shop, dialect, receipt, lease));
    (Request::from_parts(head, body), Admission { paid, keep_private: true })
}
