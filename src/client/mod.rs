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
//!    A server may bind headers. If the same request comes with other ones, and the server refuses the
//!    credential for it, the credential is kept, and the next such request is paid for.
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
//! # When the payer is replaced
//!
//! A ledger records which payer was asked for each payment, and only that one is believed about it.
//! With another payer the payment stays reserved, and the same request is not paid again. If the
//! payer is gone for good, [clear](crate::ledger::Ledger::cleared) its payments: they then count as
//! spent, unless another wallet of the process has that payer. If it comes back, it is asked for the
//! proof. If you know that one failed, call [`Ledger::failed`](crate::ledger::Ledger::failed).
//!
//! A payer that cannot prove two payments pays nothing until it proves them or a person clears them.
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
mod headers;
mod job;
mod layer;
mod location;
mod not_taken;
mod offers;
mod outcome;
mod paid_body;
mod pay;
mod payer;
mod permission;
mod place;
mod policy;
mod quote;
mod receipt;
mod recover;
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
    error::{Money, PayError, PayErrorKind, WalletError},
    final_url::FinalUrl,
    future::ResponseFuture,
    layer::AutoPayLayer,
    not_taken::{NotTaken, RefusedOffer},
    paid_body::PaidBody,
    policy::Policy,
    quote::{Quote, QuotedOffer},
    receipt::PaidReceipt,
    recover::Recovered,
    resolver::{GuardedAddresses, GuardedResolver},
    service::AutoPay,
    wallet::Wallet,
};
