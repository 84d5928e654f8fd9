//! The record that each batch writes about the journal itself.

use super::batch::{Tally, digest};

/// The id of the journal, the number of the batch, and the tally of all records after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) id: [u8; 16],
    pub(super) sequence: u64,
    pub(super) tally: Tally,
}

impl Head {
    pub(super) fn to_bytes(self) -> [u8; HEAD_LENGTH] {
        let mut bytes = [0; HEAD_LENGTH];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.tally.count.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.tally.sum.to_le_bytes());
        let check = digest(HEAD, &bytes[..48]);
        bytes[48..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_at_checked(48)?;
        if check != digest(HEAD, body).to_le_bytes() {
            return None;
        }
        let (id, body) = body.split_first_chunk::<16>()?;
        let (sequence, body) = body.split_first_chunk::<8>()?;
        let (count, sum) = body.split_first_chunk::<8>()?;
        let tally = Tally {
            count: u64::from_le_bytes(*count),
            sum: u128::from_le_bytes(sum.try_into().ok()?),
        };
        Some(Self {
            id: *id,
            sequence: u64::from_le_bytes(*sequence),
            tally,
        })
    }
}

/// The key of the head.
pub(super) const HEAD: &[u8] = b"head";
pub(super) const HEAD_LENGTH: usize = 64;
