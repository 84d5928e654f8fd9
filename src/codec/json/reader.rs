//! From a text to a value.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::value::{Json, Object};

/// Under serde_json's feature `arbitrary_precision` (any crate of the application may turn it on) a
/// number arrives as a map of this one member. The text may hold a member of this name too, escaped
/// or not: only serde_json's own is borrowed, and from elsewhere than the text.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// A text that is no JSON, repeats a member, or nests deeper than 127 levels.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct JsonError;

/// Reads one value and nothing after it.
///
/// # Errors
///
/// Where the text is anything else, see [`JsonError`]. The caller bounds its length.
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

/// Reads a value to where it belongs: moving each up through its parents costs a fifth of all the
/// reading.
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
                    *self.slot = number(&name).ok_or_else(|| A::Error::custom("no number"))?;
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
            return Err(A::Error::custom("a member that stands twice"));
        }
        *self.slot = Json::Object(object);
        Ok(())
    }
}

/// A number as it is read without that feature, from text that JSON calls a number.
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
        f.write_str("a text")
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
        f.write_str("expected JSON in which no member stands twice")
    }
}

impl std::error::Error for JsonError {}
