//! The types that describe a payment.
//!
//! ```text
//! Terms + Amount ─ issue ─► Invoice ─ pay ─► Preimage ─ present, verify ─► Proof ─ consume ─► PaymentReceipt
//!                                                                  └─► Refusal
//! ```
//!
//! - [`Amount`] and [`Network`]: how much, and of which money.
//! - [`Terms`]: what this server asks for a request. [`Invoice`]: the demand that a node signs.
//! - [`Preimage`] and [`PaymentHash`]: the secret and the public half of a payment.
//! - [`Proof`]: a verified payment that is not spent yet. [`PaymentReceipt`]: a spent one.
//! - [`Refusal`]: why a credential was refused.

mod amount;
mod dialect_name;
mod invoice;
mod network;
mod payer_id;
mod preimage;
mod proof;
mod rail;
mod receipt;
mod refusal;
mod resolved_client;
mod terms;

pub use amount::Amount;
pub use dialect_name::DialectName;
pub use invoice::{Invoice, InvoiceDescription, InvoiceError, InvoiceErrorKind};
pub use network::Network;
pub use payer_id::PayerId;
pub use preimage::{PaymentHash, Preimage};
pub use rail::{LightningPayment, Payment};
pub use receipt::PaymentReceipt;
pub use refusal::{Refusal, RefusalKind};
pub use resolved_client::ResolvedClient;

#[cfg(feature = "x402")]
pub(crate) use invoice::is_public_key;
pub(crate) use invoice::{InvoiceDraft, SigningKey};
pub(crate) use proof::{Proof, Spend};
pub(crate) use terms::{Access, Resource, SKEW, Terms, retain_until};
