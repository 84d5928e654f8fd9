//! A payment in nine nouns.
//!
//! ```text
//! Terms + Amount ─ issue ─► Invoice ─ pay ─► Preimage ─ present, verify ─► Proof ─ consume ─► PaymentReceipt
//!                                                                  └─► Refusal
//! ```
//!
//! [`Amount`] and [`Network`] say how much and of what; [`PaymentHash`] and [`Preimage`] are the
//! two halves of a payment; an [`Invoice`] asks for it and [`Terms`] say what for. A [`Proof`] is
//! verified and not yet spent, a [`PaymentReceipt`] is spent, a [`Refusal`] says why a credential
//! was turned away.

mod amount;
mod dialect_name;
mod invoice;
mod network;
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
