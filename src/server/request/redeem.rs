//! Step 4 of the gate: verifies a credential that is accepted so far, and consumes a use.

use bytes::Bytes;
use http_body::Body;

use super::{
    again, answers,
    confirm::confirm,
    credential::{Verdict, may_be_free, verify},
    decision::{Candidate, Decision, answer, wait},
    grant::grant,
    pending::{Pending, discard},
    quote::{PriceAnswer, WAIT_FOR_FREE, quote},
    settle::{self, Outcome, Unanswered},
    unpaid::{ask, pass},
    within,
};
use crate::{
    dialect::Claim,
    payment::{Proof, Refusal, Spend},
    replay::UseLimits,
    server::{
        config::BoxError,
        state::{pace::TooOften, turns::End},
    },
};

/// Step 4, with what the head alone has shown.
pub(in crate::server) fn weighed<B>(
    pending: Box<Pending<B>>,
    dialect: usize,
    claim: Box<dyn Claim>,
    verdict: Verdict,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match verdict {
        Verdict::Told(verdict) => told(pending, dialect, claim, verdict),
        // Neither its body nor its price is needed.
        Verdict::Later if pending.asked.buys_nothing(&*claim) => {
            refuse_spent(pending, (dialect, claim.next()))
        }
        Verdict::Later if pending.asked.is_in_use(&*claim) => {
            refuse_in_use(pending, (dialect, claim.next()))
        }
        Verdict::Later => wait(verify_slowly(pending, dialect, claim)),
    }
}

/// Step 4, with the result of verifying. A credential that has expired may have a kept answer.
fn told<B>(
    mut pending: Box<Pending<B>>,
    dialect: usize,
    claim: Box<dyn Claim>,
    verdict: Result<Proof, Refusal>,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let refusal = verdict.as_ref().err().copied();
    again::note_use_of_expired(&mut pending.asked, refusal, &*claim);
    let asked = &pending.asked;
    match refusal.and_then(|why| again::when_it_was_good(&asked.rule, why, asked.now)) {
        Some(then) => again::expired(pending, claim, then, move |pending, claim| {
            decided(pending, dialect, claim.next(), verdict)
        }),
        None => decided(pending, dialect, claim.next(), verdict),
    }
}

/// Step 4, verified. An uncounted proof goes to the inner service, a counted one to the store. After
/// a refusal, the next credential of the same dialect is tried, or step 5 if there is none. If all
/// that a credential bought is gone or being served, the answer is 409 in place of step 5.
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
        Spend::Times { uses, .. }
            if pending.asked.keeps(&proof)
                && !pending.asked.prepared
                && !pending.asked.is_over(proof.payment_hash, uses) =>
        {
            wait(prepare(pending, dialect, next, proof))
        }
        Spend::Times { uses, .. }
            if pending
                .asked
                .setup()
                .spent
                .is_used_up(proof.payment_hash, uses) =>
        {
            refuse_spent(spent(pending, proof), (dialect, next))
        }
        Spend::Times { uses, .. }
            if pending
                .asked
                .setup()
                .spent
                .is_in_use(proof.payment_hash, uses) =>
        {
            refuse_in_use(pending, (dialect, next))
        }
        Spend::Times {
            uses,
            restores,
            retain_until,
        } => {
            let restores = pending.asked.rule.restores(restores);
            let ask = (UseLimits::new(uses, restores), retain_until);
            let turn = pending.asked.setup().line_up(proof.payment_hash, uses);
            let mut candidate = Box::new(Candidate {
                proof,
                ask,
                next,
                turn,
            });
            match candidate.turn.try_turn() {
                true => Decision::Verified(pending, dialect, candidate),
                false => wait(take_turn(pending, dialect, candidate)),
            }
        }
    }
}

/// Step 4, if the charge keeps answers. Then the proof is judged again.
async fn prepare<B>(
    mut pending: Box<Pending<B>>,
    dialect: usize,
    next: Option<Box<dyn Claim>>,
    proof: Proof,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if let Err(refused) = again::prepare(&mut pending, dialect, &proof).await {
        return Decision::Answer(refused);
    }
    pending.asked.prepared = true;
    decided(pending, dialect, next, Ok(proof))
}

/// Step 4, if other requests with the same payment are asking the store. Waits for their answers, and
/// holds nothing of the inner service.
async fn take_turn<B>(
    pending: Box<Pending<B>>,
    dialect: usize,
    mut candidate: Box<Candidate>,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let setup = pending.asked.setup();
    if !candidate.turn.turn().await {
        return answer(answers::unavailable(
            "the store of spent payments did not answer in time",
        ));
    }
    let (limits, _) = candidate.ask;
    let payment_hash = candidate.proof.payment_hash;
    if setup.spent.is_used_up(payment_hash, limits.uses) {
        return refuse_spent(spent(pending, candidate.proof), (dialect, candidate.next));
    }
    if setup.spent.is_in_use(payment_hash, limits.uses) {
        return refuse_in_use(pending, (dialect, candidate.next));
    }
    Decision::Verified(pending, dialect, candidate)
}

/// Step 4, if the body, the price or the receiver is needed.
async fn verify_slowly<B>(
    mut pending: Box<Pending<B>>,
    dialect: usize,
    claim: Box<dyn Claim>,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let routes = pending.asked.routes.clone();
    let setup = routes.paywall.setup();
    let (payment_hash, client) = (claim.payment_hash(), pending.asked.place.client);
    let keep = pending.asked.keep(&*claim);
    // The body of a gRPC call is not read, so what binds one is refused below.
    if claim.needs_body(&pending.asked.rule.terms)
        && !pending.asked.rule.terms.is_grpc
        && let Err(answer) = pending.read_body(keep).await
    {
        return Decision::Answer(answer);
    }
    let (mut current, mut repriced) = (None, None);
    if claim.needs_price() {
        if pending.asked.rule.charge.reads_body
            && let Err(answer) = pending.read_body(keep).await
        {
            return Decision::Answer(answer);
        }
        if pending.asked.seen.is_some() {
            match setup.repricing.take(payment_hash, client) {
                Ok(taken) => repriced = Some(taken),
                Err(TooOften(wait)) => return answer(answers::too_often(wait)),
            }
        }
        current = match quote(&pending.asked, pending.body.data()).await {
            PriceAnswer::Amount(amount) => Some(amount),
            PriceAnswer::Free => return pass(*pending),
            PriceAnswer::Answer(answer) => return Decision::Answer(answer),
        };
    }
    if may_be_free(&pending.asked.rule, &*claim) && !claim.needs_price() {
        if pending.asked.rule.charge.reads_body
            && let Err(answer) = pending.read_body(keep).await
        {
            return Decision::Answer(answer);
        }
        // If it was asked too often, or cannot tell, what was sold is served.
        if let Ok(taken) = setup.repricing.take(payment_hash, client) {
            repriced = Some(taken);
            let price = quote(&pending.asked, pending.body.data());
            if let Some(PriceAnswer::Free) = within(WAIT_FOR_FREE, price).await {
                return pass(*pending);
            }
        }
    }
    let verdict = claim.verify(
        &pending.asked.view(),
        &pending.asked.rule.terms,
        current,
        pending.asked.now,
    );
    if let Ok(proof) = &verdict {
        if let Some(taken) = repriced {
            setup.repricing.succeeded(client, taken);
        }
        match confirm(setup, proof, client).await {
            Ok(true) => {}
            Ok(false) => {
                let unpaid = Err(setup.dialects[dialect].unpaid());
                return decided(pending, dialect, claim.next(), unpaid);
            }
            Err(why) => return answer(answers::unavailable(why)),
        }
    }
    told(pending, dialect, claim, verdict)
}

/// Step 4 again with the next credential of the same dialect, or step 5 if the request has no other.
pub(in crate::server) fn refuse<B>(
    mut pending: Box<Pending<B>>,
    dialect: usize,
    next: Option<Box<dyn Claim>>,
    refusal: Refusal,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match next {
        Some(claim) => {
            pending.asked.prepared = false;
            pending.asked.identifier = None;
            try_claim(pending, dialect, claim)
        }
        None if pending.asked.in_use => wait(async move {
            let Pending { asked, body } = *pending;
            discard(&asked, body).await;
            answer(answers::in_use())
        }),
        None => wait(ask(pending, Some((dialect, refusal)))),
    }
}

/// Step 4 for a further credential.
fn try_claim<B>(pending: Box<Pending<B>>, dialect: usize, claim: Box<dyn Claim>) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let asked = &pending.asked;
    let (setup, rule) = (asked.setup(), &asked.rule);
    let verdict = verify(setup, &asked.view(), rule, asked.now, (dialect, &*claim));
    weighed(pending, dialect, claim, verdict)
}

/// Step 4, the last awaits before the inner service: consumes a use, and notes the identifier of its
/// payment if it has one.
pub(in crate::server) fn consume<B: Send + 'static>(
    mut pending: Box<Pending<B>>,
    dialect: usize,
    candidate: Box<Candidate>,
) -> Decision<B> {
    wait(async move {
        let Candidate {
            proof,
            ask,
            next,
            turn,
        } = *candidate;
        let routes = pending.asked.routes.clone();
        let setup = routes.paywall.setup();
        let outcome = settle::consume(setup, &proof, ask).await;
        turn.end(match &outcome {
            Ok(Outcome::Granted { .. }) => End::Good,
            Ok(_) | Err(Unanswered::Failed) => End::Bad,
            Err(Unanswered::Late) => End::Silent,
        });
        match outcome {
            Ok(Outcome::Granted { granted, remaining }) => {
                match again::note_identifier(&mut pending.asked, granted).await {
                    Ok(granted) => {
                        let granted = Some((granted, remaining));
                        Decision::Serve(Box::new(grant(*pending, dialect, proof, granted)))
                    }
                    Err(refused) => Decision::Answer(refused),
                }
            }
            Ok(Outcome::InUse) => {
                pending.asked.in_use = true;
                Decision::Spent(pending, (dialect, next))
            }
            Ok(Outcome::Spent) => {
                let is_served = setup.spent.is_served(proof.payment_hash);
                pending.asked.in_use |= is_served;
                if !is_served {
                    pending = spent(pending, proof);
                }
                Decision::Spent(pending, (dialect, next))
            }
            Err(why) => answer(answers::unavailable(why.detail())),
        }
    })
}

/// Notes a proof that is spent, if its answer may be kept.
fn spent<B>(mut pending: Box<Pending<B>>, proof: Proof) -> Box<Pending<B>> {
    pending.asked.spent = pending.asked.prepared.then(|| Box::new(proof));
    pending
}

/// Refuses a genuine credential that is used up, or gives the answer again that it bought.
pub(in crate::server) fn refuse_spent<B>(
    mut pending: Box<Pending<B>>,
    (dialect, next): (usize, Option<Box<dyn Claim>>),
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if let Some(proof) = pending.asked.spent.take() {
        return again::or_else(pending, proof, move |pending| {
            refuse_spent(pending, (dialect, next))
        });
    }
    let refusal = pending.asked.setup().dialects[dialect].spent();
    refuse(pending, dialect, next, refusal)
}

/// Refuses a genuine credential of which nothing is left but what is being served: the client
/// should wait for that answer. Another credential of the same request may still be good.
fn refuse_in_use<B>(
    mut pending: Box<Pending<B>>,
    refused: (usize, Option<Box<dyn Claim>>),
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pending.asked.in_use = true;
    refuse_spent(pending, refused)
}
