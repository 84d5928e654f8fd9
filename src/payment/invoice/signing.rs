use std::{fmt, time::Duration};

use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use secp256k1::{
    SECP256K1, SecretKey,
    hashes::{Hash as _, sha256},
};

use super::{
    error::InvoiceError,
    parsed::{Invoice, InvoiceDescription},
};
use crate::{
    clock::Timestamp,
    payment::{Amount, Network, PaymentHash},
};

/// An unsigned invoice, for the in-process nodes and for tests.
#[derive(Debug)]
pub(crate) struct InvoiceDraft {
    pub(crate) network: Network,
    pub(crate) amount: Amount,
    pub(crate) payment_hash: PaymentHash,
    pub(crate) description: InvoiceDescription,
    pub(crate) created_at: Timestamp,
    pub(crate) expiry: Duration,
}

impl InvoiceDraft {
    /// Signs the draft. The payment secret is random.
    ///
    /// # Errors
    ///
    /// If BOLT11 cannot encode the draft: the description is longer than 639 bytes or unclear, or
    /// the amount or the expiry is out of range. Also if the operating system has no randomness.
    pub(crate) fn sign(self, key: &SigningKey) -> Result<Invoice, InvoiceError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|_| InvoiceError::malformed("the operating system has no randomness"))?;
        let currency = match self.network {
            Network::Bitcoin => Currency::Bitcoin,
            Network::Testnet => Currency::BitcoinTestnet,
            Network::Regtest => Currency::Regtest,
            Network::Signet => Currency::Signet,
        };
        let not_encodable = |_| InvoiceError::malformed("BOLT11 cannot encode this draft");
        let builder = InvoiceBuilder::new(currency)
            .amount_milli_satoshis(self.amount.as_msat())
            .payment_hash(hash(self.payment_hash.as_bytes()))
            .payment_secret(PaymentSecret(secret))
            .duration_since_epoch(Duration::from_secs(self.created_at.as_unix_seconds()))
            .expiry_time(self.expiry)
            .min_final_cltv_expiry_delta(18);
        let raw = match self.description {
            InvoiceDescription::Hash(bytes) => builder
                .description_hash(hash(&bytes))
                .build_raw()
                .map_err(not_encodable)?,
            InvoiceDescription::Text(text) => builder
                .description(text)
                .build_raw()
                .map_err(not_encodable)?,
            InvoiceDescription::Unclear => {
                return Err(InvoiceError::malformed("expected one description"));
            }
        };
        let signed = raw
            .sign(|message| {
                Ok::<_, std::convert::Infallible>(SECP256K1.sign_ecdsa_recoverable(message, &key.0))
            })
            .unwrap_or_else(|never| match never {});
        Invoice::parse(&signed.to_string())
    }
}

pub(super) fn hash(bytes: &[u8; 32]) -> sha256::Hash {
    sha256::Hash::from_byte_array(*bytes)
}

/// The key with which an in-process node signs invoices.
#[derive(Clone)]
pub(crate) struct SigningKey(pub(super) SecretKey);

impl SigningKey {
    /// Creates a random key.
    ///
    /// # Errors
    ///
    /// If the operating system has no randomness.
    pub(crate) fn random() -> Result<Self, InvoiceError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|_| InvoiceError::malformed("the operating system has no randomness"))?;
        SecretKey::from_slice(&bytes)
            .map(Self)
            .map_err(|_| InvoiceError::malformed("the operating system has no randomness"))
    }

    pub(crate) fn public_key(&self) -> [u8; 33] {
        self.0.public_key(SECP256K1).serialize()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}
