use std::{sync::Arc, time::Duration};

use proptest::prelude::*;

use super::encoding::{
    Encoded, VERSION, budget_key, budget_value, carried_key, carried_value, to_entry,
};
use crate::{
    clock::Timestamp,
    ledger::{
        Budget, BudgetPath, Entry, EntryId, EntryState, RequestKey, Total,
        entry::{Held, Record},
        state::{BudgetRecord, Carried, CarriedKey},
        tried::Tried,
    },
    payment::{Amount, DialectName, Network, PayerId, PaymentHash, Preimage},
};

fn entry() -> impl Strategy<Value = Entry> {
    let state = prop::sample::select(vec![
        EntryState::Earned,
        EntryState::Failed,
        EntryState::InFlight,
        EntryState::Paid,
        EntryState::Redeemed,
        EntryState::Refused,
        EntryState::Reserved,
        EntryState::Sent,
        EntryState::Unproved,
    ]);
    let dialect =
        prop::sample::select(vec![DialectName::L402, DialectName::Mpp, DialectName::X402]);
    let network = prop::sample::select(Network::ALL.as_slice());
    let numbers = (
        any::<[u64; 8]>(),
        any::<Option<u64>>(),
        any::<Option<u16>>(),
    );
    let texts = (any::<[String; 6]>(), any::<Option<String>>(), any::<bool>());
    let bytes = (
        any::<[u8; 16]>(),
        any::<[u8; 32]>(),
        any::<Option<[u8; 32]>>(),
    );
    (state, dialect, network, numbers, texts, bytes).prop_map(
        |(state, dialect, network, (n, option, answered), (t, note, flag), (id, hash, secret))| {
            let [a, b, c, d, e, f] = t;
            let moment = Timestamp::from_unix_seconds;
            Entry(Arc::new(Record {
                id: EntryId::from_bytes(id),
                number: n[0],
                state,
                is_cleared: flag,
                network,
                payment_hash: PaymentHash::from_bytes(hash),
                amount: Amount::from_msat(n[1]),
                max_fee: Amount::from_msat(n[2]),
                fee: option.map(Amount::from_msat),
                origin: a,
                host: b,
                method: c,
                path: d,
                dialect,
                description: note.clone(),
                budget: flag.then(|| BudgetPath::parse("a/b c").unwrap()),
                payer: secret.map(PayerId::from_bytes),
                created_at: moment(n[3]),
                sent_at: option.map(moment),
                paid_at: option.map(|_| moment(n[4])),
                ended_at: option.map(|_| moment(n[5])),
                invoice_expires_at: moment(n[6]),
                redeem_until: moment(n[7]),
                note,
                answered,
                request_key: RequestKey::from_bytes(hash),
                tried: Tried {
                    headers: hash,
                    is_presented: flag,
                    is_in_doubt: !flag,
                    refused_for: vec![hash; usize::from(flag)],
                },
                invoice: e,
                payable: f,
                preimage: secret.map(|bytes| Held(Preimage::from_bytes(bytes))),
            }))
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(entry in entry(), limits: [u64; 6], option: Option<u64>, revoked: Option<u64>) {
        let (key, value) = to_entry(&entry.0);
        prop_assert!(Encoded::read(&key, &value) == Some(Encoded::Entry(Box::new(Record::clone(&entry.0)))));
        let [total, host, length, limit, end, _] = limits;
        let mut budget = Budget::total(Amount::from_msat(total)).rolling(Duration::from_secs(length), Amount::from_msat(limit));
        if option.is_some() {
            budget = budget.per_host(Amount::from_msat(host)).until(Timestamp::from_unix_seconds(end)).lasting(Duration::from_secs(length)).owner("ann");
        }
        let path = BudgetPath::parse("a/b c").unwrap();
        let total = Total {
            payments: total,
            spent: Amount::from_msat(host),
            fees: Amount::from_msat(length),
            reserved: Amount::ZERO,
            earned: Amount::from_msat(limit),
        };
        let moment = Timestamp::from_unix_seconds;
        let carried = Carried { total, spent_at: moment(limit), latest: moment(end) };
        let key = CarriedKey { budget: option.map(|_| path.clone()), host: "a.example".to_owned(), day: end };
        let (name, value) = (carried_key(&key), carried_value(&carried));
        prop_assert!(Encoded::read(&name, &value) == Some(Encoded::Carried(key, carried)));
        let record = BudgetRecord { limits: budget, created_at: moment(end), revoked_at: revoked.map(moment) };
        let (key, value) = (budget_key(&path), budget_value(&record));
        prop_assert!(Encoded::read(&key, &value) == Some(Encoded::Budget(path, record)));
    }

    #[test]
    fn anything_else_is_no_record_and_no_panic(key: Vec<u8>, value: Vec<u8>) {
        let _ = Encoded::read(&key, &value);
    }
}

/// A later version that writes more must not lose it here.
#[test]
fn a_record_with_an_unknown_member_is_not_read() {
    let record = BudgetRecord {
        limits: Budget::without_limits(),
        created_at: Timestamp::default(),
        revoked_at: None,
    };
    let (key, value) = (
        budget_key(&BudgetPath::root("a").unwrap()),
        budget_value(&record),
    );
    let more = String::from_utf8(value)
        .unwrap()
        .replacen('{', "{\"more\":1,", 1);
    assert!(Encoded::read(&key, more.as_bytes()).is_none());
    assert!(Encoded::read(b"L", VERSION) == Some(Encoded::Marker));
    assert!(Encoded::read(b"L", b"2").is_none());
}
