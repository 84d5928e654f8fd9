use std::{fmt, time::Duration};

use lightning_invoice::{
    Bolt11ParseError, Currency, InvoiceBuilder, PaymentSecret, RawBolt11Invoice, RawTaggedField, SignedRawBolt11Invoice,
    TaggedField,
};
use secp256k1::{
    Message, PublicKey, SECP256K1, SecretKey,
    hashes::{Hash as _, sha256},
};

use super::{Amount, Network, PaymentHash};
use crate::{clock::Timestamp, codec::bech32};

/// No invoice that a node makes comes near this; what is longer is refused unread.
const MAX_TEXT: usize = 7_089;

/// A BOLT11 invoice: strictly decoded, its signature checked.
///
/// Strict means: what an encoder would not write is refused (padding bits, fields of a wrong length, repeated fields, a
/// `lightning:` prefix, amounts below a millisatoshi), and a payee key named in the invoice must be the signer's.
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
}

/// What an invoice says that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvoiceDescription {
    /// SHA-256 of a description that is told elsewhere.
    Hash([u8; 32]),
    /// The description itself.
    Text(String),
    /// None, or more than one: BOLT11 asks for exactly one.
    Unclear,
}

impl Invoice {
    /// Reads an invoice.
    ///
    /// # Errors
    ///
    /// [`InvoiceErrorKind::Malformed`] for text that is no strictly encoded BOLT11 invoice, [`InvoiceErrorKind::Signature`]
    /// for one that its named payee did not sign.
    pub fn parse(text: &str) -> Result<Self, InvoiceError> {
        if text.len() > MAX_TEXT {
            return Err(InvoiceError::malformed("longer than an invoice can be"));
        }
        let signed: SignedRawBolt11Invoice = text.parse().map_err(|error: Bolt11ParseError| InvoiceError {
            kind: InvoiceErrorKind::Malformed,
            reason: "no BOLT11 invoice",
            source: Some(error),
        })?;
        // The decoder's hash is over its own encoding of what it read: equal hashes mean an equal text, at a tenth of the cost
        // of writing the invoice out again.
        if bech32::signed_hash(text).as_ref() != Some(signed.signable_hash()) {
            return Err(InvoiceError::malformed("not encoded as an encoder would"));
        }
        let raw = signed.raw_invoice();
        let fields = Fields::of(raw)?;
        let (message, signature) = (Message::from_digest(*signed.signable_hash()), &signed.signature().0);
        let payee = match fields.payee {
            Some(named) => SECP256K1.verify_ecdsa(&message, &signature.to_standard(), &named).map(|()| named),
            None => SECP256K1.recover_ecdsa(&message, signature),
        };
        let payee = payee.map_err(|_| InvoiceError::signature())?;
        let created_at = raw.data.timestamp.as_unix_timestamp();
        if created_at.checked_add(fields.expiry.as_secs()).is_none() {
            return Err(InvoiceError::malformed("an end that cannot be named"));
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
        })
    }

    /// The text, exactly as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// On which network it is to be paid.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// What is to be paid; `None` where the payer chooses.
    #[must_use]
    pub const fn amount(&self) -> Option<Amount> {
        self.amount
    }

    /// The hash whose preimage the payer gets.
    #[must_use]
    pub const fn payment_hash(&self) -> PaymentHash {
        self.payment_hash
    }

    /// What it is for.
    #[must_use]
    pub const fn description(&self) -> &InvoiceDescription {
        &self.description
    }

    /// The public key of the node that signed it, compressed.
    #[must_use]
    pub const fn payee(&self) -> &[u8; 33] {
        &self.payee
    }

    /// When it was made.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// How long after that it may be paid.
    #[must_use]
    pub const fn expiry(&self) -> Duration {
        self.expiry
    }

    /// Its end: made plus expiry.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.created_at.saturating_add(self.expiry)
    }
}

impl fmt::Display for Invoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The fields that this crate reads, each at most once.
struct Fields {
    payment_hash: PaymentHash,
    description: InvoiceDescription,
    payee: Option<PublicKey>,
    expiry: Duration,
}

impl Fields {
    fn of(raw: &RawBolt11Invoice) -> Result<Self, InvoiceError> {
        let (mut hash, mut payee, mut expiry, mut secret) = (None, None, None, None);
        let mut descriptions = Vec::new();
        for field in &raw.data.tagged_fields {
            let twice = match field {
                RawTaggedField::KnownSemantics(TaggedField::PaymentHash(value)) => {
                    hash.replace(PaymentHash::from_bytes(*value.0.as_ref())).is_some()
                }
                RawTaggedField::KnownSemantics(TaggedField::PayeePubKey(value)) => payee.replace(value.0).is_some(),
                RawTaggedField::KnownSemantics(TaggedField::ExpiryTime(value)) => expiry.replace(*value.as_duration()).is_some(),
                RawTaggedField::KnownSemantics(TaggedField::PaymentSecret(value)) => secret.replace(*value).is_some(),
                RawTaggedField::KnownSemantics(TaggedField::Description(value)) => {
                    descriptions.push(InvoiceDescription::Text(value.as_inner().0.clone()));
                    false
                }
                RawTaggedField::KnownSemantics(TaggedField::DescriptionHash(value)) => {
                    descriptions.push(InvoiceDescription::Hash(*value.0.as_ref()));
                    false
                }
                RawTaggedField::KnownSemantics(_) => false,
                // A field of a wrong length is skipped by the decoder; these four must not be skippable.
                RawTaggedField::UnknownSemantics(words) => {
                    words.first().is_some_and(|tag| matches!(tag.to_char(), 'p' | 'h' | 's' | 'n'))
                }
            };
            if twice {
                return Err(InvoiceError::malformed("a field that is repeated, or has a wrong length"));
            }
        }
        let (Some(payment_hash), Some(_)) = (hash, secret) else {
            return Err(InvoiceError::malformed("no payment hash or no payment secret"));
        };
        let description = match descriptions.len() {
            1 => descriptions.remove(0),
            _ => InvoiceDescription::Unclear,
        };
        Ok(Self { payment_hash, description, payee, expiry: expiry.unwrap_or(Duration::from_secs(3600)) })
    }
}

/// Whether these bytes are a compressed public key: a point of the curve.
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
        Currency::Simnet => Err(InvoiceError::malformed("simnet is not spoken here")),
    }
}

fn amount(raw: &RawBolt11Invoice) -> Result<Option<Amount>, InvoiceError> {
    if raw.hrp.raw_amount.is_none() {
        return Ok(None);
    }
    let pico = raw.amount_pico_btc().ok_or_else(|| InvoiceError::malformed("an amount out of range"))?;
    if pico == 0 || !pico.is_multiple_of(10) {
        return Err(InvoiceError::malformed("an amount that is no whole number of millisatoshis"));
    }
    Ok(Some(Amount::from_msat(pico / 10)))
}

/// What a node signs: used by the in-process nodes and by tests.
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
    /// Where BOLT11 cannot say the draft (a description over 639 bytes or unclear, an amount out of range, no randomness).
    pub(crate) fn sign(self, key: &SigningKey) -> Result<Invoice, InvoiceError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| InvoiceError::malformed("no randomness"))?;
        let currency = match self.network {
            Network::Bitcoin => Currency::Bitcoin,
            Network::Testnet => Currency::BitcoinTestnet,
            Network::Regtest => Currency::Regtest,
            Network::Signet => Currency::Signet,
        };
        let unsayable = |_| InvoiceError::malformed("a draft that BOLT11 cannot say");
        let builder = InvoiceBuilder::new(currency)
            .amount_milli_satoshis(self.amount.as_msat())
            .payment_hash(hash(self.payment_hash.as_bytes()))
            .payment_secret(PaymentSecret(secret))
            .duration_since_epoch(Duration::from_secs(self.created_at.as_unix_seconds()))
            .expiry_time(self.expiry)
            .min_final_cltv_expiry_delta(18);
        let raw = match self.description {
            InvoiceDescription::Hash(bytes) => builder.description_hash(hash(&bytes)).build_raw().map_err(unsayable)?,
            InvoiceDescription::Text(text) => builder.description(text).build_raw().map_err(unsayable)?,
            InvoiceDescription::Unclear => return Err(InvoiceError::malformed("no clear description")),
        };
        let signed = raw
            .sign(|message| Ok::<_, std::convert::Infallible>(SECP256K1.sign_ecdsa_recoverable(message, &key.0)))
            .unwrap_or_else(|never| match never {});
        Invoice::parse(&signed.to_string())
    }
}

fn hash(bytes: &[u8; 32]) -> sha256::Hash {
    sha256::Hash::from_byte_array(*bytes)
}

/// The key that an in-process node signs with.
#[derive(Clone)]
pub(crate) struct SigningKey(SecretKey);

impl SigningKey {
    /// A random key.
    ///
    /// # Errors
    ///
    /// Where the operating system has no randomness.
    pub(crate) fn random() -> Result<Self, InvoiceError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| InvoiceError::malformed("no randomness"))?;
        SecretKey::from_slice(&bytes).map(Self).map_err(|_| InvoiceError::malformed("no randomness"))
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

/// Why a text is no invoice that may be trusted.
#[derive(Clone, Debug)]
pub struct InvoiceError {
    kind: InvoiceErrorKind,
    reason: &'static str,
    source: Option<Bolt11ParseError>,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvoiceErrorKind {
    /// It is no strictly encoded BOLT11 invoice.
    Malformed,
    /// The payee that it names did not sign it.
    Signature,
}

impl InvoiceError {
    const fn malformed(reason: &'static str) -> Self {
        Self { kind: InvoiceErrorKind::Malformed, reason, source: None }
    }

    const fn signature() -> Self {
        Self { kind: InvoiceErrorKind::Signature, reason: "not signed by the payee that it names", source: None }
    }

    /// What is wrong, coarsely.
    #[must_use]
    pub const fn kind(&self) -> InvoiceErrorKind {
        self.kind
    }
}

impl fmt::Display for InvoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invoice refused: {}", self.reason)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for InvoiceError {}

#[cfg(test)]
mod tests {
    use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

    use super::*;

    fn draft(expiry: Duration) -> InvoiceDraft {
        InvoiceDraft {
            network: Network::Regtest,
            amount: Amount::from_sat(21),
            payment_hash: PaymentHash::from_bytes([1; 32]),
            description: InvoiceDescription::Hash([2; 32]),
            created_at: Timestamp::from_unix_seconds(1_700_000_000),
            expiry,
        }
    }

    #[test]
    fn an_end_that_cannot_be_named_is_refused() {
        let key = SigningKey::random().unwrap();
        let invoice = draft(Duration::from_secs(300)).sign(&key).unwrap();
        assert_eq!(invoice.payee(), &key.public_key());
        assert_eq!(Invoice::parse(&invoice.as_str().to_uppercase()).unwrap().payment_hash(), invoice.payment_hash());
        let error = draft(Duration::from_secs(u64::MAX)).sign(&key).unwrap_err();
        assert_eq!(error.kind(), InvoiceErrorKind::Malformed);
    }

    #[test]
    fn a_high_s_signature_of_a_named_payee_is_refused() {
        let key = SigningKey::random().unwrap();
        let invoice = |named: bool, high: bool| {
            let builder =
                InvoiceBuilder::new(Currency::Regtest).payment_hash(hash(&[1; 32])).payment_secret(PaymentSecret([3; 32]));
            let builder = builder.description_hash(hash(&[2; 32])).duration_since_epoch(Duration::from_secs(1_700_000_000));
            let builder = builder.min_final_cltv_expiry_delta(18);
            let builder = if named { builder.payee_pub_key(key.0.public_key(SECP256K1)) } else { builder };
            let signed = builder.build_raw().unwrap().sign(|message| {
                let (id, mut bytes) = SECP256K1.sign_ecdsa_recoverable(message, &key.0).serialize_compact();
                if high {
                    let s = SecretKey::from_slice(&bytes[32..])?.negate();
                    bytes[32..].copy_from_slice(&s.secret_bytes());
                }
                RecoverableSignature::from_compact(&bytes, RecoveryId::from_i32(id.to_i32() ^ i32::from(high))?)
            });
            Invoice::parse(&signed.unwrap().to_string()).map(|invoice| *invoice.payee() == key.public_key())
        };
        assert_eq!(invoice(true, true).unwrap_err().to_string(), "invoice refused: not signed by the payee that it names");
        for (named, high) in [(true, false), (false, false), (false, true)] {
            assert!(invoice(named, high).unwrap(), "recovery takes either half");
        }
    }
}
