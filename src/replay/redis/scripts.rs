//! The scripts that the server runs, and the names of the keys that they get.

use std::sync::LazyLock;

/// One script, and the last parts of the names of its keys.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) source: String,
    pub(super) hash: String,
    keys: &'static [&'static str],
}

impl Script {
    fn new(parts: &[&str], keys: &'static [&'static str]) -> Self {
        let source = parts.concat();
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self { source, hash, keys }
    }

    /// Returns the names of the script's keys. All have one tag, so all are in one slot.
    pub(super) fn keys(&self, tag: &str) -> impl Iterator<Item = String> {
        self.keys.iter().map(move |key| format!("{{{tag}}}:{key}"))
    }

    pub(super) fn key_count(&self) -> usize {
        self.keys.len()
    }
}

/// The bucket, payments, ends, uses, order, young, released, serving.
const PAYMENT_KEYS: &[&str] = &["m", "p", "x", "u", "o", "y", "r", "s"];
/// The bucket, records, ends, names.
const RECORD_KEYS: &[&str] = &["m", "d", "e", "n"];
const BUCKET_KEYS: &[&str] = &["m"];
const STORE_KEYS: &[&str] = &["store"];

const BUCKET: &str = include_str!("scripts/bucket.lua");
const BATCH: &str = include_str!("scripts/batch.lua");
const PAYMENT: &str = include_str!("scripts/payment.lua");
const RECORD: &str = include_str!("scripts/record.lua");
/// What makes room, or takes none, also runs on a server whose memory is full.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";

macro_rules! scripts {
    ($($name:ident: $keys:ident, [$($part:expr),+];)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(&[$($part),+], $keys));)+
    };
}

scripts! {
    BEGIN: BUCKET_KEYS, [include_str!("scripts/begin.lua")];
    CHECK: BUCKET_KEYS, [include_str!("scripts/check.lua")];
    CLAIM: STORE_KEYS, [include_str!("scripts/claim.lua")];
    CONSUME: PAYMENT_KEYS, [
        "local EACH = 4\n", BUCKET, BATCH,
        include_str!("scripts/first.lua"), PAYMENT, include_str!("scripts/consume.lua")
    ];
    DELETE: RECORD_KEYS, [ALLOW_OOM, BUCKET, RECORD, include_str!("scripts/delete.lua")];
    GET: RECORD_KEYS, [ALLOW_OOM, BUCKET, RECORD, include_str!("scripts/get.lua")];
    LOST: BUCKET_KEYS, [ALLOW_OOM, include_str!("scripts/lost.lua")];
    PROBE: BUCKET_KEYS, [BUCKET, include_str!("scripts/probe.lua")];
    PUT: RECORD_KEYS, [BUCKET, RECORD, include_str!("scripts/put.lua")];
    READY: STORE_KEYS, [include_str!("scripts/ready.lua")];
    RELEASE: PAYMENT_KEYS, [
        ALLOW_OOM, "local EACH = 3\n", BUCKET, BATCH, PAYMENT, include_str!("scripts/release.lua")
    ];
    SCAN: RECORD_KEYS, [ALLOW_OOM, BUCKET, RECORD, include_str!("scripts/scan.lua")];
    SEEN: BUCKET_KEYS, [ALLOW_OOM, BUCKET, include_str!("scripts/seen.lua")];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_script_have_one_tag() {
        let keys: Vec<_> = CONSUME.keys("shop/7").collect();
        assert_eq!(keys.len(), CONSUME.key_count());
        assert_eq!(keys[0], "{shop/7}:m");
        assert!(keys.iter().all(|key| key.starts_with("{shop/7}:")));
    }
}
