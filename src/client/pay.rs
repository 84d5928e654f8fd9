//! One request from beginning to end. The order of the steps is here and nowhere else.
//!
//! The futures of a payment's steps are boxed, so that a request without one moves few bytes.

use std::slice;

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
    future::ResponseFuture,
    job::Job,
    offers::offers,
    paid_body::PaidBody,
};
use crate::boxed::BoxError;

/// Sends a request, and pays for it if the server asks for that. `ready` is ready to be called.
pub(super) fn call<S, B, R>(
    wallet: Wallet,
    mut ready: S,
    request: Request<B>,
) -> ResponseFuture<R, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + From<Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body + Send + 'static,
    R::Data: Send,
{
    // 1. Where it goes, and whether it can be sent again.
    let job = Job::of(request, wallet.policy());
    ResponseFuture::new(Box::pin(async move {
        let (mut job, body) = job.map_err(|why| PayError::new(Cause::Address(why)))?;
        let unkept = job.keep(body, wallet.policy()).await;
        let unkept = unkept.map_err(PayError::new)?;
        job.is_led_here |= wallet.was_led_to(&job);

        // 2. What was paid for this very request before, and whose answer was lost.
        let earlier = wallet.earlier(&job).await.map_err(PayError::new)?;
        if let Some(bought) = earlier {
            let lines = slice::from_ref(&bought.header);
            let answer = job.send(&mut ready, unkept, lines).await;
            return Box::pin(settle(&wallet, &job, bought, answer)).await;
        }

        // 3. A token that opens more than one request, or the word that this client pays.
        let token = wallet.token(&job);
        let lines = match &token {
            Some(token) => slice::from_ref(&token.header),
            None => wallet.announcements(),
        };
        let answer = job.send(&mut ready, unkept, lines).await;
        let mut answer = answer.map_err(|error| PayError::new(Cause::Inner(error)))?;
        wallet.note_redirect(&job, &mut answer, false);
        if let Some(token) = token.filter(|token| token.is_refused_by(answer.status())) {
            wallet.forget(&job.place, &token);
            answer = Box::pin(with_other_tokens(&wallet, &job, &mut ready, answer)).await?;
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

        // 5. The same request once more, with the credential. Whatever comes back is the answer:
        //    there is one payment for one request.
        let answer = job.send_again(&mut ready, &bought.header).await;
        Box::pin(settle(&wallet, &job, bought, answer)).await
    }))
}

/// Presents what else opens a request of which a token was refused. Returns the last answer.
async fn with_other_tokens<S, B, R>(
    wallet: &Wallet,
    job: &Job,
    ready: &mut S,
    mut answer: Response<R>,
) -> Result<Response<R>, PayError<S::Error>>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: From<Bytes>,
{
    for _ in 0..MOST_OTHER_TOKENS {
        let Some(token) = wallet.token(job).filter(|_| job.is_kept()) else {
            break;
        };
        let answered = job.send_again(ready, &token.header).await;
        answer = answered.map_err(|error| PayError::new(Cause::Inner(error)))?;
        wallet.note_redirect(job, &mut answer, false);
        if !token.is_refused_by(answer.status()) {
            break;
        }
        wallet.forget(&job.place, &token);
    }
    Ok(answer)
}

/// How many tokens one request tries after the first one was refused.
const MOST_OTHER_TOKENS: usize = 8;
