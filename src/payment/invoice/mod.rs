//! Invoices ([BOLT11](https://github.com/lightning/bolts/blob/master/11-payment-encoding.md)):
//! strict parsing, and signing for the nodes inside this process.

mod error;
mod parsed;
mod signing;

#[cfg(test)]
mod tests;

#[cfg(feature = "x402")]
pub(crate) use self::parsed::is_public_key;
pub(crate) use self::signing::{InvoiceDraft, SigningKey};
pub use self::{
    error::{InvoiceError, InvoiceErrorKind},
    parsed::{Invoice, InvoiceDescription},
};
