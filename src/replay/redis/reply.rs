//! Reading what a server answers.

use redis::Value;

/// Returns the items of a list, or nothing.
pub(super) fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => Vec::new(),
    }
}

/// Returns a number.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// Returns bytes.
pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.into_bytes()),
        _ => None,
    }
}

/// Returns a text for people or a keyword. What is no UTF-8 is replaced.
pub(super) fn text(value: Value) -> String {
    String::from_utf8_lossy(&bytes(value).unwrap_or_default()).into_owned()
}
