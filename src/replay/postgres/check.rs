//! Whether a server has all that this process saw written.

use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Client, types::Type};

use super::{
    connections::{Connections, query},
    error::{Failure, NAME, store_error},
    statements::Parameter,
};
use crate::{
    lock::lock,
    replay::{StoreError, StoreErrorKind, StoreId},
};

impl Connections {
    /// Checks that the server has all that this process saw, and takes it as the server if so.
    pub(super) async fn check(&self, client: &Client, deadline: Instant) -> Result<(), Failure> {
        let Ok(_one_at_a_time) = timeout_at(deadline, self.checking.lock()).await else {
            return Err(Failure::TimedOut);
        };
        if lock(&self.seen).server().is_some() {
            return Ok(());
        }
        let rows = lock(&self.seen).rows();
        let id = self.id.as_bytes().as_slice();
        let writes = || rows.iter().map(|row| &row.write);
        let keys: Vec<&[u8]> = writes().map(|write| write.key.as_slice()).collect();
        let versions: Vec<i64> = rows.iter().map(|row| row.version).collect();
        let ends: Vec<i64> = rows.iter().map(|row| row.ends).collect();
        let marks: Vec<i64> = writes().map(|write| write.mark).collect();
        let uses: Vec<Option<&[u8]>> = writes()
            .map(|write| write.use_id.as_ref().map(|id| id.as_bytes().as_slice()))
            .collect();
        let use_ends: Vec<Option<i64>> = rows.iter().map(|row| row.use_ends).collect();
        let parameters: [Parameter<'_>; 8] = [
            (&id, Type::BYTEA),
            (&self.is_durable, Type::BOOL),
            (&keys, Type::BYTEA_ARRAY),
            (&versions, Type::INT8_ARRAY),
            (&ends, Type::INT8_ARRAY),
            (&marks, Type::INT8_ARRAY),
            (&uses, Type::BYTEA_ARRAY),
            (&use_ends, Type::INT8_ARRAY),
        ];
        let answer = query(client, &self.statements.check, &parameters, deadline).await?;
        let (server, lost) = answer
            .first()
            .and_then(|row| Some((row.try_get("server").ok()?, row.try_get("lost").ok()?)))
            .unwrap_or((0_i64, 1_i64));
        if lost == 0 {
            lock(&self.seen).adopt(server, &rows);
            return Ok(());
        }
        let why = "the database came back without something that it had acknowledged";
        // From now on this is another store for every process, also for those that saw nothing.
        let renewed = StoreId::random().map_err(|error| Failure::Lost(error.to_string()))?;
        let (renewed, now) = (renewed.as_bytes().as_slice(), self.now());
        let parameters: [Parameter<'_>; 3] = [
            (&id, Type::BYTEA),
            (&renewed, Type::BYTEA),
            (&now, Type::INT8),
        ];
        query(client, &self.statements.renew, &parameters, deadline).await?;
        Err(Failure::AnotherStore(why.into()))
    }

    /// Notes that the store must not be used any more.
    pub(super) fn end(&self, why: &str) -> StoreError {
        let why = format!(
            "{why}; the store has a new id, or must be made again: connect again. What was sold for counted access before is refused then"
        );
        crate::trace::error(format_args!("{}: {why}", NAME));
        lock(&self.seen).end(why.clone());
        store_error(StoreErrorKind::Corrupt, why)
    }
}
