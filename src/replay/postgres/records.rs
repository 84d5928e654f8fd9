use std::slice;

use tokio_postgres::{Row, types::Type};

use super::{
    connections::{Connections, Statement},
    error::{NAME, not_understood},
    seen::{Write, mark},
    statements::{Parameter, seconds},
    store::PostgresStore,
};
use crate::{
    boxed::BoxFuture,
    clock::Timestamp,
    replay::{RecordKey, Records, StoreError, records::after_prefix, state::records::check_value},
};

impl Records for PostgresStore {
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            check_value(&value, NAME)?;
            self.on_thread(
                |connections| async move { connections.put(&key, &value, expires_at).await },
            )
            .await
        })
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.on_thread(|connections| async move {
            let from = row_key(&key);
            let found = connections.read(&from, &after(&key)).await?;
            Ok(found.into_iter().next().map(|(_, value)| value))
        }))
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.on_thread(|connections| async move { connections.delete(&key).await }))
    }

    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        Box::pin(self.on_thread(|connections| async move {
            let from = row_key(&prefix);
            connections
                .read_all(&from, &after_prefix(&from).unwrap_or_default())
                .await
        }))
    }
}

impl Connections {
    async fn put(
        &self,
        key: &RecordKey,
        value: &[u8],
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (now, expires_at) = (self.now(), seconds(expires_at));
        let name = key.as_bytes();
        let write = write_of(key)?;
        let parameters: [Parameter<'_>; 5] = [
            (&now, Type::INT8),
            (&write.mark, Type::INT8),
            (&name, Type::BYTEA),
            (&value, Type::BYTEA),
            (&expires_at, Type::INT8),
        ];
        let rows = self
            .run(
                self.deadline(),
                Statement {
                    text: &self.statements.put,
                    parameters: &parameters,
                    // A repetition would find what this call wrote, and say that it did not.
                    is_idempotent: false,
                    writes: slice::from_ref(&write),
                },
            )
            .await?;
        let is_new = rows.first().and_then(|row| row.try_get("is_new").ok());
        is_new.ok_or_else(not_understood)
    }

    async fn delete(&self, key: &RecordKey) -> Result<(), StoreError> {
        let name = key.as_bytes();
        let write = write_of(key)?;
        let parameters: [Parameter<'_>; 2] = [(&write.mark, Type::INT8), (&name, Type::BYTEA)];
        self.run(
            self.deadline(),
            Statement {
                text: &self.statements.delete,
                parameters: &parameters,
                is_idempotent: true,
                writes: slice::from_ref(&write),
            },
        )
        .await
        .map(drop)
    }

    /// Returns the records whose rows have a key from one on and below another. Asks for some at a
    /// time, each in the time of one call, so that any number can be read.
    async fn read_all(
        &self,
        from: &[u8],
        below: &[u8],
    ) -> Result<Vec<(RecordKey, Vec<u8>)>, StoreError> {
        let mut found = Vec::new();
        let mut from = from.to_vec();
        loop {
            let page = self.read(&from, below).await?;
            let is_last = page.len() < PAGE;
            if let Some((key, _)) = page.last() {
                from = after(key);
            }
            found.extend(page);
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Returns the first records whose rows have a key from one on and below another.
    async fn read(
        &self,
        from: &[u8],
        below: &[u8],
    ) -> Result<Vec<(RecordKey, Vec<u8>)>, StoreError> {
        let (now, most) = (self.now(), PAGE as i64);
        let parameters: [Parameter<'_>; 4] = [
            (&now, Type::INT8),
            (&from, Type::BYTEA),
            (&below, Type::BYTEA),
            (&most, Type::INT8),
        ];
        let rows = self
            .run(
                self.deadline(),
                Statement {
                    text: &self.statements.read,
                    parameters: &parameters,
                    is_idempotent: true,
                    writes: &[],
                },
            )
            .await?;
        rows.iter()
            .map(|row| read_record(row).ok_or_else(not_understood))
            .collect()
    }
}

fn read_record(row: &Row) -> Option<(RecordKey, Vec<u8>)> {
    let key: &[u8] = row.try_get("found_key").ok()?;
    let name = key.strip_prefix(&[RECORD])?;
    Some((RecordKey::new(name)?, row.try_get("found_value").ok()?))
}

fn write_of(key: &RecordKey) -> Result<Write, StoreError> {
    Ok(Write {
        key: row_key(key),
        use_id: None,
        mark: mark()?,
    })
}

/// Returns the key of a record's row.
fn row_key(key: &RecordKey) -> Vec<u8> {
    [&[RECORD], key.as_bytes()].concat()
}

/// Returns the first key after that of a record's row.
fn after(key: &RecordKey) -> Vec<u8> {
    [&[RECORD], key.as_bytes(), &[0]].concat()
}

const RECORD: u8 = b'r';
/// How many records are read at once. Each has at most 64 KiB.
const PAGE: usize = 128;

#[cfg(test)]
mod tests {
    use crate::replay::records::after_prefix;

    #[test]
    fn all_keys_with_a_prefix_are_below_the_end_and_no_others() {
        let ends: [(&[u8], &[u8]); 3] = [(b"r", b"s"), (b"ra", b"rb"), (b"ra\xff\xff", b"rb")];
        for (prefix, end) in ends {
            assert_eq!(after_prefix(prefix).as_deref(), Some(end));
        }
    }
}
