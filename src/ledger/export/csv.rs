use std::{
    fmt::Display,
    io::{self, Write},
};

use crate::{clock::Timestamp, ledger::Entry, payment::Amount};

/// Writes the names of the columns, which are those of the members in JSON.
pub(super) fn write_names(writer: &mut impl Write) -> io::Result<()> {
    let names = COLUMNS.map(|(name, _)| name).join(",");
    write!(writer, "{names}\r\n")
}

pub(super) fn write_entry(writer: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let cells = COLUMNS.map(|(_, cell)| cell(entry).to_csv()).join(",");
    write!(writer, "{cells}\r\n")
}

/// What a line says in one column.
enum Cell {
    Amount(Amount),
    Empty,
    Number(u16),
    Text(String),
    Time(Timestamp),
}

impl Cell {
    fn to_csv(&self) -> String {
        match self {
            Self::Amount(amount) => amount.as_msat().to_string(),
            Self::Empty => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => quoted(text),
            Self::Time(moment) => moment.to_iso_8601(),
        }
    }

    fn text(text: impl Display) -> Self {
        Self::Text(format!("{text}"))
    }

    fn or_empty<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Empty, cell)
    }
}

/// Returns a text in quotes. Spreadsheets run a cell as a formula, in quotes or not, if it starts
/// with one of these characters, some of them also with the wide forms.
fn quoted(text: &str) -> String {
    let starts = |c: char| "=+-@\t\r\n\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(c);
    let mark = if text.trim_start_matches(' ').starts_with(starts) {
        "'"
    } else {
        ""
    };
    format!("\"{mark}{}\"", text.replace('"', "\"\""))
}

type Column = (&'static str, fn(&Entry) -> Cell);

const COLUMNS: [Column; 24] = [
    ("id", |entry| Cell::text(entry.id())),
    ("direction", |entry| Cell::text(entry.direction().as_str())),
    ("state", |entry| Cell::text(entry.state())),
    ("is_cleared", |entry| Cell::text(entry.is_cleared())),
    ("network", |entry| Cell::text(entry.network())),
    ("payment_hash", |entry| Cell::text(entry.payment_hash())),
    ("amount_msat", |entry| Cell::Amount(entry.amount())),
    ("max_fee_msat", |entry| Cell::Amount(entry.max_fee())),
    ("fee_msat", |entry| {
        Cell::or_empty(entry.fee(), Cell::Amount)
    }),
    ("origin", |entry| Cell::text(entry.origin())),
    ("host", |entry| Cell::text(entry.host())),
    ("method", |entry| Cell::text(entry.method())),
    ("path", |entry| Cell::text(entry.path())),
    ("dialect", |entry| Cell::text(entry.dialect())),
    ("description", |entry| {
        Cell::or_empty(entry.description(), Cell::text)
    }),
    ("budget", |entry| Cell::or_empty(entry.budget(), Cell::text)),
    ("payer", |entry| Cell::or_empty(entry.payer(), Cell::text)),
    ("created_at", |entry| Cell::Time(entry.created_at())),
    ("sent_at", |entry| {
        Cell::or_empty(entry.sent_at(), Cell::Time)
    }),
    ("paid_at", |entry| {
        Cell::or_empty(entry.paid_at(), Cell::Time)
    }),
    ("ended_at", |entry| {
        Cell::or_empty(entry.ended_at(), Cell::Time)
    }),
    ("redeem_until", |entry| Cell::Time(entry.redeem_until())),
    ("answered", |entry| {
        Cell::or_empty(entry.answered(), Cell::Number)
    }),
    ("note", |entry| Cell::or_empty(entry.note(), Cell::text)),
];
