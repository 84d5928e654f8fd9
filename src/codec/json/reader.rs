//! Parses text into a JSON value.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::value::{Json, Object};

/// The member name with which serde_json passes a number, as a map of this one member, if its
/// feature `arbitrary_precision` is on. Any crate of the application may turn that on.
///
/// The text may hold a member of this name too, escaped or not. Only serde_json's own is a borrowed
/// string that lies outside the text.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// The error for text that is not JSON, repeats a member, or nests deeper than 127 levels.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct JsonError;

/// Parses a text that holds exactly one value. The caller limits its length.
///
/// # Errors
///
/// [`JsonError`] if the text is anything else.
pub fn parse(text: &str) -> Result<Json<'_>, JsonError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut value = Json::Null;
    Reader {
        text,
        slot: &mut value,
    }
    .deserialize(&mut reader)
    .map_err(|_| JsonError)?;
    reader.end().map_err(|_| JsonError)?;
    Ok(value)
}

/// Parses a value directly into its place in the tree. Moving each value up through its parents
/// would cost a fifth of the parsing time.
pub(super) struct Reader<'de, 's> {
    pub(super) text: &'de str,
    pub(super) slot: &'s mut Json<'de>,
}

impl<'de> DeserializeSeed<'de> for Reader<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        *self.slot = Json::Null;
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        *self.slot = Json::Bool(value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        *self.slot = Json::Unsigned(value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        *self.slot = Json::Signed(value);
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        *self.slot = Json::Float(value);
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<(), E> {
        *self.slot = Json::Text(Cow::Borrowed(value));
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        *self.slot = Json::Text(Cow::Owned(value.to_owned()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut array = Vec::new();
        let mut item = Json::Null;
        while items
            .next_element_seed(Reader {
                text: self.text,
                slot: &mut item,
            })?
            .is_some()
        {
            array.push(std::mem::replace(&mut item, Json::Null));
        }
        *self.slot = Json::Array(array);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut object = Object::default();
        let mut name = Cow::Borrowed("");
        while members.next_key_seed(Name(&mut name))?.is_some() {
            if object.is_empty() {
                if matches!(name, Cow::Borrowed(NUMBER))
                    && !self.text.as_bytes().as_ptr_range().contains(&name.as_ptr())
                {
                    members.next_value_seed(Name(&mut name))?;
                    *self.slot =
                        number(&name).ok_or_else(|| A::Error::custom("expected a number"))?;
                    return Ok(());
                }
                object.0.reserve(8);
            }
            let (_, slot) = object.0.push_mut((std::mem::take(&mut name), Json::Null));
            members.next_value_seed(Reader {
                text: self.text,
                slot,
            })?;
        }
        if object.repeats() {
            return Err(A::Error::custom("a member is repeated"));
        }
        *self.slot = Json::Object(object);
        Ok(())
    }
}

/// Parses the text of a number, with the same result as without `arbitrary_precision`.
fn number(digits: &str) -> Option<Json<'static>> {
    let mut reader =
        serde_json::Deserializer::from_str((digits.trim_ascii() == digits).then_some(digits)?);
    let mut value = Json::Null;
    reader
        .deserialize_f64(Reader {
            text: digits,
            slot: &mut value,
        })
        .ok()?;
    reader.end().ok()?;
    match value {
        Json::Unsigned(value) => Some(Json::Unsigned(value)),
        Json::Signed(value) => Some(Json::Signed(value)),
        Json::Float(value) => Some(Json::Float(value)),
        _ => None,
    }
}

struct Name<'de, 's>(&'s mut Cow<'de, str>);

impl<'de> DeserializeSeed<'de> for Name<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<(), E> {
        *self.0 = Cow::Borrowed(value);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        *self.0 = Cow::Owned(value.to_owned());
        Ok(())
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected JSON without repeated members")
    }
}

impl std::error::Error for JsonError {}
