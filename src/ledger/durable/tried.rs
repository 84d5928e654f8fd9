use serde::{Deserialize, Serialize};

use crate::{codec::hex, ledger::tried::Tried};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredTried {
    headers: String,
    is_presented: bool,
    is_in_doubt: bool,
    refused_for: Vec<String>,
}

impl StoredTried {
    pub(super) fn of(tried: &Tried) -> Self {
        Self {
            headers: hex::encode(tried.headers),
            is_presented: tried.is_presented,
            is_in_doubt: tried.is_in_doubt,
            refused_for: tried.refused_for.iter().map(hex::encode).collect(),
        }
    }

    pub(super) fn read(self) -> Option<Tried> {
        let refused_for = self.refused_for.iter();
        Some(Tried {
            headers: hex::decode_lower(&self.headers)?,
            is_presented: self.is_presented,
            is_in_doubt: self.is_in_doubt,
            refused_for: refused_for.map(hex::decode_lower).collect::<Option<_>>()?,
        })
    }
}
