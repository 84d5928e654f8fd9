//! Finds the credential of a request, and verifies it as far as the head allows.

use bytes::Bytes;
use http::Response;

use super::answers;
use crate::{
    clock::Timestamp,
    dialect::{Claim, Presented, RequestView},
    payment::{Proof, Refusal, Terms},
    server::{config::paywall::PaywallState, routes::rule::Rule},
};

/// The number of a dialect, and its credential, authentic as far as the head tells.
pub(in crate::server) type Found = (usize, Result<Box<dyn Claim>, Refusal>);

/// Step 3: finds the credential, if there is one. For a gRPC method only dialects are read that it
/// offers.
///
/// # Errors
///
/// 400 if there are credentials of several dialects, or one that no payment can make right.
pub(in crate::server) fn presented(
    setup: &PaywallState,
    view: &RequestView<'_>,
    terms: &Terms,
    now: Timestamp,
) -> Result<Option<Found>, Box<Response<Bytes>>> {
    let mut found = None;
    for (index, dialect) in setup.dialects.iter().enumerate() {
        if terms.is_grpc && !dialect.offers(terms, None) {
            continue;
        }
        let credential = match dialect.credential(view, terms, now) {
            Presented::Absent => continue,
            Presented::Wrong(why) => return Err(Box::new(answers::bad_request(why))),
            Presented::Authentic(claim) => Ok(claim),
            Presented::Refused(refusal) => Err(refusal),
        };
        if found.is_some() {
            return Err(Box::new(answers::bad_request(
                "a request must carry the credential of one dialect only",
            )));
        }
        found = Some((index, credential));
    }
    Ok(found)
}

/// The result of verifying a claim with the head alone.
pub(in crate::server) enum Verdict {
    Told(Result<Proof, Refusal>),
    /// The body, the price or the receiver is needed.
    Later,
}

/// Returns whether the price function may let this request pass for free, and the credential is none
/// of this charge's as it is today. Then it is asked first: an earlier charge may have sold what is
/// free now, or a layer further in may have sold it.
pub(in crate::server) fn may_be_free(rule: &Rule, claim: &dyn Claim) -> bool {
    rule.charge.price.fixed().is_none() && !claim.is_of(&rule.terms)
}

/// Step 4, if the head is enough.
pub(in crate::server) fn verify(
    setup: &PaywallState,
    view: &RequestView<'_>,
    rule: &Rule,
    now: Timestamp,
    (dialect, claim): (usize, &dyn Claim),
) -> Verdict {
    let terms = &rule.terms;
    let payment_hash = claim.payment_hash();
    if setup
        .revocations
        .as_ref()
        .is_some_and(|revoked| revoked.contains(&payment_hash))
    {
        return Verdict::Told(Err(setup.dialects[dialect].revoked()));
    }
    let asks_price = claim.needs_price() || may_be_free(rule, claim);
    if claim.needs_body(terms) || asks_price || setup.must_confirm(&payment_hash) {
        return Verdict::Later;
    }
    Verdict::Told(claim.verify(view, terms, None, now))
}
