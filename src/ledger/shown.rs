//! How an entry is shown: never with a preimage, a challenge, an invoice or a query.

use std::fmt;

use serde::ser::SerializeStruct as _;

use super::entry::Entry;
use crate::payment::Amount;

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id())
            .field("state", &self.state())
            .field("payment_hash", &self.payment_hash())
            .field("amount", &self.amount())
            .field("max_fee", &self.max_fee())
            .field("fee", &self.fee())
            .field("method", &self.method())
            .field("origin", &self.origin())
            .field("path", &self.path())
            .field("budget", &self.budget())
            .field("note", &self.note())
            .finish_non_exhaustive()
    }
}

/// Serialises an object with a member for each accessor but `request_key`, `invoice`, `payable` and
/// `preimage`. Amounts are in msat and times in Unix seconds.
impl serde::Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Entry", 24)?;
        object.serialize_field("id", &self.id())?;
        object.serialize_field("direction", &self.direction())?;
        object.serialize_field("state", &self.state())?;
        object.serialize_field("is_cleared", &self.is_cleared())?;
        object.serialize_field("network", self.network().as_str())?;
        object.serialize_field("payment_hash", &self.payment_hash())?;
        object.serialize_field("amount_msat", &self.amount().as_msat())?;
        object.serialize_field("max_fee_msat", &self.max_fee().as_msat())?;
        object.serialize_field("fee_msat", &self.fee().map(Amount::as_msat))?;
        object.serialize_field("origin", self.origin())?;
        object.serialize_field("host", self.host())?;
        object.serialize_field("method", self.method())?;
        object.serialize_field("path", self.path())?;
        object.serialize_field("dialect", &self.dialect())?;
        object.serialize_field("description", &self.description())?;
        object.serialize_field("budget", &self.budget())?;
        object.serialize_field("payer", &self.payer())?;
        object.serialize_field("created_at", &self.created_at())?;
        object.serialize_field("sent_at", &self.sent_at())?;
        object.serialize_field("paid_at", &self.paid_at())?;
        object.serialize_field("ended_at", &self.ended_at())?;
        object.serialize_field("redeem_until", &self.redeem_until())?;
        object.serialize_field("answered", &self.answered())?;
        object.serialize_field("note", &self.note())?;
        object.end()
    }
}
