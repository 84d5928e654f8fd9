use std::io::{self, Write};

use super::csv;
use crate::ledger::{Entry, Ledger, LedgerError};

impl Ledger {
    /// Writes all entries as JSON Lines, oldest first: one object for each, as [`Entry`] is
    /// serialised. Amounts are in msat, and times in Unix seconds.
    ///
    /// # Errors
    ///
    /// An error of the writer, or a [`LedgerError`] inside one of kind
    /// [`Other`](io::ErrorKind::Other).
    pub fn export_json_lines(&self, mut writer: impl Write) -> io::Result<()> {
        self.each(|entry| {
            serde_json::to_writer(&mut writer, entry)?;
            writer.write_all(b"\n")
        })?;
        writer.flush()
    }

    /// Writes all entries as CSV ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180.html)), oldest
    /// first, after a line with the names of the columns. Amounts are in msat, and times in ISO
    /// 8601 and in UTC.
    ///
    /// Texts are in quotes. One that a spreadsheet could take for a formula has a single quote in
    /// front.
    ///
    /// # Errors
    ///
    /// As for [`export_json_lines`](Self::export_json_lines).
    pub fn export_csv(&self, mut writer: impl Write) -> io::Result<()> {
        csv::write_names(&mut writer)?;
        self.each(|entry| csv::write_entry(&mut writer, entry))?;
        writer.flush()
    }

    /// Shows each entry to `show`, a page at a time, so that a slow writer holds up nobody.
    pub(super) fn each(&self, mut show: impl FnMut(&Entry) -> io::Result<()>) -> io::Result<()> {
        let mut last: Option<Entry> = None;
        loop {
            let page = self.entries(last.as_ref()).map_err(other)?;
            page.iter().try_for_each(&mut show)?;
            last = page.into_iter().next_back();
            if last.is_none() {
                return Ok(());
            }
        }
    }
}

fn other(error: LedgerError) -> io::Error {
    io::Error::other(error)
}
