use serde::{Deserialize, Deserializer, de::Error as _};

/// A 64-bit number as protocol buffers write it in JSON, a string, or as people do, a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
            Nothing(()),
        }
        match Either::deserialize(deserializer) {
            Ok(Either::Number(number)) => Some(number),
            Ok(Either::Text(text)) => text.parse().ok(),
            Ok(Either::Nothing(())) => Some(0),
            Err(_) => None,
        }
        .map(Self)
        .ok_or_else(|| D::Error::custom("expected a whole number of 0 at least, or a string of one"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_as_numbers_and_as_strings() {
        for text in ["7", "\"7\""] {
            assert_eq!(serde_json::from_str::<Number>(text).unwrap(), Number(7));
        }
        for text in ["-7", "\"-7\"", "7.5", "\"\"", "{}"] {
            assert!(serde_json::from_str::<Number>(text).is_err(), "{text}");
        }
    }
}
