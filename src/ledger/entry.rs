use std::{fmt, sync::Arc};

use super::{BudgetPath, EntryId, RequestKey, tried::Tried};
use crate::{
    clock::Timestamp,
    payment::{Amount, DialectName, Network, PayerId, PaymentHash, Preimage},
};

/// Whether money left or came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Direction {
    /// The server of this application was paid.
    Earned,
    /// This application paid, or tried to.
    Spent,
}

impl Direction {
    /// Returns the name in lower case, as in exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Earned => "earned",
            Self::Spent => "spent",
        }
    }
}

/// The state of an [`Entry`]. The variants are in alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryState {
    /// Income: the payment was settled by the server of this application.
    Earned,
    /// No money left, and none will.
    Failed,
    /// The payer reported that the payment may still succeed or fail.
    InFlight,
    /// Paid; the ledger holds the preimage, and the server has not served the request yet.
    Paid,
    /// The server served the request, or refused it for a reason of its own.
    Redeemed,
    /// The server refused the paid credential. The money is spent.
    Refused,
    /// Reserved, and not given to the payer yet.
    Reserved,
    /// Given to the payer, whose answer is not known yet.
    Sent,
    /// The payer reported a payment without its preimage. The money counts as spent.
    Unproved,
}

impl EntryState {
    /// Returns the name in lower case, as in exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Earned => "earned",
            Self::Failed => "failed",
            Self::InFlight => "in_flight",
            Self::Paid => "paid",
            Self::Redeemed => "redeemed",
            Self::Refused => "refused",
            Self::Reserved => "reserved",
            Self::Sent => "sent",
            Self::Unproved => "unproved",
        }
    }
}

#[cfg(feature = "ledger-durable")]
impl EntryState {
    /// Returns the state of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Earned,
            Self::Failed,
            Self::InFlight,
            Self::Paid,
            Self::Redeemed,
            Self::Refused,
            Self::Reserved,
            Self::Sent,
            Self::Unproved,
        ];
        all.into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for EntryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One payment, as the ledger knew it when it was read. Clones share one allocation.
///
/// `Debug` and `Serialize` show no preimage, no challenge and no invoice.
#[derive(Clone)]
pub struct Entry(pub(super) Arc<Record>);

/// What the ledger holds of a payment.
#[derive(Clone, PartialEq)]
pub(super) struct Record {
    pub(super) id: EntryId,
    /// The position of the entry among all.
    pub(super) number: u64,
    pub(super) state: EntryState,
    /// Whether a person said that this entry is no trouble any more.
    pub(super) is_cleared: bool,
    pub(super) network: Network,
    pub(super) payment_hash: PaymentHash,
    pub(super) amount: Amount,
    pub(super) max_fee: Amount,
    pub(super) fee: Option<Amount>,
    pub(super) origin: String,
    pub(super) host: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) dialect: DialectName,
    pub(super) description: Option<String>,
    pub(super) budget: Option<BudgetPath>,
    pub(super) payer: Option<PayerId>,
    pub(super) created_at: Timestamp,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) paid_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) invoice_expires_at: Timestamp,
    pub(super) redeem_until: Timestamp,
    pub(super) note: Option<String>,
    pub(super) answered: Option<u16>,
    pub(super) request_key: RequestKey,
    pub(super) tried: Tried,
    pub(super) invoice: String,
    pub(super) payable: String,
    pub(super) preimage: Option<Held>,
}

/// A preimage that the ledger holds. Compared only to see whether a record changed.
#[derive(Clone)]
pub(super) struct Held(pub(super) Preimage);

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq::constant_time_eq_32(self.0.expose(), other.0.expose())
    }
}

impl Entry {
    /// Returns the name of the entry.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.0.id
    }

    /// Returns whether money left or came in.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self.0.state {
            EntryState::Earned => Direction::Earned,
            _ => Direction::Spent,
        }
    }

    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> EntryState {
        self.0.state
    }

    /// Returns whether a person said that this entry is no trouble any more.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        self.0.is_cleared
    }

    /// Returns the network of the payment.
    #[must_use]
    pub fn network(&self) -> Network {
        self.0.network
    }

    /// Returns the hash that identifies the payment.
    #[must_use]
    pub fn payment_hash(&self) -> PaymentHash {
        self.0.payment_hash
    }

    /// Returns the amount of the invoice, without fees.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.0.amount
    }

    /// Returns the highest fee that the payer was allowed to pay.
    #[must_use]
    pub fn max_fee(&self) -> Amount {
        self.0.max_fee
    }

    /// Returns the fee that was paid, once it is known.
    #[must_use]
    pub fn fee(&self) -> Option<Amount> {
        self.0.fee
    }

    /// Returns scheme, host and port of the URL, for example `https://api.example.com`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// Returns the name that limits per host and trouble count under: the registrable domain.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns the method of the request.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// Returns the path of the URL, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Returns whether the path was not cut.
    #[cfg_attr(not(feature = "client"), allow(dead_code, reason = "wallets use it"))]
    pub(crate) fn has_whole_path(&self) -> bool {
        self.0.path.chars().count() < MAX_PATH
    }

    /// Returns the dialect of the challenge.
    #[must_use]
    pub fn dialect(&self) -> DialectName {
        self.0.dialect
    }

    /// Returns what the server said that it sells, at most 200 characters, without control and
    /// direction characters.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Returns the budget that paid. `None` for income.
    #[must_use]
    pub fn budget(&self) -> Option<&BudgetPath> {
        self.0.budget.as_ref()
    }

    /// Returns the wallet that was asked to pay. Only that one can say what became of the payment.
    /// `None` for income, and if it was not stated.
    #[must_use]
    pub fn payer(&self) -> Option<PayerId> {
        self.0.payer
    }

    /// Returns when the entry was made.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.0.created_at
    }

    /// Returns when the invoice was given to the payer.
    #[must_use]
    pub fn sent_at(&self) -> Option<Timestamp> {
        self.0.sent_at
    }

    /// Returns when the payer reported that it paid.
    #[must_use]
    pub fn paid_at(&self) -> Option<Timestamp> {
        self.0.paid_at
    }

    /// Returns when the entry reached its last state.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.0.ended_at
    }

    /// Returns when the invoice expires.
    #[must_use]
    pub fn invoice_expires_at(&self) -> Timestamp {
        self.0.invoice_expires_at
    }

    /// Returns until when the server accepts the credential.
    #[must_use]
    pub fn redeem_until(&self) -> Timestamp {
        self.0.redeem_until
    }

    /// Returns why the payment failed, or what the trouble is.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }

    /// Returns the status of the last answer to the paid request.
    #[must_use]
    pub fn answered(&self) -> Option<u16> {
        self.0.answered
    }

    /// Returns the key of the request that the payment is for.
    #[must_use]
    pub fn request_key(&self) -> RequestKey {
        self.0.request_key
    }

    /// Returns the text of the invoice, until the payment has ended.
    #[must_use]
    pub fn invoice(&self) -> &str {
        &self.0.invoice
    }

    /// Returns the stored challenge, from which a credential is made, until the payment has ended.
    /// Never print it.
    #[must_use]
    pub fn payable(&self) -> &str {
        &self.0.payable
    }

    /// Returns the preimage of a payment that is not redeemed yet, or of a reusable credential.
    #[must_use]
    pub fn preimage(&self) -> Option<&Preimage> {
        self.0.preimage.as_ref().map(|held| &held.0)
    }
}

/// The most characters of a path.
pub(super) const MAX_PATH: usize = 1_024;
