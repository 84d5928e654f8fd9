//! Tower middleware for APIs that machines pay for over Bitcoin's Lightning Network.
//!
//! ```text
//! client                      X402Layer                         Lightning node
//!   │  GET /weather/oslo          │                                    │
//!   ├────────────────────────────►│  the price? an invoice for it      │
//!   │                             ├───────────────────────────────────►│
//!   │  402, the invoice, a token  │◄───────────────────────────────────┤
//!   │◄────────────────────────────┤                                    │
//!   │  pays the invoice, and gets its preimage: the proof              │
//!   ├─────────────────────────────────────────────────────────────────►│
//!   │  GET again, with the proof  │  genuine? paid? spent? (no call    │
//!   ├────────────────────────────►│  to the node: about a microsecond) │
//!   │  200                        │──► your handler, with a receipt    │
//!   │◄────────────────────────────┤                                    │
//! ```
//!
//! **Which nodes:** [`Devnet`], a regtest network in your process with pretend money, or a node of
//! your own behind [`Receiver`](lightning::Receiver). Adapters for released nodes and the paying
//! client are not there yet, and the crate is not published yet: depend on a checkout by its path.
//! In production the server runs [behind a reverse proxy](docs::reverse_proxy).
//!
//! # Charge for a route
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_x402::{Amount, Devnet, MemoryStore, Paid, Paywall};
//!
//! async fn weather(Paid(receipt): Paid) -> String {
//!     format!("sunny; you paid {}\n", receipt.amount())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let devnet = Devnet::start().await?; // two LDK nodes and a channel, in this process; pretend money
//!     let paywall = Paywall::builder(devnet.server())
//!         .origin("http://127.0.0.1:3000") // the public URL; must be https, except on this machine
//!         .master_secret_file("master-secret") // (umask 077; head -c 32 /dev/urandom > master-secret)
//!         .replay_store(MemoryStore::new()?) // in production: DurableStore::open("spent")?
//!         .build()?;
//!     let app = Router::new().route("/weather", get(weather).route_layer(paywall.charge(Amount::from_sat(10))?));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     // The address of each client: limits are counted by it.
//!     let service = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
//!     Ok(axum::serve(listener, service).await?)
//! }
//! ```
//!
//! Use the method router's `route_layer`: a method that the route does not have stays 405 and costs
//! no invoice. `Router::layer` would charge for paths that do not exist.
//!
//! - [`RouteTable`] prices a whole service of any kind, axum or not, from one place.
//! - [`price_fn`] makes a price that depends on the request.
//! - [`Charge`] says what one payment buys: one request, several, or a duration.
//! - [`server`] explains the layer: the order of its steps, its answers, and where to put it
//!   among other layers.
//!
//! The README's server includes a wallet, so that you can pay by hand. The repository's `examples/`
//! show a production set-up, a node of your own, tests of handlers, and settlements.
//!
//! # The dialects
//!
//! One invoice is offered in every enabled dialect, and a payment is redeemed once, in one of them.
//!
//! | feature | the 402 says | the client answers | the receipt |
//! |---|---|---|---|
//! | `l402` | `WWW-Authenticate: L402 macaroon=.., invoice=..` (and `LSAT`) | `Authorization: L402 token:preimage` | |
//! | `mpp` | `WWW-Authenticate: Payment ..` | `Authorization: Payment ..` | `Payment-Receipt` |
//! | `x402` | `PAYMENT-REQUIRED` | `PAYMENT-SIGNATURE` | `PAYMENT-RESPONSE` |
//!
//! Where they differ:
//!
//! | | `l402` | `mpp` | `x402` |
//! |---|---|---|---|
//! | sells | one request, several, a duration | one request | one request |
//! | prices | to the msat | whole satoshis | to the msat |
//! | binds the body | if a price function reads it | unless it streams | yes |
//! | a credential for one request is valid until | invoice's expiry + 24 h | invoice's expiry | invoice's expiry + 60 s |
//! | the handler fails (5xx) | the use is given back, twice at most | it stays spent | it stays spent |
//!
//! # What you need
//!
//! - A [`Receiver`](lightning::Receiver), the node that is paid: [`Devnet`] to begin with,
//!   [`LocalNode`](lightning::LocalNode) for tests, or your own implementation, checked by the
//!   suite in `lightning::conformance`.
//! - A [`ReplayStore`](replay::ReplayStore), which remembers what is spent: [`DurableStore`] on
//!   one machine, [`MemoryStore`] for tests.
//! - A master secret of 32 random bytes (`(umask 077; head -c 32 /dev/urandom > master-secret)`),
//!   the same after every restart: [`Secrets::from_file`] reads it, and [`Secrets`] rotates it. A
//!   secret that can be guessed is refused if an origin is not a loopback address.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `server` | [`Paywall`], [`X402Layer`], [`RouteTable`] | yes |
//! | `axum` | [`Paid`], and support for axum's original URI, matched path and peer address. Without it, do not put the layer inside a nest. | yes |
//! | `l402`, `mpp`, `x402` | the dialects | yes |
//! | `tracing` | log events. Only they say why an answer was 500 or 503. | yes |
//! | `facilitator` | x402's `/settle`, `/verify`, `/supported` as a service | |
//! | `devnet` | [`Devnet`]: two LDK nodes in this process | |
//! | `replay-durable` | [`DurableStore`] | |
//! | `conformance` | test suites for nodes and stores of your own; receipts for handler tests | |
//! | `full` | all of these | |
//!
//! # What it does not do
//!
//! Accounts, refunds, fiat, other chains, TLS (a [reverse proxy](docs::reverse_proxy) terminates
//! it). It does not move money: the node does.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "server")]
pub mod body;
mod boxed;
pub mod clock;
// Some of it is unused if the server or a dialect is left out, and public for `internals` alone.
#[cfg_attr(
    not(all(
        feature = "__internals",
        feature = "server",
        feature = "l402",
        feature = "mpp",
        feature = "x402",
        feature = "replay-durable"
    )),
    allow(dead_code, unnameable_types, unreachable_pub, unused_imports)
)]
#[allow(missing_docs, reason = "no part of the public API")]
mod codec;
// Some of it is unused if the server or a dialect is left out.
#[cfg_attr(
    not(all(
        feature = "server",
        feature = "l402",
        feature = "mpp",
        feature = "x402",
        feature = "replay-durable"
    )),
    allow(dead_code, unused_imports)
)]
mod dialect;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "facilitator")]
pub mod facilitator;
#[cfg(feature = "__internals")]
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "replay-durable")]
mod journal;
pub mod lightning;
#[cfg_attr(
    not(all(
        feature = "server",
        feature = "l402",
        feature = "mpp",
        feature = "x402",
        feature = "replay-durable"
    )),
    allow(dead_code, unused_imports)
)]
mod payment;
pub mod replay;
#[cfg(feature = "server")]
pub mod server;
#[cfg_attr(
    not(all(
        feature = "server",
        feature = "l402",
        feature = "mpp",
        feature = "x402",
        feature = "replay-durable"
    )),
    allow(dead_code, unused_imports)
)]
mod trace;

#[cfg(feature = "l402")]
pub use dialect::l402;
#[cfg(feature = "mpp")]
pub use dialect::mpp;
pub use dialect::secrets::{SecretError, Secrets};
#[cfg(feature = "x402")]
pub use dialect::x402;
#[cfg(feature = "axum")]
pub use extract::{MissingReceipt, Paid};
#[cfg(feature = "devnet")]
pub use lightning::Devnet;
pub use payment::{
    Amount, DialectName, Invoice, InvoiceDescription, InvoiceError, InvoiceErrorKind, Network,
    PaymentHash, PaymentReceipt, Preimage, Refusal, RefusalKind,
};
#[cfg(feature = "replay-durable")]
pub use replay::DurableStore;
pub use replay::MemoryStore;
#[cfg(feature = "server")]
pub use server::{Charge, Paywall, RouteTable, SecretFileError, X402Layer, price_fn};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Pages about the crate as a whole.
pub mod docs {
    #[doc = include_str!("docs/design.md")]
    pub mod design {}
    #[doc = include_str!("docs/floor_plan.md")]
    pub mod floor_plan {}
    #[doc = include_str!("docs/glossary.md")]
    pub mod glossary {}
    #[doc = include_str!("docs/refusals.md")]
    pub mod refusals {}
    #[doc = include_str!("docs/reverse_proxy.md")]
    pub mod reverse_proxy {}
    #[doc = include_str!("docs/threat_model.md")]
    pub mod threat_model {}
}
