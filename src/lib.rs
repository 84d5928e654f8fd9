//! Tower middleware for APIs that machines pay for.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
#[doc(hidden)]
pub mod codec;
mod dialect;
#[cfg(feature = "facilitator")]
pub mod facilitator;
pub mod lightning;
mod payment;
pub mod replay;

pub use dialect::keys::{SecretError, Secrets};
#[cfg(feature = "l402")]
pub use dialect::l402;
#[cfg(feature = "mpp")]
pub use dialect::mpp;
#[cfg(feature = "x402")]
pub use dialect::x402;
pub use payment::{
    Access, Amount, DialectName, Invoice, InvoiceDescription, InvoiceError, InvoiceErrorKind, Network, PaymentHash,
    PaymentReceipt, Preimage, Refusal, RefusalKind,
};
