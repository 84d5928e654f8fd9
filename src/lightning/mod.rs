//! The traits through which this crate talks to a Lightning node, and two implementations of them
//! for tests.
//!
//! A [`Receiver`] makes invoices and reports their status. A [`Payer`] pays invoices and returns
//! the preimage. Two implementations run inside this process. [`LocalNode`] signs and settles
//! invoices by itself. `Devnet` (feature `devnet`) consists of two real nodes and a channel, on
//! regtest.
//!
//! # How to connect an existing node
//!
//! [`connect`] takes the URL of a node or wallet, and returns a [`Node`], which offers what the node
//! can do:
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let node = tower_x402::lightning::connect("lnd://127.0.0.1:8080?macaroon=/path/invoices.macaroon&cert=/path/tls.cert").await?;
//! let receiver = node.receiver()?; // for Paywall::builder
//! # Ok(())
//! # }
//! ```
//!
//! # How to connect a node that has no adapter
//!
//! 1. Implement [`Receiver`] for a node that receives payments, [`Payer`] for a wallet that pays,
//!    or both. Each method is one `Box::pin(async move { .. })` around calls of the node's own
//!    client.
//! 2. Parse every invoice with [`Invoice::parse`](crate::Invoice::parse) and every preimage with
//!    [`Preimage::from_hex`](crate::Preimage::from_hex), as soon as the node has answered. Return an
//!    error if the invoice is not of the requested amount. If the node returns a preimage when it
//!    makes the invoice, drop it at once.
//! 3. State in the profile who else can learn a preimage: a hosted wallet is always
//!    [`KeyCustody::Shared`]. Set the node's [`public_key`](ReceiverProfile::public_key) too,
//!    because x402 needs it. If you do not know the key, name the other dialects with
//!    `.dialects([..])` when you build the paywall.
//!    The payer's profile needs a [`PayerId`](crate::PayerId) that no other wallet has.
//! 4. Turn the node's failures into [`NodeError`]. If a payment may have left despite the error (a
//!    time limit, a broken connection), mark the error with
//!    [`maybe_paid`](NodeError::maybe_paid).
//! 5. Run `conformance::receiver` and `conformance::payer` (feature `conformance`) against it in
//!    a test. If the payer keeps to a fee limit, and payments in your test cost a fee, run
//!    `conformance::fee_limit` too. Implement `conformance::Faults` to test what happens if the node
//!    is down, killed in mid-payment or silent, and if it lies.
//! 6. If the node is on signet, testnet or regtest, call `.allow_test_network()` on the paywall's
//!    builder. By default a paywall refuses test networks, because their money is worth nothing,
//!    unless the node runs in this process.
//!
//! Here is a complete implementation for a hosted wallet. Its client is called `Host` and uses
//! hexadecimal text:
//!
//! ```
//! use std::time::Duration;
//! use tower_x402::{
//!     Amount, Invoice, Network, PayerId, PaymentHash, Preimage,
//!     lightning::{
//!         BoxFuture, Description, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError, NodeErrorKind, PayLimits, Payer,
//!         PayerProfile, PaymentStatus, Receiver, ReceiverProfile,
//!     },
//! };
//!
//! # /// What a hosted wallet's client could look like, over a local node.
//! # #[derive(Clone)]
//! # struct Host(tower_x402::lightning::LocalNode);
//! # struct HostPayment { state: &'static str, preimage: Option<String>, fee_msat: u64 }
//! # type HostError = Box<dyn std::error::Error + Send + Sync>;
//! # impl Host {
//! #     async fn new_invoice(&self, msat: u64, hashed: Option<Vec<u8>>, memo: Option<String>, seconds: u64) -> Result<String, HostError> {
//! #         let description = hashed.map(Description::Hashed).or(memo.map(Description::Text)).ok_or("no description")?;
//! #         let request = InvoiceRequest::new(Amount::from_msat(msat), description, Duration::from_secs(seconds));
//! #         Ok(self.0.create_invoice(request).await?.to_string())
//! #     }
//! #     async fn invoice_state(&self, hash: &str) -> Result<&'static str, HostError> {
//! #         Ok(match self.0.lookup_invoice(PaymentHash::from_hex(hash).ok_or("no hash")?).await? {
//! #             InvoiceStatus::Open => "open",
//! #             InvoiceStatus::Settled => "paid",
//! #             InvoiceStatus::Expired => "expired",
//! #             _ => "not found",
//! #         })
//! #     }
//! #     async fn send(&self, invoice: &str, max_fee_msat: u64, seconds: u64) -> Result<HostPayment, HostError> {
//! #         let limits = PayLimits::new(Amount::from_msat(max_fee_msat), Duration::from_secs(seconds));
//! #         Ok(self.0.pay(&Invoice::parse(invoice)?, limits).await?.into())
//! #     }
//! #     async fn payment(&self, hash: &str) -> Result<HostPayment, HostError> {
//! #         Ok(self.0.lookup_payment(PaymentHash::from_hex(hash).ok_or("no hash")?).await?.into())
//! #     }
//! # }
//! # impl From<PaymentStatus> for HostPayment {
//! #     fn from(status: PaymentStatus) -> Self {
//! #         match status {
//! #             PaymentStatus::Paid { preimage, fee } => {
//! #                 Self { state: "sent", preimage: Some(preimage.expose_hex()), fee_msat: fee.as_msat() }
//! #             }
//! #             PaymentStatus::InFlight => Self { state: "sending", preimage: None, fee_msat: 0 },
//! #             PaymentStatus::Failed => Self { state: "failed", preimage: None, fee_msat: 0 },
//! #             _ => Self { state: "not found", preimage: None, fee_msat: 0 },
//! #         }
//! #     }
//! # }
//! struct Hosted {
//!     host: Host, // holds the wallet's access key
//!     public_key: [u8; 33], // signs the invoices: ask the host when you connect, or take it from one of your invoices
//! }
//!
//! // Written by hand, because a derived `Debug` would show the access key.
//! impl std::fmt::Debug for Hosted {
//!     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
//!         f.write_str("Hosted(..)")
//!     }
//! }
//!
//! const NAME: &str = "the hosted wallet";
//!
//! impl Receiver for Hosted {
//!     fn profile(&self) -> ReceiverProfile {
//!         let mut profile = ReceiverProfile::new(Network::Regtest, KeyCustody::Shared);
//!         profile.public_key = Some(self.public_key); // without it a paywall cannot offer x402
//!         profile
//!     }
//!
//!     fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
//!         Box::pin(async move {
//!             let (hashed, memo) = match request.description {
//!                 Description::Hashed(bytes) => (Some(bytes), None),
//!                 Description::Text(text) => (None, Some(text)),
//!                 _ => return Err(NodeError::new(NodeErrorKind::Refused, NAME, "this kind of description is not supported")),
//!             };
//!             let made = self.host.new_invoice(request.amount.as_msat(), hashed, memo, request.expiry.as_secs()).await;
//!             let text = made.map_err(|error| NodeError::new(NodeErrorKind::Unreachable, NAME, error))?;
//!             let invoice = Invoice::parse(&text).map_err(|error| NodeError::new(NodeErrorKind::BadAnswer, NAME, error))?;
//!             let other = || NodeError::new(NodeErrorKind::BadAnswer, NAME, "the invoice is not of the requested amount");
//!             (invoice.amount() == Some(request.amount)).then_some(invoice).ok_or_else(other)
//!         })
//!     }
//!
//!     fn lookup_invoice(&self, payment_hash: PaymentHash) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
//!         Box::pin(async move {
//!             match self.host.invoice_state(&payment_hash.to_string()).await {
//!                 Ok("open") => Ok(InvoiceStatus::Open),
//!                 Ok("paid") => Ok(InvoiceStatus::Settled),
//!                 Ok("expired") => Ok(InvoiceStatus::Expired),
//!                 Ok("not found") => Ok(InvoiceStatus::Unknown),
//!                 // Never guess: a state that cannot be read is an error, and the server answers 503.
//!                 Ok(_) => Err(NodeError::new(NodeErrorKind::BadAnswer, NAME, "expected an invoice's state")),
//!                 Err(error) => Err(NodeError::new(NodeErrorKind::Unreachable, NAME, error)),
//!             }
//!         })
//!     }
//! }
//!
//! impl Payer for Hosted {
//!     fn profile(&self) -> PayerProfile {
//!         let id = PayerId::of("the hosted wallet", &self.public_key); // of a host with many wallets: the wallet's name
//!         PayerProfile::new(id, Network::Regtest, true)
//!     }
//!
//!     fn pay<'a>(&'a self, invoice: &'a Invoice, limits: PayLimits) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
//!         Box::pin(async move {
//!             // This host never pays an invoice twice. If yours might, remember what was paid.
//!             let sent = self.host.send(invoice.as_str(), limits.max_fee.as_msat(), limits.time.as_secs()).await;
//!             let lost = |error| NodeError::new(NodeErrorKind::Unreachable, NAME, error).maybe_paid();
//!             status(invoice.payment_hash(), sent.map_err(lost)?)
//!         })
//!     }
//!
//!     fn lookup_payment(&self, payment_hash: PaymentHash) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
//!         Box::pin(async move {
//!             let found = self.host.payment(&payment_hash.to_string()).await;
//!             let lost = |error| NodeError::new(NodeErrorKind::Unreachable, NAME, error).maybe_paid();
//!             status(payment_hash, found.map_err(lost)?)
//!         })
//!     }
//! }
//!
//! fn status(payment_hash: PaymentHash, payment: HostPayment) -> Result<PaymentStatus, NodeError> {
//!     let bad = |why| Err(NodeError::new(NodeErrorKind::BadAnswer, NAME, why).maybe_paid());
//!     match (payment.state, payment.preimage.as_deref().and_then(Preimage::from_hex)) {
//!         ("sent", Some(preimage)) if payment_hash.is_of(&preimage) => {
//!             Ok(PaymentStatus::Paid { preimage, fee: Amount::from_msat(payment.fee_msat) })
//!         }
//!         ("sent", _) => bad("expected the preimage of the payment"),
//!         ("sending", _) => Ok(PaymentStatus::InFlight),
//!         ("failed", _) => Ok(PaymentStatus::Failed),
//!         ("not found", _) => Ok(PaymentStatus::Unknown),
//!         _ => bad("expected a payment's state"),
//!     }
//! }
//! #
//! # #[cfg(all(feature = "conformance", feature = "l402", feature = "server"))]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let host = Host(tower_x402::lightning::LocalNode::new());
//! # let public_key = Receiver::profile(&host.0).public_key.ok_or("a local node has one")?;
//! # let secret = tower_x402::Secrets::test_secret(7);
//!
//! // In a test:
//! let node = Hosted { host, public_key };
//! tower_x402::lightning::conformance::receiver(&node).await;
//! tower_x402::lightning::conformance::payer(&node, &node).await;
//!
//! // In a server:
//! let paywall = tower_x402::Paywall::builder(node)
//!     .allow_test_network() // this wallet is on regtest
//!     .origin("https://api.example.com")
//!     .master_secret(secret)
//!     .replay_store(tower_x402::MemoryStore::new()?)
//!     .build()?;
//! # let _ = paywall;
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "conformance", feature = "l402", feature = "server")))]
//! # fn main() {}
//! ```

#[cfg(any(feature = "ldk", test))]
mod blocking;
#[cfg(all(feature = "cln", unix))]
mod cln;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connect;
#[cfg(any(all(feature = "cln", unix), feature = "nwc"))]
mod detached;
#[cfg(feature = "devnet")]
mod devnet;
mod error;
#[cfg(any(feature = "__node", feature = "__rest"))]
mod exact;
#[cfg(feature = "ldk")]
mod ldk;
#[cfg(feature = "lnbits")]
mod lnbits;
#[cfg(feature = "lnd")]
mod lnd;
mod local;
mod node;
#[cfg(feature = "nwc")]
mod nwc;
#[cfg(feature = "__rest")]
mod outcome;
#[cfg(any(feature = "__node", feature = "__rest"))]
mod payable;
mod payer;
#[cfg(feature = "phoenixd")]
mod phoenixd;
#[cfg(any(
    feature = "ldk",
    feature = "lnbits",
    feature = "nwc",
    feature = "phoenixd"
))]
mod polling;
mod receiver;
mod remembered;
#[cfg(feature = "__rest")]
#[cfg_attr(
    not(all(feature = "lnbits", feature = "lnd", feature = "phoenixd")),
    allow(dead_code, unused_imports)
)]
mod rest;
#[cfg(any(feature = "cln", feature = "ldk"))]
mod sending;
mod settled;
#[cfg(any(feature = "__node", feature = "__rest"))]
mod unfold;
#[cfg_attr(
    not(all(
        feature = "cln",
        feature = "lnbits",
        feature = "lnd",
        feature = "nwc",
        feature = "phoenixd",
        unix
    )),
    allow(dead_code, unused_imports)
)]
mod url;

#[cfg(all(feature = "cln", unix))]
pub use self::cln::{Cln, ClnBuilder};
#[cfg(feature = "devnet")]
pub use self::devnet::{Devnet, DevnetNode};
#[cfg(feature = "ldk")]
pub use self::ldk::{LdkNode, LdkNodeBuilder};
#[cfg(feature = "lnbits")]
pub use self::lnbits::{Lnbits, LnbitsBuilder};
#[cfg(feature = "lnd")]
pub use self::lnd::{Lnd, LndBuilder};
#[cfg(feature = "nwc")]
pub use self::nwc::{Nwc, NwcBuilder};
#[cfg(feature = "phoenixd")]
pub use self::phoenixd::{Phoenixd, PhoenixdBuilder};
pub use self::{
    connect::connect,
    error::{NodeError, NodeErrorKind},
    local::{Lie, LocalNode, Payments},
    node::Node,
    payer::{PayLimits, Payer, PayerProfile, PaymentStatus},
    receiver::{Description, InvoiceRequest, InvoiceStatus, KeyCustody, Receiver, ReceiverProfile},
    url::{ConnectError, ConnectErrorKind, Secret},
};
pub use crate::boxed::{BoxError, BoxFuture, BoxStream};
