//! JSON as it was sent: a tree that borrows from its text. A member that stands twice is refused, because two readers of
//! such a text may see two different documents.

use std::{borrow::Cow, fmt};

use serde::{
    Serialize, Serializer,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap as _,
};

/// Under serde_json's feature `arbitrary_precision` (any crate of the application may turn it on) a number arrives as a map
/// of this one member. The text may hold a member of this name too, escaped or not: only serde_json's own is borrowed, and
/// from elsewhere than the text.
const NUMBER: &str = "$serde_json::private::Number";

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Json<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Object<'a>),
}

/// The members of an object, in their order, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

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
    Reader { text, slot: &mut value }.deserialize(&mut reader).map_err(|_| JsonError)?;
    reader.end().map_err(|_| JsonError)?;
    Ok(value)
}

/// Adds a text in quotes, escaped where it must be.
pub fn push_text(json: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        json.push_str(&serde_json::to_string(text).unwrap_or_else(|_| unreachable!("a text can always be written")));
    } else {
        json.extend(["\"", text, "\""]);
    }
}

impl<'a> Json<'a> {
    /// A text that is known already.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    pub fn into_object(self) -> Option<Object<'a>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }
}

impl<'a> Object<'a> {
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, value)| value)
    }

    /// Removes a member and returns its value.
    pub fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let index = self.0.iter().position(|(held, _)| held == name)?;
        Some(self.0.swap_remove(index).1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn repeats(&self) -> bool {
        let members = &self.0;
        if members.len() <= 16 {
            return (1..members.len()).any(|i| members[..i].iter().any(|(name, _)| *name == members[i].0));
        }
        let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// The caller sees to it that no name stands twice.
impl<'a> FromIterator<(&'a str, Json<'a>)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, Json<'a>)>>(members: I) -> Self {
        Self(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(members) => members.serialize(serializer),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        self.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected JSON in which no member stands twice")
    }
}

impl std::error::Error for JsonError {}

/// Reads a value to where it belongs: moving each up through its parents costs a fifth of all the reading.
struct Reader<'de, 's> {
    text: &'de str,
    slot: &'s mut Json<'de>,
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
        while items.next_element_seed(Reader { text: self.text, slot: &mut item })?.is_some() {
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
                if matches!(name, Cow::Borrowed(NUMBER)) && !self.text.as_bytes().as_ptr_range().contains(&name.as_ptr()) {
                    members.next_value_seed(Name(&mut name))?;
                    *self.slot = number(&name).ok_or_else(|| A::Error::custom("no number"))?;
                    return Ok(());
                }
                object.0.reserve(8);
            }
            let (_, slot) = object.0.push_mut((std::mem::take(&mut name), Json::Null));
            members.next_value_seed(Reader { text: self.text, slot })?;
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
    let mut reader = serde_json::Deserializer::from_str((digits.trim_ascii() == digits).then_some(digits)?);
    let mut value = Json::Null;
    reader.deserialize_f64(Reader { text: digits, slot: &mut value }).ok()?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::value::{BorrowedStrDeserializer, Error as ValueError, MapDeserializer};

    use super::*;

    proptest! {
        #[test]
        fn a_pushed_text_is_written_as_serde_json_writes_it(text in "([a-z/ ]|\\PC|[\0-\u{1f}\"\\\\\u{7f}]){0,40}") {
            let mut json = String::new();
            push_text(&mut json, &text);
            prop_assert_eq!(json, serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_at_any_depth() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"b":{"a":1,"c":2,"a":3}}]"#,
            r#"{"a":1} "#.repeat(2).as_str(),
            "",
            "{",
            "[1,]",
            "NaN",
            "\"\\ud800\"",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let many =
            |last: u32| format!("{{{},\"{last}\":0}}", (0..40).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","));
        assert!(parse(&many(40)).is_ok());
        assert!(parse(&many(7)).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(100)).is_ok());
        assert!(parse(&nested(200)).is_err());
    }

    #[test]
    fn types_are_told_apart() {
        assert_eq!(parse("300").unwrap(), Json::Unsigned(300));
        assert_eq!(parse("300.0").unwrap(), Json::Float(300.0));
        assert_eq!(parse("-3").unwrap(), Json::Signed(-3));
        assert_eq!(parse("\"300\"").unwrap(), Json::text("300"));
        assert_eq!(parse("null").unwrap(), Json::Null);
    }

    #[test]
    fn numbers_are_read_under_arbitrary_precision_too() {
        let number = |digits: &'static str| {
            let member = (BorrowedStrDeserializer::<ValueError>::new(NUMBER), digits);
            let mut value = Json::Null;
            let read = Reader { text: "", slot: &mut value }.visit_map(MapDeserializer::new([member].into_iter()));
            read.ok().map(|()| value)
        };
        assert_eq!(number("300"), Some(Json::Unsigned(300)));
        assert_eq!(number("-3"), Some(Json::Signed(-3)));
        assert_eq!(number("300.0"), Some(Json::Float(300.0)));
        for text in ["-0", "0", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "1e3", "2.5E-1"] {
            assert_eq!(number(text), parse(text).ok(), "{text}");
        }
        for bad in ["+5", "0005", "-", "", " 5", "5 ", ".5", "5.", "1e", "inf", "NaN", "0x1", "1e400", "5,", "[5]"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_member_named_like_serde_jsons_own_is_a_member() {
        for name in [NUMBER, "\\u0024serde_json::private::Number", "$serde_json::private::\\u004eumber"] {
            for value in ["\"5\"", "\"+5\"", "\"0005\"", "\"x\"", "5", "[]"] {
                let text = format!("{{\"{name}\":{value}}}");
                let object = Object([(NUMBER.into(), parse(value).unwrap())].into());
                assert_eq!(parse(&text).unwrap(), Json::Object(object.clone()), "{text}");
                let text = format!("[1,{text},{{\"a\":{text}}},-1.5]");
                let Json::Array(items) = parse(&text).unwrap() else { panic!("{text}") };
                assert_eq!((&items[0], &items[1], &items[3]), (&Json::Unsigned(1), &Json::Object(object), &Json::Float(-1.5)));
            }
            assert!(parse(&format!("{{\"{name}\":1,\"{NUMBER}\":2}}")).is_err(), "twice");
        }
    }
}
