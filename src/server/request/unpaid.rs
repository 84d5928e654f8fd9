//! Step 5 of the gate: a request without a payment passes for free, or is answered with 402.

use bytes::Bytes;
use http::{Request, uri::PathAndQuery};
use http_body::Body;

use super::{
    admission::{Admission, strip},
    aside, claim,
    decision::{Decision, answer},
    issue,
    pending::{Keep, Pending, discard},
    quote::{PriceAnswer, quote},
};
use crate::{
    dialect::Dialect,
    payment::Refusal,
    server::{config::BoxError, events},
};

/// Step 5. A refused credential is logged, and its refusal goes into the answer's extensions.
pub(in crate::server) async fn ask<B>(
    pending: Box<Pending<B>>,
    refused: Option<(usize, Refusal)>,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut told = refused.map(|refusal| Told {
        refusal,
        target: pending.asked.place.target.clone(),
    });
    let mut decision =
        pass_or_challenge(pending, told.as_mut().map(|told| &mut told.refusal)).await;
    if let (Some(told), Decision::Answer(response)) = (&told, &mut decision) {
        response.extensions_mut().insert(told.refusal.1);
    }
    decision
}

/// A refusal that is logged when this is dropped, even if the client hangs up before the answer.
struct Told {
    refusal: (usize, Refusal),
    target: PathAndQuery,
}

impl Drop for Told {
    fn drop(&mut self) {
        events::refused(&self.refusal.1, self.target.path());
    }
}

async fn pass_or_challenge<B>(
    mut pending: Box<Pending<B>>,
    mut refused: Option<&mut (usize, Refusal)>,
) -> Decision<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let routes = pending.asked.routes.clone();
    let rule = pending.asked.rule.clone();
    let setup = routes.paywall.setup();
    let client = pending.asked.place.client;
    setup
        .notices
        .unpaid_request(&setup.proxies, &pending.asked.head, client);
    setup.sold.compare_once();
    if let Some(allowance) = &rule.allowance {
        let now = pending.asked.now;
        match allowance.take(client, now, setup.time_limit).await {
            Ok(true) => return pass(*pending),
            Ok(false) => pending.asked.free_again_at = allowance.resets_at(client, now),
            Err(fault) => setup.notices.not_free(&fault, now),
        }
    }
    let slot = match setup.limiter.reserve(client, pending.asked.now) {
        Ok(slot) => slot,
        Err(refused) => {
            return answer(claim::refused(&pending.asked, refused));
        }
    };
    if rule.charge.reads_body
        && let Err(answer) = pending.read_body(Keep::Unpaid).await
    {
        return Decision::Answer(answer);
    }
    let amount = match quote(&pending.asked, pending.body.data()).await {
        PriceAnswer::Amount(amount) => amount,
        PriceAnswer::Free => return pass(*pending),
        PriceAnswer::Answer(answer) => return Decision::Answer(answer),
    };
    let binds_body = |dialect: &dyn Dialect| {
        dialect.offers(&rule.terms, Some(amount))
            && dialect.binds_body(&pending.asked.view(), &rule.terms)
    };
    let is_body_bound = setup.dialects.iter().any(|dialect| binds_body(&**dialect));
    if is_body_bound && let Err(answer) = pending.read_body(Keep::Nothing).await {
        return Decision::Answer(answer);
    }
    let Pending { asked, body } = *pending;
    discard(&asked, body).await;
    if let Some((dialect, refusal)) = &mut refused {
        let dialect = &setup.dialects[*dialect];
        *refusal = dialect.reconsider(*refusal, &asked.view(), &asked.rule.terms);
    }
    answer(issue::challenge(&asked, amount, slot, refused.copied()).await)
}

/// Passes the request to the inner service, unpaid. The client goes with it.
pub(in crate::server) fn pass<B>(pending: Pending<B>) -> Decision<B> {
    let Pending { mut asked, body } = pending;
    let setup = asked.routes.paywall.setup();
    // A credential that this route does not read may still be good on another route.
    let aside = aside::set_aside(setup, &mut asked.head.headers);
    if asked.presented {
        strip(setup, &mut asked.head, &asked.rule.terms, false);
    }
    // The next client may have to pay for the same.
    let is_public = asked.rule.charge.free_is_public;
    let admission = Admission {
        keep_private: !is_public || asked.presented || aside.is_some(),
        ..Admission::default()
    };
    asked.head.extensions.insert(asked.place.address);
    if let Some(aside) = aside {
        aside.keep_in(&mut asked.head.extensions);
    }
    Decision::Pass(Box::new((Request::from_parts(asked.head, body), admission)))
}
