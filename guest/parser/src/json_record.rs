//! Records in JSON: an object whose members are flow log fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Fault, Reason};
use crate::field::Field;
use crate::line::Value;
use crate::record::Layout;
use crate::value::{Kind, integer};

/// The values of an object; one is used again for every object.
#[derive(Debug)]
pub(crate) struct JsonRecord {
    pub(crate) text: Vec<u8>,
    pub(crate) values: Vec<Value>,
    pub(crate) layout: Layout,
}

impl JsonRecord {
    pub(crate) fn new() -> JsonRecord {
        JsonRecord { text: Vec::new(), values: Vec::new(), layout: Layout::new() }
    }

    /// Reads the members of one object. Those that AWS does not name come behind the others, as texts.
    pub(crate) fn read(&mut self, members: &Members<'_>) -> Result<(), Box<Fault>> {
        self.text.clear();
        self.values.clear();
        self.layout.clear();
        // The last of several members of one name counts.
        let mut unknown: BTreeMap<&str, &str> = BTreeMap::new();
        for (Name(name), value) in &members.0 {
            match Field::by_name(name) {
                Some(field) => self.push(field, value.get())?,
                None => drop(unknown.insert(name, value.get())),
            }
        }
        for (name, json) in unknown {
            self.push_unknown(name, json)?;
        }
        Ok(())
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
        // A protocol keeps its own text: the published Sekoia sample shows it.
        let value = self.append(if kind == Kind::Protocol { &text } else { &canonical }, number);
        // The last of several members of one field counts, as in most readers of JSON; so there are
        // never more values than fields.
        match self.values.get_mut(self.layout.slot(field)) {
            Some(earlier) => *earlier = value,
            None => {
                self.layout.add(field, self.values.len());
                self.values.push(value);
            }
        }
        Ok(())
    }

    /// A string as it is; anything else, also an object, as its JSON.
    fn push_unknown(&mut self, name: &str, json: &str) -> Result<(), Box<Fault>> {
        let text = match json.as_bytes()[0] {
            b'"' => unquote(json)?,
            b'n' => return Ok(()),
            _ => Cow::Borrowed(json),
        };
        if text != "-" {
            let value = self.append(&text, 0);
            self.layout.add_unknown(name, self.values.len());
            self.values.push(value);
        }
        Ok(())
    }

    fn append(&mut self, text: &str, number: u64) -> Value {
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        Value { start, end: self.text.len(), number }
    }
}

/// A number of JSON as text, also one in a string: `6`, `6.0` and `"6"` as `6`.
pub(crate) fn number_text(json: &str) -> Option<String> {
    let text = if json.starts_with('"') { unquote(json).ok()? } else { Cow::Borrowed(json) };
    Some(without_fraction(&text).into_owned())
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

/// The text of a JSON string.
pub(crate) fn unquote(json: &str) -> Result<Cow<'_, str>, Box<Fault>> {
    match memchr::memchr(b'\\', json.as_bytes()) {
        Some(_) => serde_json::from_str(json).map(Cow::Owned).map_err(|error| bad_json(&error)),
        None => Ok(Cow::Borrowed(&json[1..json.len() - 1])),
    }
}

pub(crate) fn bad_json(error: &serde_json::Error) -> Box<Fault> {
    // There is one line only; its own number is the caller's to tell.
    let found = error.to_string().replace(" at line 1 column ", " at byte ");
    Fault::new(Reason::BadJson, Fault::excerpt(found.as_bytes()), "JSON objects, each within one line")
}

fn illegal(field: Field, found: &str) -> Box<Fault> {
    let info = field.info();
    let mut fault = Fault::new(Reason::BadValue, Fault::excerpt(found.as_bytes()), info.kind.wanted());
    fault.field = Some(info.name.into());
    fault
}

/// What a member is called; borrowed where JSON has it without escapes.
#[derive(Clone, Debug)]
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.into())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// The members of an object in their own order, values as they were written.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(Name<'a>, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn parse(json: &'a str) -> Result<Members<'a>, Box<Fault>> {
        serde_json::from_str(json).map_err(|error| bad_json(&error))
    }

    /// Name and JSON of every member.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(Name(name), value)| (&**name, value.get()))
    }

    /// The line under `message`, as JSON, if it is a string.
    pub(crate) fn message(&self) -> Option<&'a str> {
        self.iter().find(|(name, json)| *name == "message" && json.starts_with('"')).map(|(_, json)| json)
    }

    /// The JSON of a member.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, json)| json)
    }

    /// Each member as an object of its own, and its name.
    pub(crate) fn each_alone(&self) -> impl Iterator<Item = (String, Members<'a>)> {
        self.0.iter().map(|(name, value)| {
            let known = Field::by_name(&name.0).map(|field| field.info().name);
            (known.unwrap_or(&name.0).to_owned(), Members(vec![(name.clone(), value)]))
        })
    }

    pub(crate) fn has_field(&self) -> bool {
        self.iter().any(|(name, _)| Field::by_name(name).is_some())
    }
}

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
