//! What a line of JSON holds: records, and the envelopes in which AWS delivers them.
//!
//! * an object of flow log fields: a record;
//! * `{"message": "<line>"}`, as Firehose delivers it; the line may be JSON once more;
//! * a CloudWatch Logs subscription payload, `{"messageType": "DATA_MESSAGE", "logEvents": […]}`;
//! * that payload as Lambda gets it, `{"awslogs": {"data": "<base64 of gzip>"}}`;
//! * several of all these on one line, with nothing between them.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;

use crate::error::{Fault, Reason};
use crate::json_record::{Members, bad_json, number_text, unquote};
use crate::text_record::{check_length, check_utf8};
use crate::value::LARGEST_TIME_IN_MILLIS;

/// Envelopes within envelopes; AWS's own have three layers.
pub(crate) const MAX_DEPTH: u32 = 8;

/// What an envelope says of one record, and what it has found there.
pub(crate) struct Unpacked<'a> {
    /// Where the object begins on the line, and its length, in bytes.
    pub(crate) object: (usize, usize),
    /// Which log event of the object it was, if that was a CloudWatch Logs payload.
    pub(crate) event: Option<LogEvent<'a>>,
    pub(crate) content: Content<'a>,
}

pub(crate) enum Content<'a> {
    /// A text record.
    Text(&'a str),
    /// An object of fields, and its JSON.
    Fields(&'a str, &'a Members<'a>),
    /// No record: a control message, an envelope of nothing.
    Nothing,
    Bad(Box<Fault>),
}

/// A log event of CloudWatch Logs.
#[derive(Clone, Copy)]
pub(crate) struct LogEvent<'a> {
    /// From 0.
    pub(crate) index: u32,
    /// The account, log group and log stream that it is from, as one text.
    pub(crate) stream: &'a str,
    /// CloudWatch's own id of it, unique within the stream; empty if it has none.
    pub(crate) id: &'a str,
    /// CloudWatch's time of it, in Unix milliseconds.
    pub(crate) timestamp: Option<u64>,
    /// Its message, or its JSON where it has none.
    pub(crate) text: &'a str,
}

type Visit<'v> = &'v mut dyn FnMut(Unpacked<'_>);

/// Hands every record of a line of JSON to `visit`. Neither an object nor what a payload is
/// decompressed to may be longer than `max_bytes`.
pub(crate) fn unpack(line: &[u8], max_bytes: usize, visit: Visit<'_>) {
    let is_utf8 = std::str::from_utf8(line).is_ok();
    let mut at = 0;
    while let Some(blanks) = line[at..].iter().position(|byte| !byte.is_ascii_whitespace()) {
        at += blanks;
        let (length, members) = first_object(&line[at..], is_utf8);
        let object = &line[at..at + length];
        let mut unpacker = Unpacker { object: (at, length), max_bytes, visit };
        let checked = check_length(object, max_bytes).and_then(|()| check_utf8(object));
        match checked.and_then(|object| Ok((object, members?))) {
            Ok((object, members)) => unpacker.object(object, &members, None, 0),
            Err(fault) => unpacker.give(None, Content::Bad(fault)),
        }
        at += length;
    }
}

/// The object that `json` begins with, and its length. What is bad in an object costs that object.
fn first_object(json: &[u8], is_utf8: bool) -> (usize, Result<Members<'_>, Box<Fault>>) {
    let piece = || next_object(json).unwrap_or(json.trim_ascii_end().len());
    // Bytes that are not UTF-8 may be anywhere: only the object itself is asked.
    let text = if is_utf8 { json } else { &json[..piece()] };
    let mut objects = serde_json::Deserializer::from_slice(text).into_iter::<Members<'_>>();
    match objects.next() {
        Some(Ok(members)) => (objects.byte_offset(), Ok(members)),
        Some(Err(error)) => (piece(), Err(bad_json(&error))),
        None => (json.len(), Err(Fault::new(Reason::BadJson, "nothing", "JSON objects, each within one line"))),
    }
}

/// Where the next object begins for certain, whatever stands before it: `}{"`, with or without blanks,
/// and then the beginning of a key. Within a string of well-formed JSON that cannot stand: the quote
/// would end the string, and behind that comes a comma, a colon or a bracket.
fn next_object(json: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'{', json).find(|&start| {
        let is_behind = json[..start].trim_ascii_end().ends_with(b"}");
        let key = json[start + 1..].trim_ascii_start().strip_prefix(b"\"").and_then(<[u8]>::first);
        is_behind && key.is_some_and(|byte| !b",:]} \t\r\n".contains(byte))
    })
}

struct Unpacker<'v> {
    object: (usize, usize),
    max_bytes: usize,
    visit: Visit<'v>,
}

impl Unpacker<'_> {
    fn give(&mut self, event: Option<LogEvent<'_>>, content: Content<'_>) {
        (self.visit)(Unpacked { object: self.object, event, content });
    }

    fn object(&mut self, json: &str, members: &Members<'_>, event: Option<LogEvent<'_>>, depth: u32) {
        if depth == MAX_DEPTH {
            let wanted = format!("at most {MAX_DEPTH} envelopes, one in the other");
            return self.bad(event, Fault::new(Reason::BadEnvelope, Fault::excerpt(json.as_bytes()), wanted));
        }
        let is_payload = members.get("messageType").is_some() && members.get("logEvents").is_some();
        let unpacked = if is_payload && event.is_none() {
            self.payload(members, depth)
        } else if let Some(message) = members.message() {
            unquote(message).map(|line| self.line(&line, event, depth))
        } else if members.has_field() {
            self.give(event, Content::Fields(json, members));
            Ok(())
        } else if let Some(awslogs) = members.get("awslogs").filter(|_| event.is_none()) {
            self.awslogs(awslogs, depth)
        } else {
            let wanted = "an object of flow log fields, one with a line under message, or a CloudWatch Logs payload";
            Err(Fault::new(Reason::NotARecord, Fault::excerpt(json.as_bytes()), wanted))
        };
        if let Err(fault) = unpacked {
            self.bad(event, fault);
        }
    }

    #[cold]
    fn bad(&mut self, event: Option<LogEvent<'_>>, fault: Box<Fault>) {
        self.give(event, Content::Bad(fault));
    }

    /// A line under `message`.
    fn line(&mut self, line: &str, event: Option<LogEvent<'_>>, depth: u32) {
        if !line.trim_ascii_start().starts_with('{') {
            return self.give(event, Content::Text(line));
        }
        match Members::parse(line) {
            Ok(members) => self.object(line, &members, event, depth + 1),
            Err(fault) => self.bad(event, fault),
        }
    }

    /// A subscription payload of CloudWatch Logs.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>
    fn payload(&mut self, members: &Members<'_>, depth: u32) -> Result<(), Box<Fault>> {
        let text = |name| match members.get(name) {
            Some(json) if json.starts_with('"') => unquote(json),
            Some(json) => Err(wrong(name, json, "a string")),
            None => Ok(Cow::Borrowed("")),
        };
        match &*text("messageType")? {
            "DATA_MESSAGE" => {}
            // Sent now and then to see whether the destination can be reached.
            "CONTROL_MESSAGE" => {
                self.give(None, Content::Nothing);
                return Ok(());
            }
            other => return Err(wrong("messageType", other, "DATA_MESSAGE or CONTROL_MESSAGE")),
        }
        let stream = [text("owner")?, text("logGroup")?, text("logStream")?].join("\0");
        let events = members.get("logEvents").unwrap_or_default();
        let events: Vec<&RawValue> =
            serde_json::from_str(events).map_err(|_| wrong("logEvents", events, "an array of log events"))?;
        if events.is_empty() {
            self.give(None, Content::Nothing);
        }
        for (index, event) in events.into_iter().enumerate() {
            self.log_event(event.get(), index as u32, &stream, depth);
        }
        Ok(())
    }

    fn log_event(&mut self, json: &str, index: u32, stream: &str, depth: u32) {
        let mut event = LogEvent { index, stream, id: "", timestamp: None, text: json };
        let members = match Members::parse(json) {
            Ok(members) => members,
            Err(fault) => return self.bad(Some(event), fault),
        };
        let id = members.get("id").filter(|id| id.starts_with('"')).map(unquote);
        let id = id.and_then(Result::ok).unwrap_or_default();
        event.id = &id;
        let timestamp = members.get("timestamp").and_then(number_text).and_then(|text| text.parse().ok());
        event.timestamp = timestamp.filter(|&millis| millis <= LARGEST_TIME_IN_MILLIS);
        match members.message().map(unquote) {
            Some(Ok(line)) => self.line(&line, Some(LogEvent { text: &line, ..event }), depth),
            Some(Err(fault)) => self.bad(Some(event), fault),
            None => self.bad(Some(event), wrong("message", json, "a log event with a line under message")),
        }
    }

    /// What Lambda wraps around a payload: `{"data": "<base64 of gzip>"}`.
    fn awslogs(&mut self, json: &str, depth: u32) -> Result<(), Box<Fault>> {
        let members = Members::parse(json).map_err(|_| wrong("awslogs", json, "an object with data"))?;
        let data = members.get("data").filter(|data| data.starts_with('"'));
        let data = unquote(data.ok_or_else(|| wrong("awslogs", json, "an object with data"))?)?;
        let compressed =
            STANDARD.decode(&*data).map_err(|error| wrong("data", &error.to_string(), "base64 of gzip data"))?;
        let mut payload = Vec::new();
        let mut decoder = MultiGzDecoder::new(&*compressed).take(self.max_bytes as u64 + 1);
        let decoded = decoder.read_to_end(&mut payload);
        decoded.map_err(|error| wrong("data", &error.to_string(), "base64 of gzip data"))?;
        check_length(&payload, self.max_bytes)?;
        let payload = check_utf8(&payload)?;
        let members = Members::parse(payload)?;
        self.object(payload, &members, None, depth + 1);
        Ok(())
    }
}

fn wrong(name: &'static str, found: &str, wanted: &'static str) -> Box<Fault> {
    let mut fault = Fault::new(Reason::BadEnvelope, Fault::excerpt(found.as_bytes()), wanted);
    fault.field = Some(name.into());
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_begins_where_no_string_can_be() {
        let next = |json: &str| next_object(json.as_bytes());
        assert_eq!(next(r#"{"a":1}{"b":2}{"c":3}"#), Some(7));
        assert_eq!(next("{\"a\":1} \t{ \"b\":2}"), Some(9));
        // An object that lacks its end, in a string and out of it.
        assert_eq!(next(r#"{"a":"x}{"b":2}"#), Some(8));
        assert_eq!(next(r#"{"a":{"x":1}{"b":2}"#), Some(12));
        // Strings of brackets.
        assert_eq!(next(r#"{"a":"}{","b":"}{"}"#), None);
        assert_eq!(next(r#"{"a":"}{\"b"}"#), None);
        assert_eq!(next(r#"{"a":{"b":2}}"#), None);
    }
}
