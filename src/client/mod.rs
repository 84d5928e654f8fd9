//! The paying client: a tower layer that pays for requests, inside limits that a person set.
//!
//! [`AutoPayLayer`] wraps an HTTP client. A request that a server answers with 402 is paid from a
//! [`Wallet`] and sent again. The response is then the one that was paid for, with a [`PaidReceipt`]
//! in its extensions.
//!
//! # What holds
//!
//! 1. At most one payment for one request. A server that asks again after it was paid gets nothing.
//! 2. No budget is exceeded, however many requests run at once, also after a restart. Routing fees
//!    count.
//! 3. What was paid is not lost. If the answer is lost or the process is killed, the same request
//!    made again presents the same credential.
//! 4. A credential goes to the origin that sold it and nowhere else.
//! 5. What cannot be sent, or cannot be checked, is not paid.
//!
//! [`PayError::money`] says for every request that failed whether money left.
//!
//! # Order of layers
//!
//! Put the layer inside a layer that follows redirects. A redirect to another origin, or one after a
//! payment, does not lead to another payment: make the request yourself, or set
//! [`Policy::pay_after_redirects`].
//!
//! The addresses to which an agent's URL leads are not trusted. The layer refuses literal addresses
//! that are not public, and [`GuardedResolver`] those to which a name resolves.

mod approval;
mod bought;
mod builder;
mod buy;
mod check;
mod earlier;
mod error;
mod future;
mod guard;
mod hand;
mod job;
mod layer;
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
mod resolver;
mod service;
mod text;
mod tokens;
mod wallet;

pub use self::{
    approval::{ApprovalRequest, Approver, Decision, approve_fn},
    builder::WalletBuilder,
    earlier::Recovered,
    error::{Money, PayError, PayErrorKind, WalletError},
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
