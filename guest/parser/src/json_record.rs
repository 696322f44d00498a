//! Records in JSON: an object of flow log fields, or one that carries a line under `message`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Fault, Reason};
use crate::field::Field;
use crate::format::{NO_COLUMN, Slots};
use crate::line::Value;
use crate::value::{Kind, integer};

/// What an object was.
pub(crate) enum Object {
    /// A record; its values are in the [`JsonRecord`].
    Record,
    /// `{"message": "<line>"}`, as Firehose delivers it.
    Message(String),
}

/// The values of an object; one is used again for every object.
#[derive(Debug)]
pub(crate) struct JsonRecord {
    pub(crate) text: Vec<u8>,
    pub(crate) values: Vec<Value>,
    pub(crate) slots: Slots,
}

impl JsonRecord {
    pub(crate) fn new() -> JsonRecord {
        JsonRecord { text: Vec::new(), values: Vec::new(), slots: [NO_COLUMN; Field::ALL.len()] }
    }

    /// Reads one object. Keys that AWS does not name are passed over.
    pub(crate) fn read(&mut self, line: &str) -> Result<Object, Box<Fault>> {
        self.text.clear();
        self.values.clear();
        self.slots = [NO_COLUMN; Field::ALL.len()];
        let members: Members<'_> = serde_json::from_str(line).map_err(|error| bad_json(&error))?;
        for (key, value) in members.0 {
            match key {
                Key::Message if value.get().starts_with('"') => {
                    return Ok(Object::Message(unquote(value.get())?.into_owned()));
                }
                Key::Field(field) => self.push(field, value.get())?,
                Key::Message | Key::Unknown => {}
            }
        }
        if self.values.is_empty() {
            let wanted = "an object of flow log fields, or one with a line under message";
            return Err(Fault::new(Reason::NotARecord, Fault::excerpt(line.as_bytes()), wanted));
        }
        Ok(Object::Record)
    }

    fn push(&mut self, field: Field, json: &str) -> Result<(), Box<Fault>> {
        let kind = field.info().kind;
        let text = match json.as_bytes()[0] {
            b'"' => unquote(json)?,
            b'n' => Cow::Borrowed(""),
            b'0'..=b'9' | b'-' => Cow::Borrowed(json),
            _ => return Err(illegal(field, json)),
        };
        // The same value in the form of a text record: an integer without the `.0` that makes it a float.
        let text = if text == "-" { Cow::Borrowed("") } else { text };
        let canonical = if kind.is_number() { without_fraction(&text) } else { Cow::Borrowed(&*text) };
        let number = match canonical.as_bytes() {
            b"" => 0,
            value => kind.read(value, 0, value.len()).ok_or_else(|| illegal(field, &text))?,
        };
        let start = self.text.len();
        // A protocol keeps its own text: the published Sekoia sample shows it.
        let written = if kind == Kind::Protocol { &*text } else { &*canonical };
        self.text.extend_from_slice(written.as_bytes());
        let value = Value { start, end: self.text.len(), number };
        // The last of several members of one field counts, as in most readers of JSON; so there are
        // never more values than fields.
        match self.values.get_mut(usize::from(self.slots[field as usize])) {
            Some(earlier) => *earlier = value,
            None => {
                self.slots[field as usize] = self.values.len() as u8;
                self.values.push(value);
            }
        }
        Ok(())
    }
}

/// `6.0` and `6e0` as `6`. What has no integral value is left as it is, and will not be read as a number.
fn without_fraction(text: &str) -> Cow<'_, str> {
    /// Up to here a double holds every integer.
    const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
    if text.is_empty() || integer(text.as_bytes(), 0, text.len()).is_some() {
        return Cow::Borrowed(text);
    }
    match text.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && (0.0..=LARGEST_EXACT).contains(&number) => {
            Cow::Owned((number as u64).to_string())
        }
        _ => Cow::Borrowed(text),
    }
}

fn unquote(json: &str) -> Result<Cow<'_, str>, Box<Fault>> {
    match json.contains('\\') {
        true => serde_json::from_str(json).map(Cow::Owned).map_err(|error| bad_json(&error)),
        false => Ok(Cow::Borrowed(&json[1..json.len() - 1])),
    }
}

fn bad_json(error: &serde_json::Error) -> Box<Fault> {
    // There is one line only; its own number is the caller's to tell.
    let found = error.to_string().replace(" at line 1 column ", " at byte ");
    Fault::new(Reason::BadJson, found, "one JSON object on one line")
}

fn illegal(field: Field, found: &str) -> Box<Fault> {
    let info = field.info();
    let mut fault = Fault::new(Reason::BadValue, Fault::excerpt(found.as_bytes()), info.kind.wanted());
    fault.field = Some(info.name.into());
    fault
}

enum Key {
    Message,
    Field(Field),
    Unknown,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "message" => Key::Message,
                    _ => Field::by_name(key).map_or(Key::Unknown, Key::Field),
                })
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The members of an object in their own order, numbers as they were written.
struct Members<'a>(Vec<(Key, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}
