//! Answers that are kept: what to do before a use is consumed, and how a spent credential gets the
//! answer that it bought.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body::Body;

use super::{
    admission::strip_headers,
    answers,
    decision::{Decision, wait},
    keeping::ToKeep,
    pending::{Keep, Pending, PricedRequest},
    within,
};
use crate::{
    clock::Timestamp,
    dialect::Claim,
    payment::{Proof, Refusal, RefusalKind},
    server::{
        config::{BoxError, paywall::PaywallState},
        kept::{
            KeptAnswers,
            key::{AnswerKey, credential},
            shelf::Identified,
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

    /// What is needed to keep the answer to this request, if it is kept.
    pub(in crate::server) fn to_keep(&self, proof: &Proof) -> Option<Box<ToKeep>> {
        let kept = self.kept()?.clone();
        let headers = self.plain_headers();
        let key = self.answer_key(proof, &headers)?;
        let (setup, client) = (self.setup(), self.place.client);
        let of_payment = setup.presented.of_payment(proof.payment_hash);
        Some(Box::new(ToKeep {
            kept,
            key,
            client,
            method: self.head.method.clone(),
            headers,
            clock: setup.clock.clone(),
            share: setup.presented.share(client, Some(of_payment)),
            time_limit: setup.time_limit,
        }))
    }
}

/// `Authorization` and `Cookie` say who asks.
const PERSONAL: [header::HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

/// Step 4, before a use is consumed, if the charge keeps answers: reads the body, which tells one
/// request from another, and notes the identifier that the client gave its payment.
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
    let spent = pending.asked.setup().spent.clone();
    let uses = std::num::NonZeroU32::MIN;
    let keep = match spent.is_doubted(proof.payment_hash, uses) {
        true => Keep::Doubted,
        false => Keep::Presented(proof.payment_hash),
    };
    pending.read_body(keep).await?;
    let buys_nothing =
        spent.is_used_up(proof.payment_hash, uses) || spent.is_in_use(proof.payment_hash, uses);
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
    let (client, now) = (pending.asked.place.client, setup.clock.now());
    let credential = credential(headers);
    let noted = kept.identify(key, &credential, buys_nothing, client, now);
    match within(setup.time_limit, noted).await {
        Some(Ok(Identified::Noted)) => pending.asked.identified = Some(key),
        Some(Ok(Identified::Known)) => {}
        Some(Ok(Identified::OfAnother)) => return Err(Box::new(answers::identifier_taken())),
        Some(Ok(Identified::Full)) => {
            trace::error(format_args!(
                "no room for another payment identifier: raise .bytes_in_all(..) of KeptAnswers"
            ));
            return Err(Box::new(answers::unavailable(UNANSWERED)));
        }
        Some(Err(error)) => {
            trace::error(format_args!("a payment identifier was not noted: {error}"));
            return Err(Box::new(answers::unavailable(UNANSWERED)));
        }
        None => return Err(Box::new(answers::unavailable(UNANSWERED))),
    }
    Ok(())
}

const UNANSWERED: &str = "the store of answers cannot answer";

/// Forgets the identifier that this request noted, because its payment bought nothing: nobody may
/// take one without paying.
pub(in crate::server) async fn forget_identifier(asked: &mut PricedRequest) {
    let (Some(key), Some(kept)) = (asked.identified.take(), asked.kept()) else {
        return;
    };
    if !matches!(
        within(asked.setup().time_limit, kept.forget_identifier(key)).await,
        Some(Ok(()))
    ) {
        trace::error(format_args!(
            "a payment identifier of a spent payment could not be forgotten before it expires"
        ));
    }
}

/// Returns the answer that a spent payment bought, if it is kept for exactly this credential and
/// request.
///
/// # Errors
///
/// 503 if the records cannot say: nobody is asked to pay again for a fault of the server.
async fn given_again(
    asked: &PricedRequest,
    proof: &Proof,
) -> Result<Option<Box<Response<Bytes>>>, Box<Response<Bytes>>> {
    let headers = asked.plain_headers();
    let key = asked.answer_key(proof, &headers);
    let (Some(kept), Some(key)) = (asked.kept(), key) else {
        return Ok(None);
    };
    match within(asked.setup().time_limit, kept.get(key, &headers)).await {
        Some(Ok(answer)) => {
            if answer.is_some() {
                trace::event!(
                    DEBUG,
                    "a kept answer was given again",
                    payment = trace::shown(proof.payment_hash),
                    path = asked.place.target.path(),
                );
            }
            Ok(answer.map(Box::new))
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
/// client is told to wait, and not to pay again.
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
    // The price of then is not known.
    if is_revoked || claim.needs_price() {
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
