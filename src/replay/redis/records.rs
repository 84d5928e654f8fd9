//! The small records of the store.

use std::sync::Arc;

use super::{
    buckets::{BUCKETS, ask_each},
    engine::{Engine, decimal, seconds},
    fault::NAME,
    reply::bytes,
    scripts,
    store::RedisStore,
};
use crate::{
    boxed::BoxFuture,
    clock::Timestamp,
    replay::{RecordKey, Records, StoreError, records::after_prefix, state::records::check_value},
};

impl Records for RedisStore {
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            check_value(&value, NAME)?;
            let arguments = [key.as_bytes().to_vec(), seconds(expires_at), value];
            let answer = self
                .engine()
                .ask(&scripts::PUT, key.as_bytes(), &arguments)
                .await?;
            Ok(answer.first == 1)
        })
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            let arguments = [key.as_bytes().to_vec()];
            let answer = self
                .engine()
                .ask(&scripts::GET, key.as_bytes(), &arguments)
                .await?;
            Ok(answer
                .rest
                .into_iter()
                .next()
                .and_then(bytes)
                .filter(|_| answer.first == 1))
        })
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let arguments = [key.as_bytes().to_vec()];
            self.engine()
                .ask(&scripts::DELETE, key.as_bytes(), &arguments)
                .await
                .map(drop)
        })
    }

    /// Asks all buckets with records, some at a time.
    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        Box::pin(async move {
            let ask = |bucket| of_bucket(self.engine().clone(), bucket, prefix.clone());
            let mut found = Vec::new();
            ask_each(0..BUCKETS, ask, |records| {
                found.extend(records);
                Ok(())
            })
            .await?;
            found.sort_unstable();
            Ok(found)
        })
    }
}

/// Reads the records of a bucket, a few at a time, so that no answer is large.
async fn of_bucket(
    engine: Arc<Engine>,
    bucket: u16,
    prefix: RecordKey,
) -> Result<Vec<(RecordKey, Vec<u8>)>, StoreError> {
    let (mut found, mut from) = (Vec::new(), [b"[", prefix.as_bytes()].concat());
    loop {
        let arguments = [from, end(prefix.as_bytes()), decimal(PAGE)];
        let answer = engine
            .ask_bucket(&scripts::SCAN, bucket, &arguments)
            .await?;
        let mut parts = answer.rest.into_iter();
        let mut last = None;
        while let Some(name) = parts.next().and_then(bytes) {
            let value = parts.next().and_then(bytes);
            let key = RecordKey::new(&name);
            found.extend(key.zip(value));
            last = Some(name);
        }
        match last.filter(|_| answer.first == PAGE) {
            Some(last) => from = [b"(".as_slice(), &last].concat(),
            None => return Ok(found),
        }
    }
}

/// The end of the names that start with `prefix`, as Redis takes it.
fn end(prefix: &[u8]) -> Vec<u8> {
    after_prefix(prefix).map_or_else(|| b"+".to_vec(), |after| [b"(", &*after].concat())
}

const PAGE: u64 = 16;

#[cfg(test)]
mod tests {
    use super::end;

    #[test]
    fn the_end_of_a_prefix_is_the_next_name_that_does_not_start_with_it() {
        let cases: [(&[u8], &[u8]); 4] = [
            (b"", b"+"),
            (b"\xff\xff", b"+"),
            (b"scan/", b"(scan0"),
            (b"a\xff", b"(b"),
        ];
        for (prefix, expected) in cases {
            assert_eq!(end(prefix), expected);
        }
    }
}
