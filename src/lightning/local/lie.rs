use std::time::Duration;

use crate::{
    clock::Timestamp,
    payment::{
        Amount, InvoiceDescription, InvoiceDraft, InvoiceError, Network, PaymentHash, SigningKey,
    },
};

/// What a [`LocalNode`](super::LocalNode) says untruly when it is told to, so that a test can see
/// it caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// The invoice asks for one millisatoshi more.
    Amount,
    /// The invoice says that it is for something else.
    Description,
    /// The invoice is over when it is made.
    Expired,
    /// The invoice may be paid one second longer.
    Expiry,
    /// The invoice is of signet.
    Network,
    /// The invoice is signed by a key that is not the node's.
    Payee,
    /// The invoice has the payment hash of the one before; the first is honest.
    PaymentHash,
    /// A payment that succeeded answers with something that is no preimage of its payment hash.
    Preimage,
}

impl Lie {
    /// Makes the draft of an honest invoice a lie, and names the key to sign it with.
    pub(super) fn tell(
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
