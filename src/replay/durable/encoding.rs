//! How the durable store encodes its records.

use crate::{
    clock::Timestamp,
    journal::Batch,
    replay::{
        ConsumptionKey, RecordKey, UseId,
        ids::KEY_LENGTH,
        state::{
            changes::{Changes, PaymentState, UseState},
            records::{Record, RecordChanges},
        },
    },
};

/// A decoded record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Encoded {
    /// When the store was made.
    CreatedAt(Timestamp),
    EarlierUse(ConsumptionKey, UseId, UseState),
    PrunedUntil(Timestamp),
    Record(RecordKey, Record),
    Payment(ConsumptionKey, PaymentState),
}

impl Encoded {
    pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let (tag, key) = key.split_first()?;
        match *tag {
            CREATED_AT => key
                .is_empty()
                .then_some(Self::CreatedAt(read_timestamp(value.try_into().ok()?))),
            EARLIER_USE => {
                let (key, id) = read_key(key)?;
                let (known, rest) = read_use(value)?;
                rest.is_empty().then_some(Self::EarlierUse(
                    key,
                    UseId::from_bytes(id.try_into().ok()?),
                    known,
                ))
            }
            PRUNED_UNTIL => Some(Self::PrunedUntil(read_timestamp(value.try_into().ok()?))),
            RECORD => {
                let (expires_at, value) = value.split_first_chunk()?;
                let record = Record {
                    value: value.to_vec(),
                    expires_at: read_timestamp(*expires_at),
                };
                Some(Self::Record(RecordKey::new(key)?, record))
            }
            PAYMENT => {
                let (key, rest) = read_key(key)?;
                rest.is_empty()
                    .then_some(Self::Payment(key, read_payment(value)?))
            }
            _ => None,
        }
    }
}

impl Changes for Batch {
    fn payment(
        &mut self,
        key: &ConsumptionKey,
        old: Option<&PaymentState>,
        new: Option<&PaymentState>,
    ) {
        let (old, new) = (old.map(write_payment), new.map(write_payment));
        self.change(
            &payment_record_key(key),
            old.as_ref().map(<[u8; 36 + USE]>::as_slice),
            new.as_ref().map(<[u8; 36 + USE]>::as_slice),
        );
    }

    fn earlier_use(
        &mut self,
        key: &ConsumptionKey,
        id: &UseId,
        old: Option<&UseState>,
        new: Option<&UseState>,
    ) {
        let (old, new) = (old.map(write_use), new.map(write_use));
        let mut name = payment_record_key(key);
        name[0] = EARLIER_USE;
        let name = [name.as_slice(), id.as_bytes()].concat();
        self.change(
            &name,
            old.as_ref().map(<[u8; USE]>::as_slice),
            new.as_ref().map(<[u8; USE]>::as_slice),
        );
    }

    fn pruned_until(&mut self, old: Option<Timestamp>, new: Timestamp) {
        let bytes = |at: Timestamp| at.as_unix_seconds().to_le_bytes();
        self.change(
            &[PRUNED_UNTIL],
            old.map(bytes).as_ref().map(<[u8; 8]>::as_slice),
            Some(&bytes(new)),
        );
    }
}

impl RecordChanges for Batch {
    fn record(&mut self, key: &RecordKey, old: Option<&Record>, new: Option<&Record>) {
        let name = [&[RECORD], key.as_bytes()].concat();
        self.change(
            &name,
            old.map(write_record).as_deref(),
            new.map(write_record).as_deref(),
        );
    }
}

/// Records in a new store when it was made.
pub(super) fn note_created_at(at: Timestamp, batch: &mut Batch) {
    batch.change(&[CREATED_AT], None, Some(&created_at_bytes(at)));
}

/// Writes again when the store was made, which changes nothing.
pub(super) fn repeat_created_at(at: Timestamp, batch: &mut Batch) {
    let bytes = created_at_bytes(at);
    batch.change(&[CREATED_AT], Some(&bytes), Some(&bytes));
}

const fn created_at_bytes(at: Timestamp) -> [u8; 8] {
    at.as_unix_seconds().to_le_bytes()
}

pub(in crate::replay) fn payment_record_key(key: &ConsumptionKey) -> [u8; 1 + KEY_LENGTH] {
    let mut bytes = [PAYMENT; 1 + KEY_LENGTH];
    bytes[1..].copy_from_slice(key.as_bytes());
    bytes
}

fn read_key(bytes: &[u8]) -> Option<(ConsumptionKey, &[u8])> {
    let (key, rest) = bytes.split_at_checked(KEY_LENGTH)?;
    Some((ConsumptionKey::from_bytes(key)?, rest))
}

pub(in crate::replay) fn write_payment(state: &PaymentState) -> [u8; 36 + USE] {
    let mut bytes = [0; 36 + USE];
    bytes[..8].copy_from_slice(&state.retain_until.as_unix_seconds().to_le_bytes());
    bytes[8..12].copy_from_slice(&state.taken.to_le_bytes());
    bytes[12..16].copy_from_slice(&state.restored.to_le_bytes());
    bytes[16..20].copy_from_slice(&state.restores.to_le_bytes());
    bytes[20..36].copy_from_slice(state.last.as_bytes());
    bytes[36..].copy_from_slice(&write_use(&state.last_use));
    bytes
}

fn read_payment(bytes: &[u8]) -> Option<PaymentState> {
    let (retain_until, bytes) = bytes.split_first_chunk()?;
    let (taken, bytes) = bytes.split_first_chunk()?;
    let (restored, bytes) = bytes.split_first_chunk()?;
    let (restores, bytes) = bytes.split_first_chunk()?;
    let (last, bytes) = bytes.split_first_chunk()?;
    let (last_use, rest) = read_use(bytes)?;
    rest.is_empty().then_some(PaymentState {
        retain_until: read_timestamp(*retain_until),
        taken: u32::from_le_bytes(*taken),
        restored: u32::from_le_bytes(*restored),
        restores: u32::from_le_bytes(*restores),
        last: UseId::from_bytes(*last),
        last_use,
    })
}

fn write_use(known: &UseState) -> [u8; USE] {
    let mut bytes = [0; USE];
    bytes[..8].copy_from_slice(&known.granted_at.as_unix_seconds().to_le_bytes());
    bytes[8..12].copy_from_slice(&known.remaining.to_le_bytes());
    bytes[12] = known.released.into();
    bytes
}

fn read_use(bytes: &[u8]) -> Option<(UseState, &[u8])> {
    let (granted_at, bytes) = bytes.split_first_chunk()?;
    let (remaining, bytes) = bytes.split_first_chunk()?;
    let (released, rest) = bytes.split_first()?;
    let released = match *released {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some((
        UseState {
            granted_at: read_timestamp(*granted_at),
            remaining: u32::from_le_bytes(*remaining),
            released,
        },
        rest,
    ))
}

fn write_record(record: &Record) -> Vec<u8> {
    [
        record.expires_at.as_unix_seconds().to_le_bytes().as_slice(),
        &record.value,
    ]
    .concat()
}

const fn read_timestamp(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_unix_seconds(u64::from_le_bytes(bytes))
}

const CREATED_AT: u8 = b'c';
const EARLIER_USE: u8 = b'u';
const PRUNED_UNTIL: u8 = b'p';
const RECORD: u8 = b'r';
const PAYMENT: u8 = b's';
const USE: usize = 13;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payment::{Network, PaymentHash};

    fn known_use() -> impl Strategy<Value = UseState> {
        (any::<u64>(), any::<u32>(), any::<bool>()).prop_map(|(at, remaining, released)| UseState {
            granted_at: Timestamp::from_unix_seconds(at),
            remaining,
            released,
        })
    }

    /// Folders of every earlier version hold these bytes.
    #[test]
    fn the_record_of_a_payment_is_named_by_a_tag_its_network_and_its_hash() {
        let codes = [
            (0, Network::Bitcoin),
            (1, Network::Regtest),
            (2, Network::Signet),
            (3, Network::Testnet),
        ];
        for (code, network) in codes {
            let key = ConsumptionKey::lightning(network, PaymentHash::from_bytes([7; 32]));
            let expected = [&[b's', code], [7; 32].as_slice()].concat();
            assert_eq!(payment_record_key(&key).as_slice(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            network in prop::sample::select(Network::ALL.as_slice()), hash: [u8; 32], id: [u8; 16], known in known_use(),
            counts: (u32, u32, u32), at: u64, name in prop::collection::vec(any::<u8>(), 0..=255), value: Vec<u8>,
        ) {
            let key = ConsumptionKey::lightning(network, PaymentHash::from_bytes(hash));
            let at = Timestamp::from_unix_seconds(at);
            let (taken, restored, restores) = counts;
            let id = UseId::from_bytes(id);
            let state = PaymentState { retain_until: at, taken, restored, restores, last: id, last_use: known };
            prop_assert_eq!(Encoded::read(&payment_record_key(&key), &write_payment(&state)), Some(Encoded::Payment(key, state)));
            let mut named = payment_record_key(&key).to_vec();
            named[0] = EARLIER_USE;
            named.extend(id.as_bytes());
            prop_assert_eq!(Encoded::read(&named, &write_use(&known)), Some(Encoded::EarlierUse(key, id, known)));
            let record = Record { value, expires_at: at };
            let name = RecordKey::new(&name).unwrap();
            let named = [&[RECORD], name.as_bytes()].concat();
            prop_assert_eq!(Encoded::read(&named, &write_record(&record)), Some(Encoded::Record(name, record)));
        }

        #[test]
        fn anything_else_is_no_record_and_no_panic(key: Vec<u8>, value: Vec<u8>) {
            let _ = Encoded::read(&key, &value);
        }
    }
}
