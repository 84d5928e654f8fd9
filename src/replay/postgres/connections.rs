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
    error::{Failure, refused, store_error, unavailable},
    gate::Gate,
    open::Opened,
    seen::{Seen, SeenRow, Write},
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
    pub(super) seen: Mutex<Seen>,
    pub(super) checking: tokio::sync::Mutex<()>,
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
    /// What it may write. The answer tells what it did in its columns `row_version`, `row_ends` and
    /// `use_ends`. Of several, the column `number` says which.
    pub(super) writes: &'a [Write],
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
                Ok(Err(error)) => self.database.cannot_connect(&error),
                Err(_) => self.database.said("it cannot be reached in time"),
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

    /// Leaves a connection whose server takes too long.
    fn abandon(&self, connection: &mut Connection) {
        if let Some(client) = connection.client.take() {
            self.database.cancel(&client);
        }
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

/// Returns the rows that were written, as an answer tells.
fn seen_rows(statement: &Statement<'_>, rows: &[Row]) -> Vec<SeenRow> {
    let seen = |row: &Row| {
        let write = match row.try_get::<_, i64>("number") {
            Ok(number) => statement
                .writes
                .get(usize::try_from(number).ok()?.checked_sub(1)?),
            Err(_) => statement.writes.first(),
        };
        Some(SeenRow {
            write: write?.clone(),
            version: row.try_get("row_version").ok()?,
            ends: row.try_get("row_ends").ok()?,
            use_ends: row.try_get("use_ends").unwrap_or_default(),
        })
    };
    match statement.writes {
        [] => Vec::new(),
        _ => rows.iter().filter_map(seen).collect(),
    }
}

const ATTEMPTS: usize = 8;
