//! Answers that are kept for a while, for payers that never received them.
//!
//! - [`KeptAnswers`]: the operator's choice, for how long and how much.
//! - [`key`]: what an answer is kept under: the payment, the credential, and the whole request.
//! - [`answer`]: what is kept of an answer, and its encoding.
//! - [`shelf`]: writes answers to the records, and reads them.
//! - [`identifiers`]: the identifiers that clients give their payments.

pub(super) mod answer;
mod bounds;
pub(super) mod identifiers;
pub(super) mod key;
mod options;
pub(super) mod shelf;

pub use self::options::KeptAnswers;
