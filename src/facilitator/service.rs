use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    request::Parts,
};
use http_body::Body;
use http_body_util::Full;
use serde_json::json;
use tower_service::Service;

use super::Facilitator;
use crate::{
    body::{ReadError, read_to_end},
    boxed::BoxFuture,
    codec::json,
    dialect::x402::{PaymentPayload, PaymentRequirements, Reason},
};

/// The longest body that is read, in bytes. No settlement request comes near this.
const MAX_BODY: usize = 64 * 1024;

type Answer = Response<Full<Bytes>>;

impl<B> Service<Request<B>> for Facilitator
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let facilitator = self.clone();
        ResponseFuture(Box::pin(async move {
            let (head, body) = request.into_parts();
            facilitator
                .respond(&head, body)
                .await
                .unwrap_or_else(Denied::answer)
        }))
    }
}

/// The future of a [`Facilitator`]'s response.
pub struct ResponseFuture(BoxFuture<'static, Answer>);

impl Future for ResponseFuture {
    type Output = Result<Answer, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl Facilitator {
    async fn respond<B: Body>(&self, head: &Parts, body: B) -> Result<Answer, Denied> {
        match (head.uri.path(), &head.method) {
            ("/supported", &Method::GET | &Method::HEAD) => Ok(self.supported()),
            ("/verify", &Method::POST) => {
                self.admit(head)?;
                let answer = json!({"isValid": false, "invalidReason": Reason::PaymentFlow.code()});
                Ok(answered(StatusCode::OK, &answer))
            }
            ("/settle", &Method::POST) => {
                self.admit(head)?;
                self.settle_document(&self.read(body).await?).await
            }
            ("/supported", _) => Err(Denied::Method(
                "GET, HEAD",
                "expected the method GET or HEAD",
            )),
            ("/verify" | "/settle", _) => Err(Denied::Method("POST", "expected the method POST")),
            _ => Err(Denied::Status(
                StatusCode::NOT_FOUND,
                "expected /settle, /verify or /supported",
            )),
        }
    }

    fn admit(&self, head: &Parts) -> Result<(), Denied> {
        let caller = self.0.callers.caller(head).ok_or(Denied::Stranger)?;
        self.0.rate.take(&caller).map_err(Denied::TooOften)
    }

    async fn read<B: Body>(&self, body: B) -> Result<String, Denied> {
        let mut whole = Vec::new();
        let take = |piece: &[u8]| {
            whole.extend_from_slice(piece);
            Ok(())
        };
        read_to_end(
            body,
            MAX_BODY,
            self.0.time_limit,
            |_| ReadError::Broken,
            take,
        )
        .await
        .map_err(|error| match error {
            ReadError::TooLong | ReadError::NoRoom => {
                Denied::Status(StatusCode::PAYLOAD_TOO_LARGE, "expected at most 64 KiB")
            }
            ReadError::Broken | ReadError::CutOff => {
                Denied::Status(StatusCode::BAD_REQUEST, "expected a complete body")
            }
            ReadError::TooSlow => Denied::Status(
                StatusCode::REQUEST_TIMEOUT,
                "expected the body within the time limit",
            ),
        })?;
        String::from_utf8(whole)
            .map_err(|_| Denied::Status(StatusCode::BAD_REQUEST, "expected JSON in UTF-8"))
    }

    async fn settle_document(&self, text: &str) -> Result<Answer, Denied> {
        let document = json::parse(text).ok().and_then(json::Json::into_object);
        let Some(mut document) = document else {
            return Err(Denied::Status(
                StatusCode::BAD_REQUEST,
                "expected a JSON object without repeated members",
            ));
        };
        let version = document.get("x402Version") == Some(&json::Json::Unsigned(2));
        let required = document
            .take("paymentRequirements")
            .and_then(PaymentRequirements::of);
        let payload = document
            .take("paymentPayload")
            .ok_or(Reason::InvalidPayload)
            .and_then(PaymentPayload::of);
        let outcome = match (version, payload, &required) {
            (false, ..) => Err(Reason::InvalidVersion),
            (true, Err(reason), _) => Err(reason),
            (true, _, None) => Err(Reason::InvalidPaymentRequirements),
            (true, Ok(payload), Some(required)) => self.settle(&payload, required).await,
        };
        let network = required.as_ref().and_then(PaymentRequirements::network);
        Ok(answered(StatusCode::OK, &self.answer(outcome, network)))
    }

    fn supported(&self) -> Answer {
        let extra = json!({"assetTransferMethod": "bolt11", "paymentFlow": "upfront"});
        let kind = |network: &crate::payment::Network| json!({"x402Version": 2, "scheme": "exact", "network": network.caip2(), "extra": extra});
        let kinds: Vec<_> = self.0.networks.iter().map(kind).collect();
        answered(
            StatusCode::OK,
            &json!({"kinds": kinds, "extensions": [], "signers": {}}),
        )
    }
}

/// The reason why a call was refused before any proof was looked at.
#[derive(Debug)]
enum Denied {
    /// The method is not supported. Holds the value of `Allow`, and the error text.
    Method(&'static str, &'static str),
    Status(StatusCode, &'static str),
    Stranger,
    /// The caller exceeded its rate. Holds how long to wait.
    TooOften(Duration),
}

impl Denied {
    fn answer(self) -> Answer {
        let (status, text, header) = match self {
            Self::Method(allowed, text) => (
                StatusCode::METHOD_NOT_ALLOWED,
                text,
                Some((ALLOW, HeaderValue::from_static(allowed))),
            ),
            Self::Status(status, text) => (status, text, None),
            Self::Stranger => {
                let scheme = (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                (
                    StatusCode::UNAUTHORIZED,
                    "unknown caller: expected a bearer token of this facilitator",
                    Some(scheme),
                )
            }
            Self::TooOften(wait) => {
                let after = (RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    "too many calls: wait for the seconds in Retry-After",
                    Some(after),
                )
            }
        };
        let mut answer = answered(status, &json!({"error": text}));
        answer.headers_mut().extend(header);
        answer
    }
}

fn answered(status: StatusCode, document: &impl serde::Serialize) -> Answer {
    let bytes = serde_json::to_vec(document).unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(bytes)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Returns the wait in seconds, rounded up, so that a token is available then.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
