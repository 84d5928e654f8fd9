//! Paid APIs for machines, over Bitcoin's Lightning Network: a [tower](https://docs.rs/tower) layer
//! that charges for API calls, and one that pays for them. The server answers 402 (Payment Required)
//! until a client has paid. The client pays by itself, inside a budget that you set.
//!
//! ```text
//! client                      X402Layer                         Lightning node
//!   │  GET /weather/oslo          │                                    │
//!   ├────────────────────────────►│  create an invoice for the price   │
//!   │                             ├───────────────────────────────────►│
//!   │  402: the invoice, a token  │◄───────────────────────────────────┤
//!   │◄────────────────────────────┤                                    │
//!   │  pay the invoice; the preimage that comes back proves it         │
//!   ├─────────────────────────────────────────────────────────────────►│
//!   │  GET again, with the proof  │  genuine? paid? not spent? (takes  │
//!   ├────────────────────────────►│  a microsecond, without the node)  │
//!   │  200                        │──► your handler, with a receipt    │
//!   │◄────────────────────────────┤                                    │
//! ```
//!
//! - **Not published yet.** Depend on a checkout by its path.
//! - **Which nodes:** [`Devnet`], a regtest network inside your process without real money; the
//!   node or wallet that you have, with [`lightning::connect`] and its URL; or any other, for which
//!   you implement [`Receiver`](lightning::Receiver).
//! - **In production**: the page [From devnet to production](docs::production), and the server runs
//!   [behind a reverse proxy](docs::reverse_proxy). [Scaling](docs::scaling) is about several instances.
//!
//! # Charge for a route
//!
//! This example needs the feature `devnet`.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_x402::{Amount, Devnet, MemoryStore, Paid, Paywall};
//!
//! async fn weather(Paid(receipt): Paid) -> String {
//!     format!("sunny; you paid {}\n", receipt.payment())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let devnet = Devnet::start().await?; // two LDK nodes and a channel, in this process; no real money
//!     let paywall = Paywall::builder(devnet.server())
//!         .origin("http://127.0.0.1:3000") // the public URL; must be https, except on this machine
//!         .master_secret_file("master-secret") // create it: (umask 077; head -c 32 /dev/urandom > master-secret)
//!         .replay_store(MemoryStore::new()?) // in production: DurableStore::open("spent")?
//!         .build()?;
//!     let app = Router::new().route("/weather", get(weather).route_layer(paywall.charge(Amount::from_sat(10))?));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     // This passes each client's address to the layer, which counts its limits by address.
//!     let service = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
//!     Ok(axum::serve(listener, service).await?)
//! }
//! ```
//!
//! # Pay for a request
//!
//! The feature `reqwest` adds a client that pays by itself, inside limits that you set. The feature
//! `client` has the same as a tower layer. The page of [`client`] says what holds, whatever a server
//! does. The page [Paying with your own node] has credentials, limits, and what to do
//! when a request fails. This example also needs the features `ledger-durable` and `lnd`.
//!
#![cfg_attr(
    all(feature = "ledger-durable", feature = "reqwest"),
    doc = "```no_run"
)]
#![cfg_attr(
    not(all(feature = "ledger-durable", feature = "reqwest")),
    doc = "```text"
)]
//! use tower_x402::{Amount, PayingClient, Wallet, ledger::{Budget, Ledger}, lightning};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let node = lightning::connect("lnd://127.0.0.1:8080?macaroon=agent.macaroon&cert=tls.cert").await?;
//!     let wallet = Wallet::builder(node.payer()?)
//!         .budget(Budget::daily(Amount::from_sat(500))) // fees included
//!         .ledger(Ledger::open("ledger")?) // what was paid, and for what; survives a restart
//!         .build()
//!         .await?;
//!     let answer = PayingClient::new(wallet)?.get("https://api.example.com/weather").send().await?;
//!     println!("{}", answer.text().await?);
//!     Ok(())
//! }
//! ```
//!
//! # More about charging
//!
//! Call `route_layer` on the method router, as above. A method that the route does not have is then
//! answered with 405 and costs no invoice. `Router::layer` would charge for paths that do not
//! exist.
//!
//! - [`RouteTable`] prices all routes of a service in one place, with or without axum.
//! - [`price_fn`] creates a price that depends on the request.
//! - [`Charge`] sets what one payment buys: one request, several requests, or a duration.
//! - [`FreeAllowance`] lets each client make some requests a day for free, on one route or on many.
//! - [`Charge::keep_answers`] gives an answer again to a payer that never received it.
//! - [`server`] explains the layer: the order of its steps, its answers, and where to put it among
//!   other layers.
//!
//! The server in the README includes a wallet, so that you can pay by hand. The repository's
//! `examples/` show a production set-up, your own node, tests of handlers, and settlements.
//!
//! # The dialects
//!
//! A dialect is a payment protocol over HTTP. The layer offers one invoice in every enabled
//! dialect. A payment that was redeemed in one dialect is spent in the others.
//!
//! | feature | headers of the 402 | header of the paid request | header of the paid answer |
//! |---|---|---|---|
//! | `l402` | `WWW-Authenticate: L402 macaroon=.., invoice=..` (and `LSAT`) | `Authorization: L402 token:preimage` | |
//! | `mpp` | `WWW-Authenticate: Payment ..` | `Authorization: Payment ..` | `Payment-Receipt` |
//! | `x402` | `PAYMENT-REQUIRED` | `PAYMENT-SIGNATURE` | `PAYMENT-RESPONSE` |
//!
//! The differences:
//!
//! | | `l402` | `mpp` | `x402` |
//! |---|---|---|---|
//! | sells | one request, several requests, a duration | one request | one request |
//! | price unit | millisatoshi | whole satoshi | millisatoshi |
//! | the payment is bound to the body | if a price function reads it | unless the charge streams it | yes |
//! | a credential for one request is valid until | invoice's expiry + 24 h | invoice's expiry | invoice's expiry + 60 s |
//! | if the handler fails (408, 425, 429, 5xx, error, panic) | the use is given back, twice at most | the use stays spent, unless the charge says [`no_charge_for_failures`](Charge::no_charge_for_failures) | as in `mpp` |
//!
//! # What you need
//!
//! - A [`Receiver`](lightning::Receiver), which is the node that receives the payments: [`Devnet`]
//!   to start with, [`LocalNode`](lightning::LocalNode) for tests, in production what
//!   [`lightning::connect`] returns for your node's URL, or your own implementation. The suite in
//!   `lightning::conformance` checks it.
//! - A [`ReplayStore`](replay::ReplayStore), which remembers which payments are spent:
//!   [`DurableStore`] on one machine, `RedisStore` or `PostgresStore` for several, [`MemoryStore`] for
//!   tests.
//! - A master secret of 32 random bytes in a file that survives restarts: `(umask 077; head -c 32
//!   /dev/urandom > master-secret)`. [`Secrets::from_file`] reads it, and [`Secrets`] rotates it.
//!   If an origin is not a loopback address, a secret that looks guessable is refused.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `server` | [`Paywall`], [`X402Layer`], [`RouteTable`] | yes |
//! | `axum` | [`Paid`], and support for axum's original URI, matched path and peer address. Without it, do not use the layer inside `Router::nest`. | yes |
//! | `l402`, `mpp`, `x402` | the dialects | yes |
//! | `tracing` | log events. Without them nothing says why an answer was 500 or 503. | yes |
//! | `client` | `AutoPayLayer`: a tower layer that pays from a `Wallet` (see [`client`]) | |
//! | `reqwest` | `PayingClient`: the same for users of reqwest | |
//! | `facilitator` | x402's `/settle`, `/verify` and `/supported` as a tower service | |
//! | `devnet` | [`Devnet`]: two LDK nodes and a channel inside your process, on regtest | |
//! | `lnd`, `cln`, `phoenixd`, `lnbits`, `nwc`, `ldk` | adapters for nodes and wallets: see [`lightning::connect`] | |
//! | `ledger` | [`ledger`]: every payment of an application and its budgets, in memory | |
//! | `ledger-durable` | `Ledger::open`: the ledger in a folder on this machine, fsynced | |
//! | `replay-durable` | [`DurableStore`]: spent payments in a folder on this machine, fsynced | |
//! | `replay-redis` | [`replay::connect`] and `RedisStore`: spent payments on Redis or Valkey, shared by many processes | |
//! | `replay-postgres` | [`replay::connect`] and `PostgresStore`: spent payments in a PostgreSQL database, shared by many processes | |
//! | `conformance` | test suites for your own nodes and stores; receipts for handler tests | |
//! | `full` | all of these but `ldk` | |
//!
//! # What it does not do
//!
//! It has no accounts, subscriptions, refunds, fiat money or other chains. It does not terminate
//! TLS: use a [reverse proxy](docs::reverse_proxy). It does not move money: the node does.
//!
#![cfg_attr(not(feature = "devnet"), doc = "[`Devnet`]: #features")]
#![cfg_attr(not(feature = "client"), doc = "[`client`]: #features")]
#![cfg_attr(not(feature = "ledger"), doc = "[`ledger`]: #features")]
#![cfg_attr(not(feature = "replay-durable"), doc = "[`DurableStore`]: #features")]
#![cfg_attr(
    all(feature = "client", feature = "ledger-durable"),
    doc = "[Paying with your own node]: docs::paying"
)]
#![cfg_attr(
    not(all(feature = "client", feature = "ledger-durable")),
    doc = "[Paying with your own node]: #features"
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "__body")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
// Some of it is unused without the server.
#[cfg_attr(not(feature = "server"), allow(dead_code, unused_imports))]
pub mod body;
mod boxed;
#[cfg(feature = "client")]
pub mod client;
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
#[cfg_attr(not(unix), allow(dead_code))]
mod exposed;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "facilitator")]
pub mod facilitator;
#[cfg(feature = "__internals")]
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "__journal")]
#[cfg_attr(not(feature = "replay-durable"), allow(dead_code, unused_imports))]
mod journal;
#[cfg(feature = "ledger")]
pub mod ledger;
pub mod lightning;
mod lock;
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
mod recent;
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

#[cfg(feature = "reqwest")]
pub use client::PayingClient;
#[cfg(feature = "client")]
pub use client::{AutoPayLayer, Wallet};
pub use dialect::client::{ChallengeError, ClientConditions, ClientRequest};
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
    Amount, DialectName, Invoice, InvoiceDescription, InvoiceError, InvoiceErrorKind,
    LightningPayment, Network, PayerId, Payment, PaymentHash, PaymentReceipt, Preimage, Refusal,
    RefusalKind, ResolvedClient,
};
#[cfg(feature = "replay-durable")]
pub use replay::DurableStore;
pub use replay::MemoryStore;
#[cfg(feature = "server")]
pub use server::{
    Charge, FreeAllowance, Paywall, RouteTable, SecretSourceError, X402Layer, price_fn,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Pages about the crate as a whole: the layer's own answers, design, floor plan, glossary, from
/// devnet to production, paying with your own node, refusals, reverse proxy, scaling, threat model.
pub mod docs {
    #[doc = include_str!("docs/answers.md")]
    pub mod answers {}
    #[doc = include_str!("docs/design.md")]
    pub mod design {}
    #[doc = include_str!("docs/floor_plan.md")]
    pub mod floor_plan {}
    #[doc = include_str!("docs/glossary.md")]
    pub mod glossary {}
    #[doc = include_str!("docs/production.md")]
    pub mod production {}
    #[cfg(all(feature = "client", feature = "ledger-durable"))]
    #[doc = include_str!("docs/paying.md")]
    pub mod paying {}
    #[doc = include_str!("docs/refusals.md")]
    pub mod refusals {}
    #[doc = include_str!("docs/reverse_proxy.md")]
    pub mod reverse_proxy {}
    #[doc = include_str!("docs/scaling.md")]
    pub mod scaling {}
    #[doc = include_str!("docs/threat_model.md")]
    pub mod threat_model {}
}
