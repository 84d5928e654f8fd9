//! The layer that charges for requests, and everything that you need to set it up.
//!
//! ```text
//!             no rule prices it                                        ┌────────────────┐
//! request ─► rule ─────────────────────────────────────────────────────►                │
//!              │ priced                                                │ inner service  │
//!              ▼                                                       │                │
//!          credential? ── genuine, for this request ─► ready ─► consume ► (with receipt) │
//!              │ none, or refused            takes one of its uses     └────────────────┘
//!              ▼
//!     free allowance ─► limit of unpaid invoices ─► price ─► invoice ─► 402
//! ```
//!
//! 1. A [`Paywall`] holds the set-up: the node that is paid, the public origin, the master secret,
//!    the store of spent payments.
//! 2. It creates [`X402Layer`]s: [`Paywall::charge`] for one route, [`Paywall::routes`] for a
//!    whole service by a [`RouteTable`].
//! 3. A [`Charge`] sets what a route charges: the [`Price`], what one payment buys, the description
//!    shown to payers, and the parts of the request that the payment is bound to.
//! 4. The handler finds the [`PaymentReceipt`](crate::PaymentReceipt) in the request's
//!    extensions, or takes it as [`Paid`](crate::Paid). The receipt tells what was paid, for which
//!    request, and by which client.
//!
//! ```
//! use std::{num::NonZeroU32, time::Duration};
//!
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_x402::{
//!     Amount, Charge, MemoryStore, Paywall, RouteTable,
//!     body::RequestBody,
//!     lightning::LocalNode,
//!     price_fn,
//!     server::{BadRequest, PriceRequest},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let secret = tower_x402::Secrets::test_secret(7);
//! let paywall = Paywall::builder(LocalNode::new())
//!     .origin("https://api.example.com")
//!     .master_secret(secret)
//!     .replay_store(MemoryStore::new()?)
//!     .build()?;
//! let per_page = price_fn(|q: PriceRequest| async move {
//!     let pages: u32 = q.query("pages")?.unwrap_or("1").parse().map_err(|_| BadRequest::new("pages: a number"))?;
//!     Ok(if pages == 0 { None } else { Some(Amount::from_sat(pages)) })
//! });
//! let table = RouteTable::new()
//!     .charge("GET /weather/{city}", Amount::from_sat(10))
//!     .charge("GET /print", per_page)
//!     .charge("GET /archive/{*path}", Charge::new(Amount::from_sat(500)).for_duration(Duration::from_secs(86_400)))
//!     .charge("POST /search", Charge::new(Amount::from_sat(100)).uses(NonZeroU32::new(20).unwrap()))
//!     .free("GET /health")
//!     .otherwise_refuse();
//! let service = paywall.routes(table)?.layer(service_fn(async |_: Request<RequestBody<String>>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(String::from("served")))
//! }));
//!
//! let ask = |path: &str| service.clone().oneshot(Request::get(path).body(String::new()).unwrap());
//! assert_eq!(ask("/health").await?.status(), StatusCode::OK);
//! assert_eq!(ask("/print?pages=0").await?.status(), StatusCode::OK);
//! assert_eq!(ask("/print?pages=3").await?.status(), StatusCode::PAYMENT_REQUIRED);
//! assert_eq!(ask("/print?pages=x").await?.status(), StatusCode::BAD_REQUEST);
//! assert_eq!(ask("/elsewhere").await?.status(), StatusCode::NOT_FOUND);
//! # Ok(())
//! # }
//! ```
//!
//! # Clients and proxies
//!
//! The layer counts unpaid invoices and free allowances for each client, by the address of the other
//! end of the connection. Serve axum with `into_make_service_with_connect_info::<SocketAddr>()`, or
//! put a [`ClientAddr`] into the request's extensions. If the server runs behind a proxy, name it
//! with [`trusted_proxy`](PaywallBuilder::trusted_proxy), or say how many there are with
//! [`trusted_hops`](PaywallBuilder::trusted_hops). Clients whose address is unknown share the
//! limit for all clients ([`max_unpaid`](PaywallBuilder::max_unpaid)) and have no allowance. The
//! first of them is logged.
//!
//! If you forget to name a proxy, the layer logs that after 16 unpaid requests. The proxy's address
//! must be private, and it must send `X-Forwarded-For` or `Forwarded`. The layer cannot notice two
//! kinds of proxies, because they look like clients: a proxy that sends only `X-Real-IP`, and one
//! with a public address, such as a CDN. Check that you have named all your proxies.
//!
//! A client is an IPv4 address or an IPv6 network of 64 bits. The networks around an IPv6 client
//! have shares, because a household gets up to 256 such networks and a site 65,536. A network of 56
//! bits may hold as much as four clients, and one of 48 bits as much as sixteen. Neither may hold
//! more than half of all unpaid invoices. Networks of IPv4 addresses have no shares, because one
//! address can already stand for many clients, for example at a mobile carrier.
//!
//! [`PaymentReceipt::client`](crate::PaymentReceipt::client) tells a handler which client paid.
//! [`ResolvedClient::of`](crate::ResolvedClient::of) also covers priced requests that passed for
//! free. [`Paywall::client`] covers any request, for example in an access log.
//!
//! # Free requests
//!
//! A [`FreeAllowance`] lets each client make a number of requests a day (UTC) without payment, over all
//! charges that share it. [`Charge::free_per_day`] is the short form for one route. Counts in memory
//! end with the process. [`FreeAllowance::kept_in`] keeps them in a store, for all processes that
//! share it.
//!
//! # Several services at one origin
//!
//! A credential is bound to the configured origin, the method and the path that the client asked
//! for. Two services can share all three: through two names of
//! [`accept_authority`](PaywallBuilder::accept_authority), or behind a gateway that strips `/cheap`
//! and `/dear`. If they also share the master secret and the store, give each its own label with
//! [`service`](PaywallBuilder::service). Then nothing that is bought at one opens the other, in any
//! dialect.
//!
//! One [`Paywall`] is one service, however many layers and clones it has. If two paywalls of one
//! process accept each other's credentials but sell different things, this is logged once. Across
//! processes it is not noticed. A label has no effect in two cases. [`accept_foreign_proofs`] takes
//! x402 proofs of any issuer at the current price. A facilitator checks a proof against the
//! requirements in the call.
//!
//! [`accept_foreign_proofs`]: PaywallBuilder::accept_foreign_proofs
//!
//! # The layer's own answers
//!
//! Answers of the layer are problem details (RFC 9457) and are never cached. The page
//! [answers](crate::docs::answers) lists them, with the body of a 402 and the log events.
//!
//! - 402 if a new payment helps. It has fresh challenges in `WWW-Authenticate` and
//!   `PAYMENT-REQUIRED`. If a credential was refused, the body says why.
//! - 503 without a challenge if the node, the store or the price function fails: clients are never
//!   asked to pay for a server fault. While the store fails, only durations are sold, because they do
//!   not need it.
//! - 400 for a request that no payment can make valid, and 421 for another server's authority. A
//!   body that comes too slowly gets 408, and one that is too large gets 413.
//! - 404 for a path that a table refuses, 405 for a method that no rule names.
//! - 409 with `Retry-After` and without a challenge if what the credential bought is being served right
//!   now, for example because a proxy repeated the request. It may be served by another process that
//!   shares the store.
//! - 429 for too many unpaid invoices. Also for foreign proofs that make the price function run too
//!   often.
//! - 500 if layers are in the wrong order.
//! - 204 for `OPTIONS` on a priced path (with `Allow` if a table lists the methods). It never reaches
//!   the inner service: put a CORS layer outside.
//!
//! [`answers`](PaywallBuilder::answers) sets other bodies and further headers. It cannot change the
//! status, the challenges or any other header that the layer sets.
//!
//! # What layers outside can see
//!
//! The extensions of a response hold the [`Refusal`](crate::Refusal) of a refused credential or the
//! [`PaymentReceipt`](crate::PaymentReceipt) of a paid request. An access log outside of the layer
//! reads them:
//!
//! ```
//! use axum::{Router, extract::Request, middleware::{self, Next}, response::Response, routing::get};
//! use tower_x402::{PaymentReceipt, Refusal};
//!
//! async fn access_log(request: Request, next: Next) -> Response {
//!     let path = request.uri().path().to_owned();
//!     let response = next.run(request).await;
//!     let status = response.status().as_u16();
//!     if let Some(receipt) = response.extensions().get::<PaymentReceipt>() {
//!         println!("{path} {status} {} paid {}", receipt.client(), receipt.payment());
//!     } else if let Some(refusal) = response.extensions().get::<Refusal>() {
//!         println!("{path} {status} {refusal} ({})", refusal.kind()); // l402 credential refused: spent (spent)
//!     } else {
//!         println!("{path} {status}");
//!     }
//!     response
//! }
//!
//! # fn app(layer: tower_x402::X402Layer) -> Router {
//! Router::new()
//!     .route("/weather", get(|| async { "sunny" }).route_layer(layer))
//!     .layer(middleware::from_fn(access_log)) // added last, so it is outside
//! # }
//! ```
//!
//! # Where to place it
//!
//! - **Among other layers.** Place this layer inside layers that answer everyone, such as CORS
//!   (with the lists in [`cors`]) and compression, and outside anything that only paying requests may
//!   reach.
//! - **One layer for one request.** Only one layer may price a request. The outer one does not know
//!   that an inner one charges too, so a client that pays gets 500 and the log says why. To find
//!   such a mistake, pay for each route once before you publish it.
//! - **Timeouts.** Place them inside. Their 408 or 503, and the error of tower's own timeout, count as
//!   failures: L402 gives the use back, at most
//!   [`max_restores`](PaywallBuilder::max_restores) times. If a timeout outside gives up while the
//!   handler works, the client loses the use, as it does when it disconnects.
//! - **Limiters.** Place one that counts requests outside: its 429 comes before anything is spent. A
//!   429 from inside counts as a failure, like a 408. A limit of concurrent requests that waits may be
//!   inside: requests wait for it before their use is taken.
//! - **Whose fault an answer is.** 408, 425, 429 and 5xx are the service's fault, and every other
//!   answer counts as served. [`Charge::failed_if`] decides otherwise. x402 and MPP give nothing
//!   back, unless the charge says [`no_charge_for_failures`](Charge::no_charge_for_failures).
//! - **Answers that get lost.** A used credential is spent, also if its answer never arrived.
//!   [`Charge::keep_answers`] keeps answers for some minutes, for the same credential and request.
//! - **Streams.** The time that was bought is checked when a request comes. An event stream or a
//!   WebSocket that was opened before the end goes on after it. [`Charge::ends_streams`] ends
//!   bodies, and its docs show how a handler ends a WebSocket.
//! - **In a `ServiceBuilder`, and around services for axum's own body.** Call
//!   [`for_axum`](X402Layer::for_axum) if the inner service takes `Request<axum::body::Body>`, such as
//!   `middleware::from_fn`. Everything further in must be `Clone`.
//! - **axum 0.8.** The layer reads the original URI, the matched path and the peer's address from the
//!   extensions of axum 0.8. It cannot see those of another version: then a table inside a nest does
//!   not know the prefix, and a peer is unknown unless you insert a [`ClientAddr`]. Wrap the whole
//!   application there, with rules as clients write the paths.
//! - **Limits of bodies.** A body over the limit of a layer outside, such as tower-http's
//!   `RequestBodyLimitLayer`, is answered with 413, also if this layer reads it. axum's extractors
//!   answer 413 to a body without a length only with [`for_axum`](X402Layer::for_axum), otherwise 400.
//! - **gRPC.** Say [`Charge::grpc`] on each charge for a gRPC method. With tonic put the layer into
//!   `Server::builder().layer(..)`. tonic does not use axum's `ConnectInfo`, so insert a [`ClientAddr`]
//!   before that layer: the example `grpc` of the source shows it. The limits of tonic's `Server` are
//!   outside of the layer. So a call that its time limit ends, or the client's own `grpc-timeout`,
//!   costs the client its use. Set a shorter limit in the method, and answer `DEADLINE_EXCEEDED`.
//! - **Runtime.** The layer uses tokio's timers, so it needs a tokio runtime. It spawns nothing.
//! - **Log.** Only the log says why an answer was 500 or 503 (feature `tracing`, on by default), so
//!   install a subscriber.
//!
//! # Where credentials go
//!
//! The layer removes credentials from the request before the inner service gets it, unless
//! [`keep_credentials`](PaywallBuilder::keep_credentials) is set. If a table makes the request
//! free, the layer removes the credentials that this server issued, whatever they were bought for.
//! The answer is then private. Other credentials pass: those of another server, or `Bearer`.
//!
//! If the inner service is another layer of this crate, that layer still finds the credentials that
//! it issued itself. No handler sees credentials of an outer layer.

mod address;
mod answer_form;
#[cfg(feature = "axum")]
mod axum_layer;
#[cfg(all(
    feature = "__internals",
    feature = "l402",
    feature = "mpp",
    feature = "x402"
))]
pub(crate) mod bench;
mod caches;
mod config;
pub mod cors;
mod events;
mod future;
mod kept;
mod layer;
mod limit;
mod origin;
mod own_answer;
mod ready;
mod request;
mod routes;
mod service;
mod settlements;
mod state;

#[cfg(feature = "axum")]
pub use self::axum_layer::{AxumBody, AxumLayer};
pub use self::{
    address::ClientAddr,
    config::{
        BadRequest, BoxError, Charge, ConfigError, Paywall, PaywallBuilder, Price, PriceRequest,
        SecretSourceError, price_fn,
    },
    future::ResponseFuture,
    kept::KeptAnswers,
    layer::X402Layer,
    limit::FreeAllowance,
    origin::ClientUrl,
    own_answer::OwnAnswer,
    ready::NotReady,
    routes::RouteTable,
    service::X402Service,
    settlements::Settlements,
};
