//! How a store is opened, and made if it is not there.

use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Client, types::Type};

use super::{
    error::{is_not_made, setup, text, unavailable},
    statements::{Parameter, Statements, seconds},
    url::Database,
};
use crate::{
    clock::Timestamp,
    replay::{StoreError, StoreId, created_at::created_at},
};

/// What a database says of the store in it.
pub(super) struct Opened {
    pub(super) id: StoreId,
    pub(super) created_at: Timestamp,
    /// The start of the server.
    pub(super) server: i64,
    pub(super) is_durable: bool,
    /// What to change, if it is not durable.
    pub(super) fix: Option<String>,
}

/// Opens the store, and makes it first if it is not there.
pub(super) async fn open(
    database: &Database,
    statements: &Statements,
    now: Timestamp,
    deadline: Instant,
) -> Result<Opened, StoreError> {
    let opened = async {
        let client = database.connect().await;
        let client = client.map_err(|error| unavailable(database.cannot_connect(&error)))?;
        let version = client.query_typed_one(VERSION, &[]).await?;
        check_version(version.try_get("version")?)?;
        let mut opened = match open_on(&client, statements, now).await {
            Err(Problem::Database(error)) if is_not_made(&error) => {
                client.batch_execute(&statements.migration).await?;
                open_on(&client, statements, now).await?
            }
            opened => opened?,
        };
        if !opened.is_durable {
            opened.fix = Some(fix(&client, &database.schema).await?);
        }
        Ok(opened)
    };
    match timeout_at(deadline, opened).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(Problem::Database(error))) => Err(unavailable(database.said(&text(&error)))),
        Ok(Err(Problem::Store(error))) => Err(error),
        Err(_) => Err(unavailable(database.said("it cannot be reached in time"))),
    }
}

/// Checks what the server says its version is: 10,000 times the number of the major one, and the
/// minor one.
fn check_version(text: &str) -> Result<(), StoreError> {
    match text.parse::<u32>() {
        Ok(version) if version / 10_000 >= LEAST_VERSION => Ok(()),
        Ok(version) => Err(setup(format!(
            "expected PostgreSQL {LEAST_VERSION} or later, but the server is version {}.{}",
            version / 10_000,
            version % 10_000
        ))),
        Err(_) => Err(setup(
            "expected a number as the server's `server_version_num`",
        )),
    }
}

enum Problem {
    Database(tokio_postgres::Error),
    Store(StoreError),
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn open_on(
    client: &Client,
    statements: &Statements,
    now: Timestamp,
) -> Result<Opened, Problem> {
    let new_id = StoreId::random()?;
    let (new_id, now) = (new_id.as_bytes().as_slice(), created_at(now).map(seconds));
    let parameters: [Parameter<'_>; 2] = [(&new_id, Type::BYTEA), (&now, Type::INT8)];
    let row = client
        .query_typed_one(&statements.open, &parameters)
        .await?;
    let id: &[u8] = row.try_get("id")?;
    let id = id
        .try_into()
        .map_err(|_| unavailable("the table has an id of another length"))?;
    // If the clock was not set, no proof without a key of ours is young enough.
    let created_at = row
        .try_get::<_, Option<i64>>("created_at")?
        .and_then(|at| u64::try_from(at).ok())
        .map_or(Timestamp::MAX, Timestamp::from_unix_seconds);
    Ok(Opened {
        id: StoreId::from_bytes(id),
        created_at,
        server: row.try_get("server")?,
        is_durable: row.try_get("durable")?,
        fix: None,
    })
}

/// Returns what to change so that a store is durable that is not.
async fn fix(client: &Client, schema: &str) -> Result<String, tokio_postgres::Error> {
    let statement = SETTINGS.replace("{schema}", schema);
    let row = client.query_typed_one(&statement, &[]).await?;
    let mut fixes = Vec::new();
    if row.try_get::<_, &str>("fsync")? != "on" {
        fixes.push("set `fsync = on` at the server".to_owned());
    }
    if row.try_get::<_, &str>("commits")? == "off" {
        fixes.push("set `synchronous_commit = on` for its role, database and server".to_owned());
    }
    if row.try_get::<_, bool>("unlogged")? {
        fixes.push(format!("run `ALTER TABLE {schema}.entries SET LOGGED`"));
    }
    Ok(fixes.join(", and "))
}

const SETTINGS: &str = "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commits,
    (SELECT relpersistence <> 'p' FROM pg_class WHERE oid = '{schema}.entries'::regclass) AS unlogged";
const VERSION: &str = "SELECT current_setting('server_version_num') AS version";
const LEAST_VERSION: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::StoreErrorKind;

    #[test]
    fn a_server_before_version_15_is_refused_and_the_error_says_so() {
        for version in ["150000", "150013", "160004", "180000"] {
            assert!(check_version(version).is_ok(), "{version}");
        }
        for version in ["140019", "90624", "0", "", "15.3", "-150000"] {
            let error = check_version(version).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Setup, "{version}");
            assert!(error.to_string().contains("expected"), "{error}");
        }
        let error = check_version("140019").unwrap_err().to_string();
        assert!(
            error.contains("15 or later") && error.contains("14.19"),
            "{error}"
        );
    }
}
