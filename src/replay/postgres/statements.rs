//! The statements of a store. Each is one call of a function that the migration made.

use tokio_postgres::types::{ToSql, Type};

use crate::clock::Timestamp;

/// A parameter of a statement, and its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The texts of the statements for one schema.
pub(super) struct Statements {
    pub(super) migration: String,
    pub(super) open: String,
    pub(super) check: String,
    pub(super) renew: String,
    pub(super) consume: String,
    pub(super) settle: String,
    pub(super) prune: String,
    pub(super) ready: String,
    pub(super) put: String,
    pub(super) delete: String,
    pub(super) read: String,
}

impl Statements {
    /// `schema` is a checked name.
    pub(super) fn new(schema: &str) -> Self {
        let call = |function: &str, parameters: usize| {
            let places: Vec<_> = (1..=parameters).map(|place| format!("${place}")).collect();
            format!("SELECT * FROM {schema}.{function}_1({})", places.join(", "))
        };
        Self {
            migration: format!("BEGIN;\n{}\nCOMMIT;", FUNCTIONS.replace("{schema}", schema)),
            open: call("open", 2),
            check: call("check", 8),
            renew: call("renew", 3),
            consume: call("consume", 11),
            settle: call("settle", 8),
            prune: call("prune", 5),
            ready: call("ready", 3),
            put: call("put", 8),
            delete: call("delete", 5),
            read: call("read", 7),
        }
    }
}

const FUNCTIONS: &str = concat!(
    include_str!("schema/store.sql"),
    include_str!("schema/payments.sql"),
    include_str!("schema/records.sql"),
);

/// Returns a moment as the database holds it, at most the last one that it can hold.
pub(super) fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_unix_seconds()).unwrap_or(i64::MAX)
}
