//! Turning requests into 402s or served requests.
//!
//! ```text
//!             no rule prices it                                        ┌────────────────┐
//! request ─► rule ─────────────────────────────────────────────────────►                │
//!              │ priced                                                │ inner service  │
//!              ▼                                                       │                │
//!          credential? ── genuine, for this request ─► ready ─► consume ► (with receipt) │
//!              │ none, or refused            one use, once, anywhere   └────────────────┘
//!              ▼
//!     free allowance ─► limit of unpaid invoices ─► price ─► invoice ─► 402
//! ```
//!
//! 1. A [`Paywall`] is set up once: the node that is paid, the public origin, the master secret,
//!    the store of spent payments.
//! 2. It makes [`X402Layer`]s: [`Paywall::charge`] for one route, [`Paywall::routes`] for a
//!    whole service by a [`RouteTable`].
//! 3. A [`Charge`] says what a route asks: a [`Price`], what it buys, what is bound to it, what
//!    is told about it.
//! 4. The handler finds the [`PaymentReceipt`](crate::PaymentReceipt) in the request's
//!    extensions, or takes it as [`Paid`](crate::Paid).
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
//! # Who is asking
//!
//! The limit of unpaid invoices and free allowances are counted for each client. Clients are told
//! apart by the peer's address: serve axum with
//! `into_make_service_with_connect_info::<SocketAddr>()`, or put a [`ClientAddr`] into the
//! request's extensions. Behind a proxy name it with
//! [`trusted_proxy`](PaywallBuilder::trusted_proxy). Requests from an unknown peer have no limit of
//! their own, only the one for all clients ([`max_unpaid`](PaywallBuilder::max_unpaid)), and
//! no allowance. The first of them is logged.
//!
//! A proxy that you forgot to name is logged if its address is private and it sends
//! `X-Forwarded-For` or `Forwarded`, after some dozens of requests. Two are not noticed, because
//! they look like clients: a proxy that sends `X-Real-IP` alone, and one with a public address,
//! such as a CDN. Check that you have named all of yours.
//!
//! A client is an IPv4 address or an IPv6 network of 64 bits. The networks around an IPv6 client
//! have shares, because a household gets up to 256 such networks and a site 65,536: one of 56 bits
//! counts for four clients and one of 48 bits for sixteen, of unpaid invoices never more than half
//! of all. Networks of IPv4 addresses have no shares, because one address can already stand for
//! many clients, as with a mobile carrier.
//!
//! # Several services at one origin
//!
//! A credential is bound to the configured origin, the method and the path that the client asked
//! for. If two services share these (two names of
//! [`accept_authority`](PaywallBuilder::accept_authority), or a gateway that strips `/cheap` and
//! `/dear`), and the master secret and the store too, give each its own label with
//! [`service`](PaywallBuilder::service): then nothing that is bought at one opens the other, in any
//! dialect. One [`Paywall`] is one service, however many layers and clones it has. Two paywalls of
//! one process that could open each other and sell different things are logged once; across
//! processes this is not noticed. A label has no effect in two cases: on
//! [`accept_foreign_proofs`](PaywallBuilder::accept_foreign_proofs), which takes x402 proofs at the
//! current price, and in a facilitator, which checks a proof against the requirements in the call.
//!
//! # Answers of the layer's own
//!
//! Problem details (RFC 9457), never cached. 402 if a new payment helps, with fresh challenges in
//! `WWW-Authenticate` and `PAYMENT-REQUIRED`, and with `dialect` and `reason` if a credential was
//! refused. 400 for a request that no payment can make right, 404 for a path that a table refuses,
//! 405 for a method that no rule names, 408 and 413 for bodies, 421 for an authority that is not
//! ours, 429 for too many unpaid invoices, and for a proof of another issuer that is presented too
//! often while a price function decides what it is worth. 503 without a challenge if the node, the
//! store or the price function fails: no client is asked to pay for a fault of the server. 500 if
//! layers are in the wrong order. `OPTIONS` on a priced path is 204 (with `Allow` if a table lists
//! the methods) and never reaches the service: put a CORS layer outside.
//!
//! # Where to stand
//!
//! Inside what answers for everybody (CORS, with [`cors`]'s lists; compression of answers), outside
//! what should not work for the unpaid. A credential stops at this layer: it is taken out of the
//! request, unless [`keep_credentials`](PaywallBuilder::keep_credentials). So do credentials of
//! this server on a request that is free by the table, whatever they were bought for; the answer is
//! then private. Credentials of others pass (another server's, `Bearer`). If the handler is another
//! layer of this crate, that layer still finds the credentials that it issued itself, and no
//! handler sees those of a layer further out. One request must be priced by one layer only: the
//! outer one cannot tell that a second one within asks again, so a client that pays gets 500 and
//! the log says why. Pay each route once before you open it. Keep timeouts inside: one outside that
//! gives up while the handler works costs the payer the use, like any client that hangs up. The
//! layer uses tokio's timers, so it needs a tokio runtime; it spawns nothing.
//!
//! Only the log says why an answer was 500 or 503 (feature `tracing`, on by default): install a
//! subscriber.

mod address;
#[cfg(all(
    feature = "__internals",
    feature = "l402",
    feature = "mpp",
    feature = "x402"
))]
pub(crate) mod bench;
mod config;
pub mod cors;
mod future;
mod layer;
mod limit;
mod origin;
mod request;
mod routes;
mod service;
mod settlements;
mod state;

pub use self::{
    address::ClientAddr,
    config::{
        BadRequest, BoxError, Charge, ConfigError, Paywall, PaywallBuilder, Price, PriceRequest,
        SecretFileError, price_fn,
    },
    future::ResponseFuture,
    layer::X402Layer,
    routes::RouteTable,
    service::X402Service,
    settlements::Settlements,
};
