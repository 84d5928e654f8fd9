//! Tower middleware for APIs that machines pay for over Bitcoin's Lightning Network.
//!
//! ```text
//! client                      X402Layer                         Lightning node
//!   │  GET /weather/oslo          │                                    │
//!   ├────────────────────────────►│  what does it cost? make an invoice│
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
//!         .origin("http://127.0.0.1:3000") // what clients call; https, but on loopback
//!         .master_secret([7; 32]) // on loopback only; in production: .master_secret_file("master-secret")
//!         .replay_store(MemoryStore::new()?) // in earnest: DurableStore::open("spent")?
//!         .build()?;
//!     let app = Router::new().route("/weather", get(weather).route_layer(paywall.charge(Amount::from_sat(10))?));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     let service = app.into_make_service_with_connect_info::<std::net::SocketAddr>(); // who is asking: for the limits
//!     Ok(axum::serve(listener, service).await?)
//! }
//! ```
//!
//! With the method router's `route_layer` a method that the route does not have stays 405, and costs no invoice; `Router::layer` would
//! charge for paths that do not exist. [`RouteTable`] prices a whole service of any kind, axum or not, from one place; [`price_fn`]
//! prices by what a request says; [`Charge`] says what one payment buys: one request, several, or a while. [`server`] tells the whole
//! story.
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
//! | binds the body | where a price function reads it | unless it streams | yes |
//! | a credential for one request is good until | invoice's end + 24 h | invoice's end | invoice's end + 60 s |
//! | the handler fails (5xx) | the use comes back, twice at most | it stays spent | it stays spent |
//!
//! # What to bring
//!
//! - A [`Receiver`](lightning::Receiver), the node that is paid: [`Devnet`] for the first minute, [`LocalNode`](lightning::LocalNode) for
//!   tests, or your own implementation, checked by the suite in `lightning::conformance`.
//! - A [`ReplayStore`](replay::ReplayStore), which remembers what is spent: [`DurableStore`] on one machine, [`MemoryStore`] for tests.
//! - A master secret of 32 random bytes (`head -c 32 /dev/urandom > master-secret`), the same after every restart:
//!   [`Secrets::from_file`] reads it, and [`Secrets`] rotates it. One that can be guessed is refused off loopback.
//!
//! # Features
//!
//! | feature | what it brings | by default |
//! |---|---|---|
//! | `server` | [`Paywall`], [`X402Layer`], [`RouteTable`] | yes |
//! | `axum` | [`Paid`]; axum's original URI, matched path and peer address are understood: without it, do not put the layer inside a nest | yes |
//! | `l402`, `mpp`, `x402` | the dialects | yes |
//! | `facilitator` | x402's `/settle`, `/verify`, `/supported` as a service | |
//! | `devnet` | [`Devnet`]: two LDK nodes in this process | |
//! | `replay-durable` | [`DurableStore`] | |
//! | `conformance` | suites for your own nodes and stores; receipts for handler tests | |
//! | `tracing` | log lines: why an answer was 500 or 503 | yes |
//!
//! # What it does not do
//!
//! No accounts, no refunds, no fiat, no other chains, no TLS (put it behind what terminates yours). It does not move money: the node
//! does. The paying client and adapters for released nodes are not here yet.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "server")]
pub mod body;
mod boxed;
pub mod clock;
#[doc(hidden)]
pub mod codec;
// What only the server, or one dialect, asks of these is unused where that one is left out.
#[cfg_attr(
    not(all(feature = "server", feature = "l402", feature = "mpp", feature = "x402", feature = "replay-durable")),
    allow(dead_code, unused_imports)
)]
mod dialect;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "facilitator")]
pub mod facilitator;
pub mod lightning;
#[cfg(feature = "replay-durable")]
mod log;
#[cfg_attr(
    not(all(feature = "server", feature = "l402", feature = "mpp", feature = "x402", feature = "replay-durable")),
    allow(dead_code, unused_imports)
)]
mod payment;
pub mod replay;
#[cfg(feature = "server")]
pub mod server;
#[cfg_attr(
    not(all(feature = "server", feature = "l402", feature = "mpp", feature = "x402", feature = "replay-durable")),
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
    Amount, DialectName, Invoice, InvoiceDescription, InvoiceError, InvoiceErrorKind, Network, PaymentHash, PaymentReceipt,
    Preimage, Refusal, RefusalKind,
};
#[cfg(feature = "replay-durable")]
pub use replay::DurableStore;
pub use replay::MemoryStore;
#[cfg(feature = "server")]
pub use server::{Charge, Paywall, RouteTable, X402Layer, price_fn};

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
    #[doc = include_str!("docs/threat_model.md")]
    pub mod threat_model {}
}
