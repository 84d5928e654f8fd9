//! What this process saw written, so that a server that lost some of it is detected.

use std::collections::HashMap;

use crate::replay::{StoreError, UseId};

/// What a statement may write into a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The key of the row in the table.
    pub(super) key: Vec<u8>,
    /// The use that is taken from a payment.
    pub(super) use_id: Option<UseId>,
    /// What comes with this write and with no other.
    pub(super) mark: i64,
}

/// The row that a statement wrote, as the answer to it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenRow {
    pub(super) write: Write,
    pub(super) version: i64,
    /// The last second at which the row must be there.
    pub(super) ends: i64,
    /// The last second at which the use must be known, if the row has it.
    pub(super) use_ends: Option<i64>,
}

/// The server that answers, and the latest rows that each connection saw. A connection's statements
/// come one after another, and a server that lost something lost the end of its log. So if the
/// latest rows are there, all earlier ones are.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The start of the server that has all of these rows; `None` if that must be checked.
    server: Option<i64>,
    rows: HashMap<usize, Vec<SeenRow>>,
    /// Why the store must not be used any more.
    ended: Option<String>,
}

impl Seen {
    pub(super) const fn server(&self) -> Option<i64> {
        self.server
    }

    /// Notes an answer of the server that was started at `server`.
    pub(super) fn note(&mut self, connection: usize, server: i64, rows: Vec<SeenRow>) {
        if rows.is_empty() {
            return;
        }
        self.rows.insert(connection, rows);
        if self.server != Some(server) {
            // It came from a server that was left meanwhile, and the new one may lack it.
            self.server = None;
        }
    }

    pub(super) fn rows(&self) -> Vec<SeenRow> {
        self.rows.values().flatten().cloned().collect()
    }

    /// Takes a server as the one that has all rows, if no answer came since `checked`.
    pub(super) fn adopt(&mut self, server: i64, checked: &[SeenRow]) {
        let is_checked = |row: &SeenRow| checked.contains(row);
        if self.rows.values().flatten().all(is_checked) {
            self.server = Some(server);
        }
    }

    pub(super) fn leave_server(&mut self) {
        self.server = None;
    }

    pub(super) fn end(&mut self, why: String) {
        self.ended.get_or_insert(why);
    }

    pub(super) fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }
}

/// Returns a random mark, as the database holds it.
pub(super) fn mark() -> Result<i64, StoreError> {
    crate::replay::mark::mark().map(i64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: i64) -> SeenRow {
        SeenRow {
            write: Write {
                key: vec![b'p'],
                use_id: None,
                mark: version,
            },
            version,
            ends: 9,
            use_ends: None,
        }
    }

    #[test]
    fn an_answer_of_a_server_that_was_left_must_be_checked() {
        let mut seen = Seen::default();
        seen.adopt(1, &[]);
        seen.note(0, 1, vec![row(1)]);
        assert_eq!(seen.server(), Some(1));
        seen.adopt(2, &[row(1)]);
        assert_eq!(seen.server(), Some(2));
        seen.note(0, 1, vec![row(2)]);
        assert_eq!(seen.server(), None);
    }

    #[test]
    fn a_server_is_not_adopted_if_an_answer_came_while_it_was_checked() {
        let mut seen = Seen::default();
        seen.note(0, 1, vec![row(1)]);
        let checked = seen.rows();
        seen.note(1, 1, vec![row(2)]);
        seen.adopt(2, &checked);
        assert_eq!(seen.server(), None);
        seen.adopt(2, &seen.rows());
        assert_eq!(seen.server(), Some(2));
    }
}
