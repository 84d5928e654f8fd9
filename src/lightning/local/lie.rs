use std::time::Duration;

use crate::{
    clock::Timestamp,
    payment::{
        Amount, InvoiceDescription, InvoiceDraft, InvoiceError, Network, PaymentHash, SigningKey,
    },
};

/// A false answer that a [`LocalNode`](super::LocalNode) gives on request. A test can check that
/// the server detects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// The invoice asks for one millisatoshi more.
    Amount,
    /// The invoice has another description.
    Description,
    /// The invoice is already expired when it is made.
    Expired,
    /// The invoice expires one second later.
    Expiry,
    /// The invoice is for signet.
    Network,
    /// Another key than the node's signs the invoice.
    Payee,
    /// The invoice has the payment hash of the previous invoice. The first invoice is honest.
    PaymentHash,
    /// A payment that succeeded returns a preimage that does not match its payment hash.
    Preimage,
}

impl Lie {
    /// Changes the draft of an honest invoice into this lie. Returns the key to sign it with.
    pub(super) fn apply(
        self,
        draft: &mut InvoiceDraft,
        key: &SigningKey,
        before: Option<PaymentHash>,
    ) -> Result<SigningKey, InvoiceError> {
        match self {
            Self::Amount => {
                draft.amount = Amount::from_msat(draft.amount.as_msat().saturating_add(1))
            }
            Self::Description => {
                draft.description = InvoiceDescription::Text("something else".to_owned())
            }
            Self::Expired => {
                let over = draft
                    .expiry
                    .saturating_add(Duration::from_secs(60))
                    .as_secs();
                draft.created_at = Timestamp::from_unix_seconds(
                    draft.created_at.as_unix_seconds().saturating_sub(over),
                );
            }
            Self::Expiry => draft.expiry = draft.expiry.saturating_add(Duration::from_secs(1)),
            Self::Network => draft.network = Network::Signet,
            Self::Payee => return SigningKey::random(),
            Self::PaymentHash => draft.payment_hash = before.unwrap_or(draft.payment_hash),
            Self::Preimage => {}
        }
        Ok(key.clone())
    }
}
