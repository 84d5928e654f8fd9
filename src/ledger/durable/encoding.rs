//! How the ledger encodes its records: a tag and a name as the key, JSON as the value.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::tried::StoredTried;
use crate::{
    clock::Timestamp,
    codec::hex,
    journal::Batch,
    ledger::{
        Budget, BudgetPath, EntryId, EntryState, RequestKey, Total,
        entry::{Held, Record},
        state::{BudgetRecord, Carried, CarriedKey, Changes},
    },
    payment::{Amount, DialectName, Network, PayerId, PaymentHash, Preimage},
};

/// A decoded record.
#[derive(PartialEq)]
pub(super) enum Encoded {
    Budget(BudgetPath, BudgetRecord),
    Carried(CarriedKey, Carried),
    Entry(Box<Record>),
    /// That the folder is one of a ledger, in this version.
    Marker,
}

impl Encoded {
    pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let (tag, name) = key.split_first()?;
        match *tag {
            BUDGET => {
                let path = BudgetPath::parse(std::str::from_utf8(name).ok()?)?;
                Some(Self::Budget(path, from_json::<StoredBudget>(value)?.read()))
            }
            CARRIED => {
                let (budget, host) = std::str::from_utf8(name).ok()?.split_once('\n')?;
                let (host, day) = host.rsplit_once('\n')?;
                let budget = match budget {
                    "" => None,
                    path => Some(BudgetPath::parse(path)?),
                };
                let key = CarriedKey {
                    budget,
                    host: host.to_owned(),
                    day: day.parse().ok()?,
                };
                let carried = from_json::<StoredCarried>(value)?.read();
                Some(Self::Carried(key, carried))
            }
            ENTRY => {
                let id = EntryId::from_bytes(name.try_into().ok()?);
                let entry = from_json::<StoredEntry<'static>>(value)?.read(id)?;
                Some(Self::Entry(Box::new(entry)))
            }
            MARKER => (name.is_empty() && value == VERSION).then_some(Self::Marker),
            _ => None,
        }
    }
}

impl Changes for Batch {
    fn entry(&mut self, old: Option<&Record>, new: &Record) {
        let old = old.map(|old| to_entry(old).1);
        let (key, new) = to_entry(new);
        self.change(&key, old.as_deref(), Some(&new));
    }

    fn forgotten(&mut self, old: &Record) {
        let (key, old) = to_entry(old);
        self.change(&key, Some(&old), None);
    }

    fn carried(&mut self, key: &CarriedKey, old: Option<&Carried>, new: Option<&Carried>) {
        let [old, new] = [old, new].map(|carried| carried.map(carried_value));
        self.change(&carried_key(key), old.as_deref(), new.as_deref());
    }

    fn budget(
        &mut self,
        path: &BudgetPath,
        old: Option<&BudgetRecord>,
        new: Option<&BudgetRecord>,
    ) {
        let [old, new] = [old, new].map(|record| record.map(budget_value));
        self.change(&budget_key(path), old.as_deref(), new.as_deref());
    }
}

/// Returns the key of the sums of forgotten entries.
pub(super) fn carried_key(key: &CarriedKey) -> Vec<u8> {
    let budget = key.budget.as_ref().map_or("", BudgetPath::as_str);
    let name = format!("{budget}\n{}\n{}", key.host, key.day);
    [&[CARRIED], name.as_bytes()].concat()
}

/// Returns the value of the sums of forgotten entries.
pub(super) fn carried_value(carried: &Carried) -> Vec<u8> {
    to_json(&StoredCarried::of(carried))
}

/// Returns the key and the value of an entry.
pub(super) fn to_entry(entry: &Record) -> (Vec<u8>, Vec<u8>) {
    let key = [&[ENTRY], entry.id.as_bytes().as_slice()].concat();
    (key, to_json(&StoredEntry::of(entry)))
}

/// Returns the key of a budget.
pub(super) fn budget_key(path: &BudgetPath) -> Vec<u8> {
    [&[BUDGET], path.as_str().as_bytes()].concat()
}

/// Returns the value of a budget.
pub(super) fn budget_value(record: &BudgetRecord) -> Vec<u8> {
    to_json(&StoredBudget::of(record))
}

/// Notes in a new folder that it is one of a ledger.
pub(super) fn note_marker(batch: &mut Batch) {
    batch.change(&[MARKER], None, Some(VERSION));
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredBudget {
    total: Option<u64>,
    per_host: Option<u64>,
    /// Lengths in seconds and limits.
    windows: Vec<(u64, u64)>,
    expires_at: Option<u64>,
    /// In seconds.
    lifetime: Option<u64>,
    owner: Option<String>,
    created_at: u64,
    revoked_at: Option<u64>,
}

impl StoredBudget {
    fn of(record: &BudgetRecord) -> Self {
        let limits = &record.limits;
        let windows = limits.windows.iter();
        Self {
            total: limits.total.map(Amount::as_msat),
            per_host: limits.per_host.map(Amount::as_msat),
            windows: windows
                .map(|(length, limit)| (length.as_secs(), limit.as_msat()))
                .collect(),
            expires_at: limits.expires_at.map(Timestamp::as_unix_seconds),
            lifetime: limits.lifetime.map(|time| time.as_secs()),
            owner: limits.owner.clone(),
            created_at: record.created_at.as_unix_seconds(),
            revoked_at: record.revoked_at.map(Timestamp::as_unix_seconds),
        }
    }

    fn read(self) -> BudgetRecord {
        let windows = self.windows.into_iter();
        let limits = Budget {
            total: self.total.map(Amount::from_msat),
            per_host: self.per_host.map(Amount::from_msat),
            windows: windows
                .map(|(length, limit)| (Duration::from_secs(length), Amount::from_msat(limit)))
                .collect(),
            expires_at: self.expires_at.map(Timestamp::from_unix_seconds),
            lifetime: self.lifetime.map(Duration::from_secs),
            owner: self.owner,
        };
        BudgetRecord {
            limits,
            created_at: Timestamp::from_unix_seconds(self.created_at),
            revoked_at: self.revoked_at.map(Timestamp::from_unix_seconds),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCarried {
    payments: u64,
    spent: u64,
    fees: u64,
    earned: u64,
    spent_at: u64,
    latest: u64,
}

impl StoredCarried {
    const fn of(carried: &Carried) -> Self {
        let total = &carried.total;
        Self {
            payments: total.payments,
            spent: total.spent.as_msat(),
            fees: total.fees.as_msat(),
            earned: total.earned.as_msat(),
            spent_at: carried.spent_at.as_unix_seconds(),
            latest: carried.latest.as_unix_seconds(),
        }
    }

    const fn read(self) -> Carried {
        let total = Total {
            payments: self.payments,
            spent: Amount::from_msat(self.spent),
            fees: Amount::from_msat(self.fees),
            reserved: Amount::ZERO,
            earned: Amount::from_msat(self.earned),
        };
        Carried {
            total,
            spent_at: Timestamp::from_unix_seconds(self.spent_at),
            latest: Timestamp::from_unix_seconds(self.latest),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry<'a> {
    number: u64,
    state: Cow<'a, str>,
    is_cleared: bool,
    network: Cow<'a, str>,
    payment_hash: String,
    amount: u64,
    max_fee: u64,
    fee: Option<u64>,
    origin: Cow<'a, str>,
    host: Cow<'a, str>,
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    dialect: Cow<'a, str>,
    description: Option<Cow<'a, str>>,
    budget: Option<Cow<'a, str>>,
    payer: Option<String>,
    created_at: u64,
    sent_at: Option<u64>,
    paid_at: Option<u64>,
    ended_at: Option<u64>,
    invoice_expires_at: u64,
    redeem_until: u64,
    note: Option<Cow<'a, str>>,
    answered: Option<u16>,
    request_key: String,
    tried: StoredTried,
    invoice: Cow<'a, str>,
    payable: Cow<'a, str>,
    preimage: Option<String>,
}

impl<'a> StoredEntry<'a> {
    fn of(entry: &'a Record) -> Self {
        let seconds = Timestamp::as_unix_seconds;
        Self {
            number: entry.number,
            state: entry.state.as_str().into(),
            is_cleared: entry.is_cleared,
            network: entry.network.as_str().into(),
            payment_hash: hex::encode(entry.payment_hash.as_bytes()),
            amount: entry.amount.as_msat(),
            max_fee: entry.max_fee.as_msat(),
            fee: entry.fee.map(Amount::as_msat),
            origin: (&entry.origin).into(),
            host: (&entry.host).into(),
            method: (&entry.method).into(),
            path: (&entry.path).into(),
            dialect: entry.dialect.as_str().into(),
            description: entry.description.as_deref().map(Into::into),
            budget: entry.budget.as_ref().map(|path| path.as_str().into()),
            payer: entry.payer.map(|payer| hex::encode(payer.as_bytes())),
            created_at: seconds(entry.created_at),
            sent_at: entry.sent_at.map(seconds),
            paid_at: entry.paid_at.map(seconds),
            ended_at: entry.ended_at.map(seconds),
            invoice_expires_at: seconds(entry.invoice_expires_at),
            redeem_until: seconds(entry.redeem_until),
            note: entry.note.as_deref().map(Into::into),
            answered: entry.answered,
            request_key: hex::encode(entry.request_key.as_bytes()),
            tried: StoredTried::of(&entry.tried),
            invoice: (&entry.invoice).into(),
            payable: (&entry.payable).into(),
            preimage: entry.preimage.as_ref().map(|held| held.0.expose_hex()),
        }
    }

    fn read(self, id: EntryId) -> Option<Record> {
        let moment = Timestamp::from_unix_seconds;
        Some(Record {
            id,
            number: self.number,
            state: EntryState::named(&self.state)?,
            is_cleared: self.is_cleared,
            network: Network::ALL
                .into_iter()
                .find(|own| own.as_str() == self.network)?,
            payment_hash: PaymentHash::from_bytes(hex::decode_lower(&self.payment_hash)?),
            amount: Amount::from_msat(self.amount),
            max_fee: Amount::from_msat(self.max_fee),
            fee: self.fee.map(Amount::from_msat),
            origin: self.origin.into_owned(),
            host: self.host.into_owned(),
            method: self.method.into_owned(),
            path: self.path.into_owned(),
            dialect: DIALECTS
                .into_iter()
                .find(|own| own.as_str() == self.dialect)?,
            description: self.description.map(Cow::into_owned),
            budget: match self.budget {
                Some(path) => Some(BudgetPath::parse(&path)?),
                None => None,
            },
            payer: match self.payer {
                Some(digits) => Some(PayerId::from_bytes(hex::decode_lower(&digits)?)),
                None => None,
            },
            created_at: moment(self.created_at),
            sent_at: self.sent_at.map(moment),
            paid_at: self.paid_at.map(moment),
            ended_at: self.ended_at.map(moment),
            invoice_expires_at: moment(self.invoice_expires_at),
            redeem_until: moment(self.redeem_until),
            note: self.note.map(Cow::into_owned),
            answered: self.answered,
            request_key: RequestKey::from_bytes(hex::decode_lower(&self.request_key)?),
            tried: self.tried.read()?,
            invoice: self.invoice.into_owned(),
            payable: self.payable.into_owned(),
            preimage: match self.preimage {
                Some(digits) => Some(Held(Preimage::from_bytes(hex::decode_lower(&digits)?))),
                None => None,
            },
        })
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value)
        .unwrap_or_else(|_| unreachable!("strings and numbers can always be serialised"))
}

fn from_json<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json).ok()
}

const DIALECTS: [DialectName; 3] = [DialectName::L402, DialectName::Mpp, DialectName::X402];
/// Tags of no record of a replay store: neither opens the folder of the other.
const BUDGET: u8 = b'B';
const CARRIED: u8 = b'C';
const ENTRY: u8 = b'E';
const MARKER: u8 = b'L';
pub(super) const VERSION: &[u8] = b"1";
