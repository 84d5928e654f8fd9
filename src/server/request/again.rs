//! Answers that are kept: what to do before a use is consumed, and how a spent credential gets the
//! answer that it bought.

use std::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body::Body;

use super::{
    admission::strip_headers,
    answers,
    decision::{Decision, wait},
    keeping::ToKeep,
    pending::{Keep, Pending, PricedRequest},
    settle::GrantedUse,
    within,
};
use crate::{
    body::Share,
    clock::Timestamp,
    dialect::Claim,
    payment::{PaymentHash, Proof, Refusal, RefusalKind, Spend},
    replay::{ReleaseReason, StoreError},
    server::{
        config::{BoxError, paywall::PaywallState},
        kept::{
            KeptAnswers,
            identifiers::Identified,
            key::{AnswerKey, credential},
            shelf::Found,
        },
        routes::rule::Rule,
    },
    trace,
};

impl PricedRequest {
    /// How answers are kept, if the charge keeps them.
    pub(in crate::server) fn kept(&self) -> Option<&KeptAnswers> {
        self.rule.charge.kept.as_ref()
    }

    /// Whether the answer to this proof may be kept: one use buys one answer. A token that was sold
    /// for several uses, before the charge kept answers, buys an answer with each.
    pub(in crate::server) fn keeps(&self, proof: &Proof) -> bool {
        self.kept().is_some()
            && matches!(proof.spend, Spend::Times { uses, .. } if uses == NonZeroU32::MIN)
    }

    /// Whether a payment with this many uses is used up and its answer is not kept any more, as far
    /// as this process knows.
    pub(in crate::server) fn is_over(&self, payment_hash: PaymentHash, uses: NonZeroU32) -> bool {
        let spent = &self.setup().spent;
        match self.kept() {
            Some(kept) if uses == NonZeroU32::MIN => {
                spent.is_used_up_since(payment_hash, uses, kept.for_how_long())
            }
            _ => spent.is_used_up(payment_hash, uses),
        }
    }

    /// What this request's answer is kept under. `None` if it is not kept, because the request has
    /// an `Authorization` or a `Cookie` that the payment does not bind: the answer may be for their
    /// owner alone.
    fn answer_key(&self, proof: &Proof, headers: &HeaderMap) -> Option<AnswerKey> {
        let is_bound = |name: &str| {
            self.rule
                .terms
                .bound_headers
                .iter()
                .any(|bound| bound == name)
        };
        let is_personal = PERSONAL
            .iter()
            .any(|name| headers.contains_key(name) && !is_bound(name.as_str()));
        (!is_personal).then(|| AnswerKey::new(proof, &self.view(), &self.rule.terms))
    }

    /// The headers of this request without credentials of this server.
    fn plain_headers(&self) -> HeaderMap {
        let mut headers = self.head.headers.clone();
        strip_headers(self.setup(), &mut headers, &self.rule.terms);
        headers
    }

    /// Memory for an answer to this proof.
    fn share(&self, proof: &Proof) -> Share {
        let memory = &self.setup().presented;
        let of_payment = memory.of_payment(proof.payment_hash);
        memory.share(self.place.client, Some(of_payment))
    }

    /// What is needed to keep the answer to this request, if it is kept.
    pub(in crate::server) fn to_keep(&self, proof: &Proof) -> Option<Box<ToKeep>> {
        let kept = self.kept().filter(|_| self.keeps(proof))?.clone();
        let headers = self.plain_headers();
        let key = self.answer_key(proof, &headers)?;
        let client = self.place.client;
        Some(Box::new(ToKeep {
            kept,
            key,
            client,
            method: self.head.method.clone(),
            headers,
            routes: self.routes.clone(),
            share: self.share(proof),
            is_grpc: self.rule.terms.is_grpc,
        }))
    }
}

/// `Authorization` and `Cookie` say who asks.
const PERSONAL: [header::HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

/// Step 4, before a use is consumed, if the charge keeps answers: reads the body, which tells one
/// request from another, and looks up the identifier that the client gave its payment. It is noted later.
///
/// # Errors
///
/// The answer, if the body or the identifier is refused, or if the records fail.
pub(in crate::server) async fn prepare<B>(
    pending: &mut Pending<B>,
    dialect: usize,
    proof: &Proof,
) -> Result<(), Box<Response<Bytes>>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let asked = &mut pending.asked;
    asked.identifier = None;
    let keep = asked.keep_for(proof.payment_hash, NonZeroU32::MIN);
    pending.read_body(keep).await?;
    let routes = pending.asked.routes.clone();
    let setup = routes.paywall.setup();
    let headers = &pending.asked.head.headers;
    let identifier = setup.dialects[dialect].identifier(headers);
    let identifier = identifier.map_err(|why| Box::new(answers::bad_request(why)))?;
    let (Some(identifier), Some(kept)) = (identifier, pending.asked.kept()) else {
        return Ok(());
    };
    let key = AnswerKey::of_identifier(
        &identifier,
        &pending.asked.view(),
        &pending.asked.rule.terms,
    );
    let credential = credential(headers);
    let known = within(setup.time_limit, kept.identified(key, &credential)).await;
    known_as(known)?;
    pending.asked.identifier = Some(Box::new((key, credential)));
    Ok(())
}

/// Notes the identifier that the client gave its payment, once a use is granted. So one payment takes
/// one identifier, and only if its use is gone: if the client hangs up meanwhile, the use stays
/// spent. If the identifier was taken meanwhile, or if the records fail, the use goes back.
///
/// # Errors
///
/// 409 if the identifier stands for another payload, 503 if the records fail.
pub(in crate::server) async fn note_identifier(
    asked: &mut PricedRequest,
    mut granted: Box<GrantedUse>,
) -> Result<Box<GrantedUse>, Box<Response<Bytes>>> {
    let (Some(noted), Some(kept)) = (asked.identifier.take(), asked.kept()) else {
        return Ok(granted);
    };
    let (key, credential) = *noted;
    let (setup, client) = (asked.setup(), asked.place.client);
    granted.on_drop(None);
    let identify = kept.identify(key, &credential, client, setup.clock.now());
    let known = within(setup.time_limit, identify).await;
    granted.on_drop(Some(ReleaseReason::NotServed));
    if known_as(known)? == Identified::Nothing {
        setup.notices.identifier_not_noted(setup.clock.now());
    }
    Ok(granted)
}

/// What the records say of an identifier.
fn known_as(
    known: Option<Result<Identified, StoreError>>,
) -> Result<Identified, Box<Response<Bytes>>> {
    match known {
        Some(Ok(Identified::Another)) => Err(Box::new(answers::identifier_taken())),
        Some(Ok(known)) => Ok(known),
        Some(Err(error)) => {
            trace::error(format_args!("a payment identifier was not noted: {error}"));
            Err(Box::new(answers::unavailable(UNANSWERED)))
        }
        None => {
            trace::error(format_args!(
                "a payment identifier was not noted: the records did not answer in time"
            ));
            Err(Box::new(answers::unavailable(UNANSWERED)))
        }
    }
}

const UNANSWERED: &str = "the store of answers cannot answer";

/// Returns the answer that a spent payment bought, and the memory that it takes, if it is kept for
/// exactly this credential and request.
///
/// # Errors
///
/// 503 if the records cannot say, or if there is too little memory: nobody is asked to pay again for
/// a fault of the server.
async fn given_again(
    asked: &PricedRequest,
    proof: &Proof,
) -> Result<Option<Box<(Response<Bytes>, Share)>>, Box<Response<Bytes>>> {
    let headers = asked.plain_headers();
    let key = asked.answer_key(proof, &headers);
    let (Some(kept), Some(key)) = (asked.kept().filter(|_| asked.keeps(proof)), key) else {
        return Ok(None);
    };
    let share = asked.share(proof);
    match within(asked.setup().time_limit, kept.get(key, &headers, share)).await {
        Some(Ok(Found::Answer(answer))) => {
            trace::event!(
                DEBUG,
                "a kept answer was given again",
                payment = trace::shown(proof.payment_hash),
                path = asked.place.target.path(),
            );
            Ok(Some(answer))
        }
        Some(Ok(Found::Nothing)) => Ok(None),
        Some(Ok(Found::NoRoom)) => {
            trace::error(format_args!(
                "no memory left for another kept answer: raise .body_pool(..)"
            ));
            let why = "the server sends too many kept answers at the moment";
            Err(Box::new(answers::unavailable(why)))
        }
        Some(Err(error)) => {
            trace::error(format_args!("a kept answer could not be read: {error}"));
            Err(Box::new(answers::unavailable(UNANSWERED)))
        }
        None => {
            trace::error(format_args!(
                "a kept answer could not be read: the records did not answer in time"
            ));
            Err(Box::new(answers::unavailable(UNANSWERED)))
        }
    }
}

/// Returns a time at which a credential was good that expired since its answer was kept. `None` if
/// the charge keeps no answers, or if the credential is refused for another reason.
pub(in crate::server) fn when_it_was_good(
    rule: &Rule,
    refusal: Refusal,
    now: Timestamp,
) -> Option<Timestamp> {
    let kept = rule.charge.kept.as_ref()?;
    let since = kept.for_how_long().saturating_add(LONGEST_HANDLER);
    let then = now.as_unix_seconds().saturating_sub(since.as_secs());
    (refusal.kind() == RefusalKind::Expired).then_some(Timestamp::from_unix_seconds(then))
}

/// Notes that a credential which has expired is being served.
pub(in crate::server) fn note_use_of_expired(
    asked: &mut PricedRequest,
    refusal: Option<Refusal>,
    claim: &dyn Claim,
) {
    if refusal.is_some_and(|why| why.kind() == RefusalKind::Expired) {
        asked.in_use |= asked.setup().spent.is_served(claim.payment_hash());
    }
}

/// Returns a time at which a credential was good that expired while it may be being served. Its
/// client is asked to wait, and not to pay again.
pub(in crate::server) fn while_served(
    setup: &PaywallState,
    refusal: Refusal,
    now: Timestamp,
) -> Option<Timestamp> {
    let then = now
        .as_unix_seconds()
        .saturating_sub(LONGEST_HANDLER.as_secs());
    (refusal.kind() == RefusalKind::Expired && setup.spent.serves_any())
        .then_some(Timestamp::from_unix_seconds(then))
}

/// An answer is kept when the handler is done, and its credential may have expired before that.
const LONGEST_HANDLER: Duration = Duration::from_secs(3_600);

/// A credential that has expired since its answer was kept still gets that answer, and nothing else.
/// It is verified as it was then. `otherwise` decides if no answer is kept.
pub(in crate::server) fn expired<B>(
    pending: Box<Pending<B>>,
    claim: Box<dyn Claim>,
    then: Timestamp,
    otherwise: impl FnOnce(Box<Pending<B>>, Box<dyn Claim>) -> Decision<B> + Send + 'static,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let revocations = pending.asked.setup().revocations.as_ref();
    let is_revoked = revocations.is_some_and(|revoked| revoked.contains(&claim.payment_hash()));
    let is_over = pending.asked.is_over(claim.payment_hash(), NonZeroU32::MIN);
    // The price of then is not known.
    if is_revoked || is_over || claim.needs_price() {
        return otherwise(pending, claim);
    }
    wait(async move {
        let mut pending = pending;
        if let Err(refused) = pending.read_body(Keep::Doubted).await {
            return Decision::Answer(refused);
        }
        let asked = &pending.asked;
        let Ok(proof) = claim.verify(&asked.view(), &asked.rule.terms, None, then) else {
            return otherwise(pending, claim);
        };
        match given_again(asked, &proof).await {
            Ok(Some(kept)) => Decision::Again(kept),
            Ok(None) => otherwise(pending, claim),
            Err(refused) => Decision::Answer(refused),
        }
    })
}

/// Step 4 for a payment that is spent: its answer, or what `otherwise` decides.
pub(in crate::server) fn or_else<B>(
    pending: Box<Pending<B>>,
    proof: Box<Proof>,
    otherwise: impl FnOnce(Box<Pending<B>>) -> Decision<B> + Send + 'static,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    wait(async move {
        match given_again(&pending.asked, &proof).await {
            Ok(Some(kept)) => Decision::Again(kept),
            Ok(None) => otherwise(pending),
            Err(refused) => Decision::Answer(refused),
        }
    })
}
