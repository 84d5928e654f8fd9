//! The paying client: a tower layer that pays for requests, inside limits that a person set.
//!
//! [`AutoPayLayer`] wraps an HTTP client. A request that a server answers with 402 is paid from a
//! [`Wallet`] and sent again. The response is then the one that was paid for, with a [`PaidReceipt`]
//! in its extensions.
//!
//! # What holds
//!
//! 1. At most one payment for one request. A server that asks again after it was paid gets nothing.
//!    Equal requests are not merged: each is a request of its own, and is paid.
//! 2. No budget is exceeded, however many requests run at once, also after a restart. Routing fees
//!    count.
//! 3. What was paid is not lost. If the answer is lost or the process is killed, the same request
//!    made again presents the same credential.
//! 4. A credential goes to the origin that sold it and nowhere else.
//! 5. What cannot be sent, or cannot be checked, is not paid.
//!
//! [`PayError::money`] says for every request that failed whether money left.
//!
//! # What is logged
//!
//! With the feature `tracing`, each payment is a span `payment` of the target `tower_x402`, with the
//! fields `host`, `msat`, `dialect`, `payment_hash` and `outcome`. One that succeeded is also
//! an event `paid` at INFO, with its fee. A budget that is nearly used up is a warning. No preimage, credential, header or query is logged.
//!
//! The storage engine of a ledger logs at INFO whenever a folder is opened. The filter
//! `info,fjall=warn,lsm_tree=warn` of an `EnvFilter` leaves that out.
//!
//! # Known gaps
//!
//! This client is new. Give it a wallet with little money until these are fixed:
//!
//! - **Recovery beside a request**: if [`Wallet::recover`] asks for the outcome of a request whose
//!   call was dropped, and the same request is made meanwhile, it can be paid a second time.
//! - **Headers that a server binds**: two requests that differ only in them count as one. What one
//!   of them paid for and did not get can block the other, or be refused for it.
//! - **Dropped calls**: what they reserved counts until the same request is made again, or until
//!   [`Wallet::recover`] is called. Call it while no request runs.
//! - **Another node**: keep one ledger for one paying node. With another one, payments in flight
//!   would be taken for failed.
//! - **An answer that is lost** although the server had served the request: if the server keeps no
//!   answers, its refusal stops payments to its domain until a person clears the entry.
//!
//! # Order of layers
//!
//! Put the layer inside a layer that follows redirects. A redirect to another origin, or one after a
//! payment, does not lead to another payment: make the request yourself, or set
//! [`Policy::pay_after_redirects`]. So that every client follows the same redirect, the layer writes
//! such a `Location` as an absolute URL. It takes out one that clients read differently.
//!
//! A client beneath the layer must not follow redirects: the layer would pay the last URL. If one
//! does, let it say so with a [`FinalUrl`], and nothing is paid.
//!
//! The addresses to which an agent's URL leads are not trusted. The layer refuses literal addresses
//! that are not public, and [`GuardedResolver`] those to which a name resolves.

mod approval;
mod bought;
mod builder;
mod buy;
mod check;
mod checked;
mod earlier;
mod error;
mod final_url;
mod future;
mod guard;
mod hand;
mod job;
mod layer;
mod location;
mod not_taken;
mod offers;
mod outcome;
mod pay;
mod permission;
mod place;
mod policy;
mod quote;
mod receipt;
mod redirects;
#[cfg(feature = "reqwest")]
mod reqwest;
mod resolver;
mod service;
mod text;
mod tokens;
mod wallet;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{PayingClient, PayingClientBuilder, PayingRequest};
pub use self::{
    approval::{ApprovalRequest, Approver, Decision, approve_fn},
    builder::WalletBuilder,
    earlier::Recovered,
    error::{Money, PayError, PayErrorKind, WalletError},
    final_url::FinalUrl,
    future::ResponseFuture,
    layer::AutoPayLayer,
    not_taken::{NotTaken, RefusedOffer},
    policy::Policy,
    quote::{Quote, QuotedOffer},
    receipt::PaidReceipt,
    resolver::{GuardedAddresses, GuardedResolver},
    service::AutoPay,
    wallet::Wallet,
};
