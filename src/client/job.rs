//! One request of the caller: its URL, and what is needed to send it again.

use std::{future::poll_fn, sync::OnceLock};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request, Version};
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
    pub(super) headers: HeaderMap,
    version: Version,
    extensions: Extensions,
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
    /// Checks the URL of a request. Returns what is known of it, and its body unless that is empty:
    /// see [`keep`](Self::keep). If this fails, it returns why.
    pub(super) fn of<B: Body>(
        request: Request<B>,
        policy: &Policy,
    ) -> Result<(Box<Self>, Option<B>), &'static str> {
        let (mut head, body) = request.into_parts();
        let is_led_here = head.extensions.remove::<LedHere>();
        let place = Place::of(head.method, head.uri)
            .ok_or("expected an absolute http or https URL without userinfo")?;
        let is_open = match guard::leads(&place.host) {
            guard::Leads::Open | guard::Leads::Outside => true,
            guard::Leads::Home | guard::Leads::Inside => policy.private_addresses,
        };
        if !is_open {
            return Err(
                "the URL leads to an address that is not public: allow it with `allow_private_addresses`",
            );
        }
        let is_empty = body.is_end_stream();
        let job = Box::new(Self {
            place,
            headers: head.headers,
            version: head.version,
            extensions: head.extensions,
            body: is_empty.then(Bytes::new),
            body_hash: OnceLock::new(),
            is_led_here: is_led_here.is_some_and(|led| led.0) && !policy.pays_after_redirects,
            is_elsewhere: false,
            is_watched: is_led_here.is_none() && !policy.pays_after_redirects,
        });
        Ok((job, (!is_empty).then_some(body)))
    }

    /// Reads the body that [`of`](Self::of) returned, to send it again. Returns one that is too long
    /// for that.
    pub(super) async fn keep<B, E>(
        &mut self,
        body: Option<B>,
        policy: &Policy,
    ) -> Result<Unkept<B>, Cause<E>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        match body {
            // Boxed, so that a request without a body moves few bytes.
            Some(body) => Box::pin(self.read(body, policy)).await,
            None => Ok(None),
        }
    }

    async fn read<B, E>(&mut self, body: B, policy: &Policy) -> Result<Unkept<B>, Cause<E>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let most = body.size_hint().upper();
        if most.is_none_or(|most| most > policy.max_body as u64) {
            return Ok(Some(body));
        }
        let read = body
            .collect()
            .await
            .map_err(|error| Cause::Body(error.into()))?;
        if read.trailers().is_some() {
            return Err(Cause::Body(
                "a body with trailers cannot be sent again".into(),
            ));
        }
        self.body = Some(read.to_bytes());
        Ok(None)
    }

    /// Returns the name under which the ledger finds what was paid for this request.
    pub(super) fn key(&self) -> RequestKey {
        RequestKey::of([
            self.place.method.as_str().as_bytes(),
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
        headers::digest(&self.headers)
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
            method: self.place.method.as_str(),
            url: self.place.url(),
            headers: &self.headers,
            body_hash: self.body_hash(),
        }
    }

    pub(super) const fn conditions(&self, network: Network, now: Timestamp) -> ClientConditions {
        ClientConditions::new(network, now)
    }

    /// Sends the request with these lines on top of its own. The service must be ready.
    pub(super) fn send<S, B>(
        &self,
        ready: &mut S,
        unkept: Unkept<B>,
        lines: &[HeaderLine],
    ) -> S::Future
    where
        S: Service<Request<B>>,
        B: From<Bytes>,
    {
        let body = unkept.unwrap_or_else(|| self.body.clone().unwrap_or_default().into());
        let mut request = Request::new(body);
        *request.method_mut() = self.place.method.clone();
        *request.uri_mut() = self.place.uri.clone();
        *request.version_mut() = self.version;
        *request.extensions_mut() = self.extensions.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        for (name, value) in lines {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        ready.call(request)
    }

    /// Sends the request again, with a credential.
    pub(super) async fn send_again<S, B>(
        &self,
        inner: &mut S,
        line: &HeaderLine,
    ) -> Result<S::Response, S::Error>
    where
        S: Service<Request<B>>,
        B: From<Bytes>,
    {
        poll_fn(|cx| inner.poll_ready(cx)).await?;
        self.send(inner, None, std::slice::from_ref(line)).await
    }
}
