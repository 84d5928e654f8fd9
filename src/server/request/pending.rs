//! A request on its way through the gate, and its body, which is hashed, held in memory or passed
//! through.

use std::{num::NonZeroU32, sync::Arc};

use bytes::Bytes;
use http::{Response, header, request::Parts, uri::PathAndQuery};
use http_body::Body;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};

use super::reading::{read, refusal};
use crate::{
    body::{Held, RequestBody},
    clock::Timestamp,
    dialect::{Captures, Carrier, Claim, RequestView, keys::CurrentKeys},
    payment::{PaymentHash, Proof, ResolvedClient},
    server::{
        address::ClientKey,
        config::{BoxError, paywall::PaywallState, price::PriceRequest},
        kept::key::AnswerKey,
        routes::{priced::PricedRoutes, rule::Rule},
    },
};

/// A priced request with its body.
#[derive(Debug)]
pub(in crate::server) struct Pending<B> {
    pub(in crate::server) asked: PricedRequest,
    pub(in crate::server) body: RequestBody<B>,
}

/// A priced request without its body.
#[derive(Debug)]
pub(in crate::server) struct PricedRequest {
    pub(in crate::server) routes: Arc<PricedRoutes>,
    pub(in crate::server) rule: Arc<Rule>,
    pub(in crate::server) head: Parts,
    pub(in crate::server) place: RequestPlace,
    pub(in crate::server) now: Timestamp,
    /// A credential came with it, accepted or not.
    pub(in crate::server) presented: bool,
    /// A credential that came with it is genuine, and all that it bought is gone or being served.
    pub(in crate::server) in_use: bool,
    /// When the client has free requests again that it has used up.
    pub(in crate::server) free_again_at: Option<Timestamp>,
    pub(in crate::server) body_hash: Option<[u8; 32]>,
    /// If the charge keeps answers: the body was read, and the identifier looked up.
    pub(in crate::server) prepared: bool,
    /// The identifier of its payment, to note once a use is granted, and its credential.
    pub(in crate::server) identifier: Option<Box<(AnswerKey, [u8; 32])>>,
    /// A proof of this request that is spent and may have a kept answer.
    pub(in crate::server) spent: Option<Box<Proof>>,
    keys: CurrentKeys,
    /// What the price function sees, if one prices this request.
    pub(in crate::server) seen: Option<Box<PriceRequest>>,
}

/// Whether a body is kept after it was read, and which share of memory it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Keep {
    /// The body is hashed and dropped.
    Nothing,
    /// The body is kept, for a request with a genuine credential of this payment.
    Presented(PaymentHash),
    /// The same, if the payment is used up, or if the store lately said that it is spent. All of these requests share a
    /// small part of memory. Another process may give back the use, so the body is kept and the
    /// store is asked.
    Doubted,
    /// The body is kept for a price function. This part of memory is separate, so that unpaid
    /// requests never block paid ones.
    Unpaid,
}

/// The URL of this server that a client asked for, and the client.
#[derive(Clone, Debug)]
pub(in crate::server) struct RequestPlace {
    /// The number of the configured origin.
    pub(in crate::server) origin: usize,
    pub(in crate::server) target: PathAndQuery,
    /// The target as the client wrote it, if it is another.
    pub(in crate::server) client_target: Option<PathAndQuery>,
    /// The client as limits count it.
    pub(in crate::server) client: ClientKey,
    /// The whole address of the client.
    pub(in crate::server) address: ResolvedClient,
}

impl RequestPlace {
    /// Returns what the dialects may look at before a body is read.
    pub(in crate::server) fn view<'a>(
        &'a self,
        (setup, rule): (&'a PaywallState, &'a Rule),
        head: &'a Parts,
        keys: &'a CurrentKeys,
        seen: Option<&'a PriceRequest>,
    ) -> RequestView<'a> {
        let unread = || rule.captures(head);
        RequestView {
            carrier: Carrier::Http(head),
            origin: &setup.origins[self.origin],
            target: self.target.as_str(),
            client_target: self.client_target.as_ref().map(PathAndQuery::as_str),
            route: rule.route(head),
            captures: seen.map_or_else(unread, |seen| Captures::Known(&seen.captures)),
            keys: keys.of(self.origin),
            body_hash: None,
        }
    }
}

impl PricedRequest {
    pub(in crate::server) fn new(
        (routes, rule): (Arc<PricedRoutes>, Arc<Rule>),
        head: Parts,
        place: RequestPlace,
        (now, keys): (Timestamp, CurrentKeys),
        seen: Option<Box<PriceRequest>>,
    ) -> Self {
        Self {
            routes,
            rule,
            head,
            place,
            now,
            presented: false,
            in_use: false,
            prepared: false,
            identifier: None,
            spent: None,
            free_again_at: None,
            body_hash: None,
            keys,
            seen,
        }
    }

    pub(in crate::server) fn setup(&self) -> &PaywallState {
        self.routes.paywall.setup()
    }

    pub(in crate::server) fn view(&self) -> RequestView<'_> {
        RequestView {
            body_hash: self.body_hash,
            ..self.place.view(
                (self.setup(), &self.rule),
                &self.head,
                &self.keys,
                self.seen.as_deref(),
            )
        }
    }

    /// Returns whether a genuine credential is known to buy nothing, not even a kept answer, without
    /// the body and the store.
    pub(in crate::server) fn buys_nothing(&self, claim: &dyn Claim) -> bool {
        let uses = claim.uses(&self.view(), &self.rule.terms, self.now);
        uses.is_some_and(|uses| self.is_over(claim.payment_hash(), uses))
    }

    /// Returns whether all uses of a genuine credential are gone or being served, and one is being
    /// served.
    pub(in crate::server) fn is_in_use(&self, claim: &dyn Claim) -> bool {
        let uses = claim.uses(&self.view(), &self.rule.terms, self.now);
        uses.is_some_and(|uses| self.setup().spent.is_in_use(claim.payment_hash(), uses))
    }

    /// Returns how to keep the body of a request with a genuine credential.
    pub(in crate::server) fn keep(&self, claim: &dyn Claim) -> Keep {
        let payment_hash = claim.payment_hash();
        match claim.uses(&self.view(), &self.rule.terms, self.now) {
            Some(uses) => self.keep_for(payment_hash, uses),
            None => Keep::Presented(payment_hash),
        }
    }

    /// Returns how to keep the body of a request with a genuine credential that buys so many uses.
    pub(in crate::server) fn keep_for(&self, payment_hash: PaymentHash, uses: NonZeroU32) -> Keep {
        let spent = &self.setup().spent;
        match spent.is_used_up(payment_hash, uses) || spent.is_doubted(payment_hash, uses) {
            true => Keep::Doubted,
            false => Keep::Presented(payment_hash),
        }
    }
}

impl<B> Pending<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Reads the body: into memory if it is needed again, otherwise only through the hash.
    ///
    /// # Errors
    ///
    /// 408 if it is too slow, 413 if it is too large, 400 if it breaks off. If the pool for held
    /// bodies is empty, 503.
    pub(in crate::server) async fn read_body(
        &mut self,
        keep: Keep,
    ) -> Result<(), Box<Response<Bytes>>> {
        if self.asked.body_hash.is_some() {
            return Ok(());
        }
        let setup = self.asked.setup();
        let (limit, time) = (setup.body_limit, setup.time_limit);
        let client = self.asked.place.client;
        // A share is taken only when the first data arrives.
        let room = || match keep {
            Keep::Nothing => None,
            Keep::Presented(payment_hash) => Some(
                setup
                    .presented
                    .share(client, Some(setup.presented.of_payment(payment_hash))),
            ),
            Keep::Doubted => Some(
                setup
                    .presented
                    .share(client, Some(setup.presented.of_doubted())),
            ),
            Keep::Unpaid => Some(setup.unpaid.share(client, None)),
        };
        let unread = std::mem::replace(&mut self.body, RequestBody::held(Held::default()));
        let body = match unread.into_unread() {
            Ok(body) => body,
            Err(held) => {
                self.asked.body_hash = Some(Sha256::digest(held.data()).into());
                self.body = RequestBody::held(*held);
                return Ok(());
            }
        };
        let (held, hash) = read(body, room, limit, time)
            .await
            .map_err(|error| Box::new(refusal(error, limit)))?;
        self.body = RequestBody::held(held);
        self.asked.body_hash = Some(hash);
        Ok(())
    }
}

/// Drains an unneeded body if its length is announced and within the limit. Otherwise HTTP/1 closes
/// the connection, and a client that is still sending may miss the response. Nothing is kept.
pub(in crate::server) async fn discard<B>(asked: &PricedRequest, body: RequestBody<B>)
where
    B: Body<Data = Bytes>,
{
    let (limit, time) = (asked.setup().body_limit, asked.setup().time_limit);
    // A client that waits for `100 Continue` has not sent any of it. A client that streams over gRPC
    // may wait for an answer before it sends the rest.
    if asked.head.headers.contains_key(header::EXPECT) || asked.rule.terms.is_grpc {
        return;
    }
    let Ok(body) = body.into_unread() else { return };
    let Some(announced) = body
        .size_hint()
        .exact()
        .filter(|length| *length <= limit as u64)
    else {
        return;
    };
    let mut body = std::pin::pin!(body);
    let to_its_end = async {
        let mut seen = 0;
        while seen <= announced
            && let Some(Ok(frame)) = body.as_mut().frame().await
        {
            seen = seen.saturating_add(frame.data_ref().map_or(1, |data| data.len().max(1) as u64));
        }
    };
    let _ = tokio::time::timeout(time, to_its_end).await;
}
