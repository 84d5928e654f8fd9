use std::fmt;

use super::{BodyDigest, BudgetPath, EntryId, RequestKey};
use crate::{
    clock::Timestamp,
    payment::{Amount, DialectName, Invoice, Network, PayerId, PaymentHash},
};

/// A payment that is about to be made, for [`Ledger::begin`](super::Ledger::begin).
///
/// Texts that are too long are cut, and those that a person reads lose control and direction
/// characters.
#[derive(Clone)]
#[non_exhaustive]
pub struct NewPayment {
    /// The budget that pays.
    pub budget: BudgetPath,
    /// The wallet that will be asked to pay.
    pub payer: Option<PayerId>,
    /// The request that is paid for.
    pub request_key: RequestKey,
    /// SHA-256 of the headers of the request, which a server may bind, without those that differ
    /// each time. Zeros if it has none.
    pub headers: [u8; 32],
    /// Payments that were looked at and are of no use for this request: they are no reason not to
    /// begin.
    pub others: Vec<EntryId>,
    /// The network of the invoice.
    pub network: Network,
    /// The payment hash of the invoice.
    pub payment_hash: PaymentHash,
    /// The amount of the invoice.
    pub amount: Amount,
    /// The highest routing fee.
    pub max_fee: Amount,
    /// The text of the invoice, to ask the payer again after a restart.
    pub invoice: String,
    /// When the invoice expires.
    pub invoice_expires_at: Timestamp,
    /// Scheme, host and port of the URL, for example `https://api.example.com`.
    pub origin: String,
    /// The name that limits per host and trouble count under: the registrable domain.
    pub host: String,
    /// The method of the request.
    pub method: String,
    /// The path of the URL. A query is cut off.
    pub path: String,
    /// The query of the URL, to be shown to a person who must approve the payment. The entry does
    /// not keep it.
    pub query: Option<String>,
    /// The body of the request, for the same purpose.
    pub body: Option<BodyDigest>,
    /// The dialect of the challenge.
    pub dialect: DialectName,
    /// What the server says that it sells.
    pub description: Option<String>,
    /// The stored challenge, from which a credential is made once the preimage is known.
    pub payable: String,
    /// Until when the server accepts the credential.
    pub redeem_until: Timestamp,
    /// Whether the payment waits for an approval: it is reserved, and
    /// [`send`](super::Ledger::send) goes on. Otherwise it counts as sent at once.
    pub is_held: bool,
}

impl NewPayment {
    /// Creates a payment of an invoice. The other fields are empty, to be filled in. Returns `None`
    /// if the invoice names no amount, or zero.
    #[must_use]
    pub fn new(
        budget: BudgetPath,
        request_key: RequestKey,
        invoice: &Invoice,
        max_fee: Amount,
        dialect: DialectName,
    ) -> Option<Self> {
        Some(Self {
            budget,
            payer: None,
            request_key,
            headers: [0; 32],
            others: Vec::new(),
            network: invoice.network(),
            payment_hash: invoice.payment_hash(),
            amount: invoice.amount().filter(|amount| !amount.is_zero())?,
            max_fee,
            invoice: invoice.as_str().to_owned(),
            invoice_expires_at: invoice.expires_at(),
            origin: String::new(),
            host: String::new(),
            method: String::new(),
            path: String::new(),
            query: None,
            body: None,
            dialect,
            description: None,
            payable: String::new(),
            redeem_until: invoice.expires_at(),
            is_held: false,
        })
    }
}

/// Hides the invoice and the challenge.
impl fmt::Debug for NewPayment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPayment")
            .field("budget", &self.budget)
            .field("payment_hash", &self.payment_hash)
            .field("amount", &self.amount)
            .field("max_fee", &self.max_fee)
            .field("method", &self.method)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
