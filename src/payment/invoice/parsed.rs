use std::{fmt, time::Duration};

use lightning_invoice::{
    Currency, DEFAULT_MIN_FINAL_CLTV_EXPIRY_DELTA, RawBolt11Invoice, RawTaggedField,
    SignedRawBolt11Invoice, TaggedField,
};
use secp256k1::{Message, PublicKey, SECP256K1};

use super::error::InvoiceError;
use crate::{
    clock::Timestamp,
    codec::bech32,
    payment::{Amount, Network, PaymentHash},
};

/// The longest accepted text, in bytes. Longer text is refused before it is parsed; real invoices
/// are far shorter.
const MAX_TEXT: usize = 7_089;

/// A BOLT11 invoice that was decoded strictly and whose signature was checked.
///
/// Parsing refuses anything that an encoder would not write: padding bits, fields of a wrong
/// length, repeated fields, a `lightning:` prefix, and amounts below a millisatoshi. If the invoice
/// names a payee key, that key must have signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    text: String,
    network: Network,
    amount: Option<Amount>,
    payment_hash: PaymentHash,
    description: InvoiceDescription,
    payee: [u8; 33],
    created_at: Timestamp,
    expiry: Duration,
    final_cltv: u64,
    unknown_required_features: bool,
}

/// The description in an invoice: what the payment is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvoiceDescription {
    /// The SHA-256 hash of a description that is transmitted separately.
    Hash([u8; 32]),
    /// The description itself.
    Text(String),
    /// No description, or more than one. BOLT11 requires exactly one.
    Unclear,
}

impl Invoice {
    /// Parses an invoice and checks its signature.
    ///
    /// # Errors
    ///
    /// - [`InvoiceErrorKind::Malformed`](super::InvoiceErrorKind::Malformed) if the text is not a
    ///   strictly encoded BOLT11 invoice.
    /// - [`InvoiceErrorKind::Signature`](super::InvoiceErrorKind::Signature) if the payee that it
    ///   names did not sign it.
    pub fn parse(text: &str) -> Result<Self, InvoiceError> {
        if text.len() > MAX_TEXT {
            return Err(InvoiceError::malformed("expected at most 7089 bytes"));
        }
        let signed: SignedRawBolt11Invoice = text.parse().map_err(InvoiceError::undecodable)?;
        // The decoder hashes its own encoding of what it read. Equal hashes therefore mean equal
        // text, at a tenth of the cost of encoding the invoice again.
        if bech32::signed_hash(text).as_ref() != Some(signed.signable_hash()) {
            return Err(InvoiceError::malformed("expected the canonical encoding"));
        }
        let raw = signed.raw_invoice();
        let fields = TaggedFields::of(raw)?;
        let (message, signature) = (
            Message::from_digest(*signed.signable_hash()),
            &signed.signature().0,
        );
        let payee = match fields.payee {
            Some(named) => SECP256K1
                .verify_ecdsa(&message, &signature.to_standard(), &named)
                .map(|()| named),
            None => SECP256K1.recover_ecdsa(&message, signature),
        };
        let payee = payee.map_err(|_| InvoiceError::signature())?;
        let created_at = raw.data.timestamp.as_unix_timestamp();
        if created_at.checked_add(fields.expiry.as_secs()).is_none() {
            return Err(InvoiceError::malformed(
                "expiry overflows the timestamp range",
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            network: network(&raw.currency())?,
            amount: amount(raw)?,
            payment_hash: fields.payment_hash,
            description: fields.description,
            payee: payee.serialize(),
            created_at: Timestamp::from_unix_seconds(created_at),
            expiry: fields.expiry,
            final_cltv: fields.final_cltv,
            unknown_required_features: fields.unknown_required_features,
        })
    }

    /// Returns the text of the invoice, exactly as it was parsed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the network on which it is to be paid.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// Returns the amount to pay, or `None` if the payer chooses it.
    #[must_use]
    pub const fn amount(&self) -> Option<Amount> {
        self.amount
    }

    /// Returns the hash whose preimage the payer receives.
    #[must_use]
    pub const fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }

    /// Returns the description: what the payment is for.
    #[must_use]
    pub const fn description(&self) -> &InvoiceDescription {
        &self.description
    }

    /// Returns the compressed public key of the node that signed it.
    #[must_use]
    pub const fn payee(&self) -> &[u8; 33] {
        &self.payee
    }

    /// Returns when it was made.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Returns how long after [`created_at`](Self::created_at) it can be paid.
    #[must_use]
    pub const fn expiry(&self) -> Duration {
        self.expiry
    }

    /// Returns when it expires: [`created_at`](Self::created_at) plus [`expiry`](Self::expiry).
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.created_at.saturating_add(self.expiry)
    }

    /// Returns how many blocks the payee may hold the payment before it claims or fails it
    /// (`min_final_cltv_expiry_delta`): 18 if the invoice does not say. A large number may lock the
    /// payer's money for weeks.
    #[must_use]
    pub const fn final_cltv(&self) -> u64 {
        self.final_cltv
    }

    /// Reports whether the invoice requires a feature that this crate does not know (an even bit of
    /// BOLT 9). BOLT 11 forbids paying such an invoice.
    #[must_use]
    pub const fn unknown_required_features(&self) -> bool {
        self.unknown_required_features
    }
}

impl fmt::Display for Invoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The fields that this crate reads. Each may occur at most once.
struct TaggedFields {
    payment_hash: PaymentHash,
    description: InvoiceDescription,
    payee: Option<PublicKey>,
    expiry: Duration,
    final_cltv: u64,
    unknown_required_features: bool,
}

impl TaggedFields {
    fn of(raw: &RawBolt11Invoice) -> Result<Self, InvoiceError> {
        let (mut hash, mut payee, mut expiry, mut secret) = (None, None, None, None);
        let (mut final_cltv, mut features) = (None, None);
        let mut descriptions = Vec::new();
        for field in &raw.data.tagged_fields {
            let twice = match field {
                RawTaggedField::KnownSemantics(TaggedField::PaymentHash(value)) => hash
                    .replace(PaymentHash::from_bytes(*value.0.as_ref()))
                    .is_some(),
                RawTaggedField::KnownSemantics(TaggedField::PayeePubKey(value)) => {
                    payee.replace(value.0).is_some()
                }
                RawTaggedField::KnownSemantics(TaggedField::ExpiryTime(value)) => {
                    expiry.replace(*value.as_duration()).is_some()
                }
                RawTaggedField::KnownSemantics(TaggedField::PaymentSecret(value)) => {
                    secret.replace(*value).is_some()
                }
                RawTaggedField::KnownSemantics(TaggedField::Description(value)) => {
                    descriptions.push(InvoiceDescription::Text(value.as_inner().0.clone()));
                    false
                }
                RawTaggedField::KnownSemantics(TaggedField::DescriptionHash(value)) => {
                    descriptions.push(InvoiceDescription::Hash(*value.0.as_ref()));
                    false
                }
                RawTaggedField::KnownSemantics(TaggedField::MinFinalCltvExpiryDelta(value)) => {
                    final_cltv.replace(value.0).is_some()
                }
                RawTaggedField::KnownSemantics(TaggedField::Features(value)) => {
                    features.replace(value.requires_unknown_bits()).is_some()
                }
                RawTaggedField::KnownSemantics(_) => false,
                // The decoder skips a field that has a wrong length. These four must not be
                // skipped.
                RawTaggedField::UnknownSemantics(words) => words
                    .first()
                    .is_some_and(|tag| matches!(tag.to_char(), 'p' | 'h' | 's' | 'n')),
            };
            if twice {
                return Err(InvoiceError::malformed(
                    "a field is repeated or has a wrong length",
                ));
            }
        }
        let (Some(payment_hash), Some(_)) = (hash, secret) else {
            return Err(InvoiceError::malformed(
                "expected a payment hash and a payment secret",
            ));
        };
        let description = match descriptions.len() {
            1 => descriptions.remove(0),
            _ => InvoiceDescription::Unclear,
        };
        Ok(Self {
            payment_hash,
            description,
            payee,
            expiry: expiry.unwrap_or(Duration::from_secs(3600)),
            final_cltv: final_cltv.unwrap_or(DEFAULT_MIN_FINAL_CLTV_EXPIRY_DELTA),
            unknown_required_features: features.unwrap_or(false),
        })
    }
}

/// Returns whether these bytes are a compressed public key: a point on the curve secp256k1.
#[cfg(feature = "x402")]
pub(crate) fn is_public_key(bytes: &[u8; 33]) -> bool {
    PublicKey::from_slice(bytes).is_ok()
}

fn network(currency: &Currency) -> Result<Network, InvoiceError> {
    match currency {
        Currency::Bitcoin => Ok(Network::Bitcoin),
        Currency::BitcoinTestnet => Ok(Network::Testnet),
        Currency::Regtest => Ok(Network::Regtest),
        Currency::Signet => Ok(Network::Signet),
        Currency::Simnet => Err(InvoiceError::malformed("simnet is not supported")),
    }
}

fn amount(raw: &RawBolt11Invoice) -> Result<Option<Amount>, InvoiceError> {
    if raw.hrp.raw_amount.is_none() {
        return Ok(None);
    }
    let pico = raw
        .amount_pico_btc()
        .ok_or_else(|| InvoiceError::malformed("the amount is out of range"))?;
    if pico == 0 || !pico.is_multiple_of(10) {
        return Err(InvoiceError::malformed(
            "expected a whole number of millisatoshis, at least one",
        ));
    }
    Ok(Some(Amount::from_msat(pico / 10)))
}
