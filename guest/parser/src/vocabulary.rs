//! What the events of each schema are made of: found by writing an event that has everything, so that
//! what is told of a schema cannot differ from what it does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value as Json;

use crate::describe::with_every_field;
use crate::enrichment;
use crate::envelope::LogEvent;
use crate::schema::{Delivery, Schema};
use crate::time::Moment;
use crate::transformer::Options;

/// The members of a schema's events.
#[derive(Debug)]
pub struct Vocabulary {
    /// The data stream that the events are made for, without its namespace.
    pub data_stream: Option<&'static str>,
    /// Every member that is no object, but for those of names that are in no table.
    pub members: Vec<Member>,
}

/// A member of events.
#[derive(Debug)]
pub struct Member {
    /// Its path, as `source.ip`.
    pub path: String,
    /// What it holds, or what each element holds where it is an array.
    pub kind: MemberKind,
}

/// What a member of an event holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// An address of IPv4 or IPv6, as text.
    Address,
    /// A moment in RFC 3339.
    Time,
    /// A whole number from 0 that 64 bits hold.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An object of the numbers `lat` and `lon`.
    Place,
    /// The record as it was received.
    Original,
    /// Any other text: a name, an id, a word.
    Keyword,
}

/// The members of the events of a schema.
pub fn vocabulary(schema: Schema) -> Vocabulary {
    let options = Options { schema, keep_message: Some(true), event_id: true, ..Options::default() };
    let mut found = BTreeMap::new();
    with_every_field(options, None, &mut |writer, record| {
        let original = String::from_utf8_lossy(record.message.bytes()).into_owned();
        let event = LogEvent { index: 0, stream: "", id: "", timestamp: Some(0), text: &original };
        writer.set_collected_at(Some(Moment { unix_secs: 0, nanos: 0 }));
        let mut bytes = Vec::new();
        writer.write(record, &Delivery { origin: "", offset: 0, event: Some(event) }, &mut bytes);
        add("", &serde_json::from_slice(&bytes).unwrap_or_default(), &original, &mut found);
    });
    if schema.takes_databases() {
        let members = enrichment::every_member();
        ["source", "destination"].iter().for_each(|end| add(end, &members, "", &mut found));
    }
    let members = found.into_iter().map(|(path, kind)| Member { path, kind }).collect();
    Vocabulary { data_stream: schema.data_stream(), members }
}

fn add(path: &str, value: &Json, original: &str, found: &mut BTreeMap<String, MemberKind>) {
    let kind = match value {
        Json::Object(members) if members.contains_key("lat") => MemberKind::Place,
        Json::Object(members) => {
            let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
            members.iter().for_each(|(key, value)| add(&format!("{prefix}{key}"), value, original, found));
            return;
        }
        Json::Array(elements) => return elements.iter().for_each(|element| add(path, element, original, found)),
        Json::String(text) => kind_of(path, text, original),
        Json::Number(_) => MemberKind::Integer,
        Json::Bool(_) => MemberKind::Boolean,
        Json::Null => return,
    };
    found.insert(path.into(), kind);
}

fn kind_of(path: &str, text: &str, original: &str) -> MemberKind {
    match text {
        _ if text == original => MemberKind::Original,
        // ECS has these for names, too.
        _ if path.ends_with(".address") => MemberKind::Keyword,
        _ if text.parse::<IpAddr>().is_ok() => MemberKind::Address,
        _ if is_time(text) => MemberKind::Time,
        _ => MemberKind::Keyword,
    }
}

/// Whether it is as [`crate::time::Rfc3339`] writes.
fn is_time(text: &str) -> bool {
    let is_punctuation = |&(index, byte): &(usize, u8)| match index {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit() || byte == b'.',
    };
    text.len() >= 20
        && text.strip_suffix('Z').is_some_and(|text| text.bytes().enumerate().all(|at| is_punctuation(&at)))
}
