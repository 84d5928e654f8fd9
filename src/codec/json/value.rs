//! A JSON value in memory, and how it is written.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

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

/// The members of an object, in their order. Each name occurs once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(pub(super) Vec<(Cow<'a, str>, Json<'a>)>);

/// Appends a JSON string in quotes, with escapes if they are needed.
pub fn push_text(json: &mut String, text: &str) {
    let has_control = text.bytes().fold(false, |any, byte| any | (byte < b' '));
    if has_control {
        json.push_str(
            &serde_json::to_string(text)
                .unwrap_or_else(|_| unreachable!("a string can always be serialised")),
        );
        return;
    }
    json.push('"');
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) {
        let (before, escaped) = rest.split_at(at);
        json.extend([before, "\\", &escaped[..1]]);
        rest = &escaped[1..];
    }
    json.extend([rest, "\""]);
}

impl<'a> Json<'a> {
    /// Creates a JSON string.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }

    pub fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }

    /// The same value with copies of all that it borrows.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Unsigned(value) => Json::Unsigned(value),
            Self::Signed(value) => Json::Signed(value),
            Self::Float(value) => Json::Float(value),
            Self::Text(text) => Json::Text(Cow::Owned(text.into_owned())),
            Self::Array(items) => Json::Array(items.into_iter().map(Self::into_owned).collect()),
            Self::Object(members) => Json::Object(members.into_owned()),
        }
    }

    pub fn into_object(self) -> Option<Object<'a>> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }
}

impl<'a> Object<'a> {
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0
            .iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value)
    }

    /// The same object with copies of all that it borrows.
    pub fn into_owned(self) -> Object<'static> {
        let members = self.0.into_iter();
        Object(
            members
                .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
                .collect(),
        )
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

    pub(super) fn repeats(&self) -> bool {
        let members = &self.0;
        if members.len() <= 16 {
            return (1..members.len())
                .any(|i| members[..i].iter().any(|(name, _)| *name == members[i].0));
        }
        let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// Creates an object. The caller must not pass a name twice.
impl<'a> FromIterator<(&'a str, Json<'a>)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, Json<'a>)>>(members: I) -> Self {
        Self(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
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
        self.iter()
            .try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}
