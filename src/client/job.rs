//! One request of the caller: its URL, and what is needed to send it again.

use std::{future::poll_fn, sync::OnceLock};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, request};
use http_body::Body;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tower_service::Service;

use super::{error::Cause, guard, headers, place::Place, policy::Policy};
use crate::{
    boxed::BoxError,
    clock::Timestamp,
    dialect::HeaderLine,
    dialect::client::{ClientConditions, ClientRequest},
    ledger::{BodyDigest, RequestKey},
    payment::Network,
};

/// A request, and what the client knows of it.
pub(super) struct Job {
    pub(super) place: Place,
    pub(super) head: request::Parts,
    /// The bytes of the body. `None` if they are not kept.
    body: Option<Bytes>,
    body_hash: OnceLock<[u8; 32]>,
    /// Whether a redirect led here that must not lead to a payment.
    pub(super) is_led_here: bool,
    /// Whether a client beneath followed a redirect, so that another place asks for the payment.
    pub(super) is_elsewhere: bool,
    /// Whether the wallet itself must find out which redirects are followed.
    pub(super) is_watched: bool,
}

/// Says that the sender follows redirects itself, and whether one led here that must not lead to a
/// payment.
#[derive(Clone, Copy, Debug)]
pub(super) struct LedHere(pub(super) bool);

/// A body that is sent once, because it is not kept.
pub(super) type Unkept<B> = Option<B>;

impl Job {
    /// Checks the URL of a request, and keeps its body if it is short enough. Nothing was sent if
    /// this fails.
    pub(super) async fn take<B, E>(
        request: Request<B>,
        policy: &Policy,
    ) -> Result<(Self, Unkept<B>), Cause<E>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        let is_led_here = head.extensions.remove::<LedHere>();
        let place = Place::of(&head.method, &head.uri).ok_or(Cause::Address(
            "expected an absolute http or https URL without userinfo",
        ))?;
        let is_open = match guard::leads(&place.host) {
            guard::Leads::Open | guard::Leads::Outside => true,
            guard::Leads::Home | guard::Leads::Inside => policy.private_addresses,
        };
        if !is_open {
            return Err(Cause::Address(
                "the URL leads to an address that is not public: allow it with `allow_private_addresses`",
            ));
        }
        let is_kept = body
            .size_hint()
            .upper()
            .is_some_and(|most| most <= policy.max_body as u64);
        let (body, unkept) = if body.is_end_stream() {
            (Some(Bytes::new()), None)
        } else if is_kept {
            let read = body
                .collect()
                .await
                .map_err(|error| Cause::Body(error.into()))?;
            if read.trailers().is_some() {
                return Err(Cause::Body(
                    "a body with trailers cannot be sent again".into(),
                ));
            }
            (Some(read.to_bytes()), None)
        } else {
            (None, Some(body))
        };
        let job = Self {
            place,
            head,
            body,
            body_hash: OnceLock::new(),
            is_led_here: is_led_here.is_some_and(|led| led.0) && !policy.pays_after_redirects,
            is_elsewhere: false,
            is_watched: is_led_here.is_none() && !policy.pays_after_redirects,
        };
        Ok((job, unkept))
    }

    /// Returns the name under which the ledger finds what was paid for this request.
    pub(super) fn key(&self) -> RequestKey {
        RequestKey::of([
            self.head.method.as_str().as_bytes(),
            self.place.url().as_bytes(),
            &self.body_hash(),
        ])
    }

    /// Returns SHA-256 of the body, or of nothing if the body is not kept.
    fn body_hash(&self) -> [u8; 32] {
        let hash = || Sha256::digest(self.body.as_deref().unwrap_or_default()).into();
        *self.body_hash.get_or_init(hash)
    }

    /// Returns SHA-256 of the caller's headers.
    pub(super) fn headers_digest(&self) -> [u8; 32] {
        headers::digest(&self.head.headers)
    }

    /// Returns whether the request can be sent again.
    pub(super) const fn is_kept(&self) -> bool {
        self.body.is_some()
    }

    /// Returns length and hash of the body, for a person. `None` if it is empty or not kept.
    pub(super) fn body_digest(&self) -> Option<BodyDigest> {
        let body = self.body.as_ref().filter(|body| !body.is_empty())?;
        Some(BodyDigest::of(body))
    }

    /// Returns the request as the dialects check it.
    pub(super) fn as_request(&self) -> ClientRequest<'_> {
        ClientRequest::Http {
            method: self.head.method.as_str(),
            url: self.place.url(),
            headers: &self.head.headers,
            body_hash: self.body_hash(),
        }
    }

    pub(super) const fn conditions(&self, network: Network, now: Timestamp) -> ClientConditions {
        ClientConditions::new(network, now)
    }

    /// Sends the request with these lines on top of its own. The service must be ready.
    pub(super) async fn send<S, B>(
        &self,
        ready: &mut S,
        unkept: Unkept<B>,
        lines: impl IntoIterator<Item = HeaderLine>,
    ) -> Result<S::Response, S::Error>
    where
        S: Service<Request<B>>,
        B: From<Bytes>,
    {
        let mut head = self.head.clone();
        for (name, value) in lines {
            head.headers.entry(name).or_insert(value);
        }
        let body = unkept.unwrap_or_else(|| self.body.clone().unwrap_or_default().into());
        ready.call(Request::from_parts(head, body)).await
    }

    /// Sends the request again, with a credential.
    pub(super) async fn send_again<S, B>(
        &self,
        inner: &mut S,
        line: HeaderLine,
    ) -> Result<S::Response, S::Error>
    where
        S: Service<Request<B>>,
        B: From<Bytes>,
    {
        poll_fn(|cx| inner.poll_ready(cx)).await?;
        self.send(inner, None, [line]).await
    }
}

/// Returns a header line of fixed texts.
pub(super) fn line((name, value): (&'static str, &'static str)) -> HeaderLine {
    (
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    )
}
