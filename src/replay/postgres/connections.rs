//! The connections of a store, and how a statement is carried out on one of them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};
use tokio_postgres::{Client, Row, types::Type};

use super::{
    error::{Failure, refused, store_error, text, unavailable},
    gate::Gate,
    open::Opened,
    seen::{Seen, SeenRow},
    statements::{Parameter, Statements, seconds},
    url::Database,
};
use crate::{
    clock::Clock,
    lock::lock,
    replay::{StoreError, StoreErrorKind, StoreId},
};

/// What all calls of a store share.
pub(super) struct Connections {
    pub(super) database: Database,
    pub(super) statements: Statements,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) time_limit: Duration,
    pub(super) id: StoreId,
    pub(super) is_durable: bool,
    /// One permit for each connection.
    free: Semaphore,
    idle: Mutex<Vec<Connection>>,
    gate: Mutex<Gate>,
    seen: Mutex<Seen>,
    checking: tokio::sync::Mutex<()>,
}

/// One of the store's connections, which is made when it is first needed and after it was lost.
struct Connection {
    number: usize,
    client: Option<Client>,
}

/// A statement that begins with the store, the server and the durability that it expects.
pub(super) struct Statement<'a> {
    pub(super) text: &'a str,
    pub(super) parameters: &'a [Parameter<'a>],
    /// Carrying it out again does nothing more.
    pub(super) is_idempotent: bool,
    /// The keys of the rows that the answer tells the versions of, in its columns `row_version` and
    /// `row_ends`. Of several, the column `number` says which.
    pub(super) row_keys: &'a [Vec<u8>],
}

/// A connection that nobody else uses until this is dropped.
pub(super) struct Held<'a> {
    connections: &'a Connections,
    connection: Connection,
    _permit: SemaphorePermit<'a>,
}

impl Held<'_> {
    /// Carries out a statement.
    pub(super) async fn run(
        &mut self,
        deadline: Instant,
        statement: &Statement<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.connections
            .run_on(&mut self.connection, statement, deadline)
            .await
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let connection = Connection {
            number: self.connection.number,
            client: self.connection.client.take(),
        };
        lock(&self.connections.idle).push(connection);
    }
}

impl Connections {
    pub(super) fn new(
        database: Database,
        statements: Statements,
        clock: Arc<dyn Clock>,
        time_limit: Duration,
        opened: &Opened,
    ) -> Self {
        let connection = |number| Connection {
            number,
            client: None,
        };
        let mut seen = Seen::default();
        seen.adopt(opened.server, &[]);
        Self {
            free: Semaphore::new(database.connections),
            idle: Mutex::new((0..database.connections).map(connection).collect()),
            database,
            statements,
            clock,
            time_limit,
            id: opened.id,
            is_durable: opened.is_durable,
            gate: Mutex::default(),
            seen: Mutex::new(seen),
            checking: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the present moment as the database holds it.
    pub(super) fn now(&self) -> i64 {
        seconds(self.clock.now())
    }

    /// Returns until when a call that begins now may take.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.time_limit
    }

    /// Carries out a statement.
    pub(super) async fn run(
        &self,
        deadline: Instant,
        statement: Statement<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut held = timeout_at(deadline, self.hold()).await.map_err(|_| {
            refused("all connections were busy for too long; `connections` in the URL allows more")
        })??;
        held.run(deadline, &statement).await
    }

    /// Waits for a connection.
    pub(super) async fn hold(&self) -> Result<Held<'_>, StoreError> {
        let permit = self.free.acquire().await;
        let connection = lock(&self.idle).pop();
        match (permit, connection) {
            (Ok(permit), Some(connection)) => Ok(Held {
                connections: self,
                connection,
                _permit: permit,
            }),
            _ => Err(refused("no connection is free")),
        }
    }

    async fn run_on(
        &self,
        connection: &mut Connection,
        statement: &Statement<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        if let Some(why) = lock(&self.seen).ended() {
            return Err(store_error(StoreErrorKind::Corrupt, why));
        }
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            let client = match self.connected(&mut connection.client, deadline).await {
                Ok(client) => client,
                // What was asked before may have been done.
                Err(error) => return Err(failed.unwrap_or(error)),
            };
            let server = lock(&self.seen).server();
            let asked = match server {
                Some(server) => self.ask(client, server, statement, deadline).await,
                None => self.check(client, deadline).await.map(|()| None),
            };
            match asked {
                Ok(Some(rows)) => {
                    let seen = seen_rows(statement, &rows);
                    lock(&self.seen).note(connection.number, server.unwrap_or_default(), seen);
                    return Ok(rows);
                }
                Ok(None) => {}
                Err(Failure::AnotherServer) => {
                    let mut seen = lock(&self.seen);
                    if seen.server() == server {
                        seen.leave_server();
                    }
                }
                Err(Failure::AnotherStore(why)) => return Err(self.end(&why)),
                Err(Failure::Conflict(why)) => failed = failed.or(Some(refused(why))),
                Err(Failure::Lost(why)) => {
                    connection.client = None;
                    let error = unavailable(why);
                    if !statement.is_idempotent {
                        return Err(error);
                    }
                    failed = Some(error);
                }
                Err(Failure::Refused(kind, why)) => {
                    if kind == StoreErrorKind::Refused {
                        // The server only reads, for example: look for another one, but not at once.
                        connection.client = None;
                        lock(&self.gate).failed(Instant::now(), why.clone());
                    }
                    let error = store_error(kind, why);
                    return Err(failed.unwrap_or(error));
                }
                Err(Failure::TimedOut) => {
                    self.abandon(connection);
                    return Err(unavailable("the database did not answer in time"));
                }
            }
        }
        Err(failed.unwrap_or_else(|| refused("the database changed too often meanwhile")))
    }

    /// Connects if there is no connection.
    async fn connected<'a>(
        &self,
        client: &'a mut Option<Client>,
        deadline: Instant,
    ) -> Result<&'a Client, StoreError> {
        if client.as_ref().is_none_or(Client::is_closed) {
            *client = None;
            lock(&self.gate).enter(Instant::now()).map_err(refused)?;
            let connected = timeout_at(deadline, self.database.connect()).await;
            let cause = match connected {
                Ok(Ok(connected)) => {
                    lock(&self.gate).succeeded();
                    return Ok(client.insert(connected));
                }
                Ok(Err(error)) => text(&error),
                Err(_) => "the database cannot be reached in time".to_owned(),
            };
            lock(&self.gate).failed(Instant::now(), cause.clone());
            return Err(refused(cause));
        }
        client.as_ref().ok_or_else(|| refused("no connection"))
    }

    async fn ask(
        &self,
        client: &Client,
        server: i64,
        statement: &Statement<'_>,
        deadline: Instant,
    ) -> Result<Option<Vec<Row>>, Failure> {
        let id = self.id.as_bytes().as_slice();
        let expected: [Parameter<'_>; 3] = [
            (&id, Type::BYTEA),
            (&server, Type::INT8),
            (&self.is_durable, Type::BOOL),
        ];
        let parameters = [&expected, statement.parameters].concat();
        query(client, statement.text, &parameters, deadline)
            .await
            .map(Some)
    }

    /// Checks that the server has all that this process saw, and takes it as the server if so.
    async fn check(&self, client: &Client, deadline: Instant) -> Result<(), Failure> {
        let Ok(_one_at_a_time) = timeout_at(deadline, self.checking.lock()).await else {
            return Err(Failure::TimedOut);
        };
        if lock(&self.seen).server().is_some() {
            return Ok(());
        }
        let rows = lock(&self.seen).rows();
        let id = self.id.as_bytes().as_slice();
        let keys: Vec<&[u8]> = rows.iter().map(|row| row.key.as_slice()).collect();
        let versions: Vec<i64> = rows.iter().map(|row| row.version).collect();
        let ends: Vec<i64> = rows.iter().map(|row| row.ends).collect();
        let parameters: [Parameter<'_>; 5] = [
            (&id, Type::BYTEA),
            (&self.is_durable, Type::BOOL),
            (&keys, Type::BYTEA_ARRAY),
            (&versions, Type::INT8_ARRAY),
            (&ends, Type::INT8_ARRAY),
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

    /// Leaves a connection whose server takes too long.
    fn abandon(&self, connection: &mut Connection) {
        if let Some(client) = connection.client.take() {
            self.database.cancel(&client);
        }
    }

    /// Notes that the store must not be used any more.
    fn end(&self, why: &str) -> StoreError {
        let why = format!(
            "{why}; the store has a new id, or must be made again: connect again. What was sold for counted access before is refused then"
        );
        crate::trace::error(format_args!("{}: {why}", super::error::NAME));
        lock(&self.seen).end(why.clone());
        store_error(StoreErrorKind::Corrupt, why)
    }
}

/// Carries out one statement that has no name, in one round trip.
pub(super) async fn query(
    client: &Client,
    text: &str,
    parameters: &[Parameter<'_>],
    deadline: Instant,
) -> Result<Vec<Row>, Failure> {
    match timeout_at(deadline, client.query_typed(text, parameters)).await {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => Err(Failure::of(&error)),
        Err(_) => Err(Failure::TimedOut),
    }
}

/// Returns the rows of the table that an answer tells of.
fn seen_rows(statement: &Statement<'_>, rows: &[Row]) -> Vec<SeenRow> {
    let seen = |row: &Row| {
        let key = match row.try_get::<_, i64>("number") {
            Ok(number) => statement
                .row_keys
                .get(usize::try_from(number).ok()?.checked_sub(1)?),
            Err(_) => statement.row_keys.first(),
        };
        Some(SeenRow {
            key: key?.clone(),
            version: row.try_get("row_version").ok()?,
            ends: row.try_get("row_ends").ok()?,
        })
    };
    match statement.row_keys {
        [] => Vec::new(),
        _ => rows.iter().filter_map(seen).collect(),
    }
}

const ATTEMPTS: usize = 8;
