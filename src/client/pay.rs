//! One request from beginning to end. The order of the steps is here and nowhere else.
//!
//! The futures of a payment's steps are boxed, so that a request without one moves few bytes.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::{
    Wallet,
    bought::settle,
    buy::buy,
    error::{Cause, PayError},
    final_url::is_from_elsewhere,
    job::{Job, line},
    offers::{half, offers},
    paid_body::PaidBody,
};
use crate::{boxed::BoxError, dialect::HeaderLine};

/// Sends a request, and pays for it if the server asks for that. `ready` is ready to be called.
pub(super) async fn call<S, B, R>(
    wallet: Wallet,
    mut ready: S,
    request: Request<B>,
) -> Result<Response<PaidBody<R>>, PayError<S::Error>>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Body<Data = Bytes> + From<Bytes>,
    B::Error: Into<BoxError>,
    R: Body,
{
    // 1. Where it goes, and whether it can be sent again.
    let policy = wallet.policy();
    let (mut job, unkept) = Job::take(request, policy).await.map_err(PayError::new)?;
    job.is_led_here |= wallet.was_led_to(&job);

    // 2. What was paid for this very request before, and whose answer was lost.
    let earlier = wallet.earlier(&job).await.map_err(PayError::new)?;
    if let Some(bought) = earlier {
        let answer = job.send(&mut ready, unkept, [bought.header.clone()]).await;
        return Box::pin(settle(&wallet, &job, bought, answer)).await;
    }

    // 3. A token that opens more than one request, or the word that this client pays.
    let token = wallet.token(&job);
    let lines: Vec<HeaderLine> = match &token {
        Some(token) => vec![token.header.clone()],
        None => announcements(&wallet).collect(),
    };
    let answer = job.send(&mut ready, unkept, lines).await;
    let mut answer = answer.map_err(|error| PayError::new(Cause::Inner(error)))?;
    wallet.note_redirect(&job, &mut answer, false);
    if let Some(token) = token.filter(|token| token.is_refused_by(answer.status())) {
        wallet.forget(&job.place, &token);
    }
    if answer.status() != StatusCode::PAYMENT_REQUIRED {
        return Ok(answer.map(|body| PaidBody::new(body, None)));
    }

    // 4. What the server asks for, what of it may be paid, and the payment.
    job.is_elsewhere = is_from_elsewhere(answer.extensions(), &job.place);
    let (head, body) = answer.into_parts();
    let offers = Box::pin(offers(&head.headers, body, wallet.dialects())).await;
    let bought = Box::pin(buy(&wallet, &job, offers)).await;
    let bought = bought.map_err(PayError::new)?;

    // 5. The same request once more, with the credential. Whatever comes back is the answer: there
    //    is one payment for one request.
    let answer = job.send_again(&mut ready, bought.header.clone()).await;
    Box::pin(settle(&wallet, &job, bought, answer)).await
}

/// Returns the lines that tell a server which payments this client can make.
pub(super) fn announcements(wallet: &Wallet) -> impl Iterator<Item = HeaderLine> + '_ {
    let dialects = wallet.dialects().iter();
    let announced = dialects.filter(|_| wallet.policy().announces);
    announced.filter_map(|dialect| half(dialect)?.announcement.map(line))
}
