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
use crate::json_record::{Members, bad_json, unquote};
use crate::value::LARGEST_TIME_IN_MILLIS;

/// Envelopes within envelopes; AWS's own have three layers.
const MAX_DEPTH: u32 = 8;

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

/// Hands every record of a line of JSON to `visit`. What a payload is decompressed to must not be
/// longer than `max_bytes`.
pub(crate) fn unpack(line: &str, max_bytes: usize, visit: Visit<'_>) {
    let mut at = 0;
    while let Some(blanks) = line[at..].bytes().position(|byte| !byte.is_ascii_whitespace()) {
        at += blanks;
        let rest = &line[at..];
        let mut objects = serde_json::Deserializer::from_str(rest).into_iter::<Members<'_>>();
        let (length, members) = match objects.next() {
            Some(Ok(members)) => (objects.byte_offset(), Ok(members)),
            // What is bad within an object costs that object.
            Some(Err(error)) => (object_end(rest).unwrap_or(rest.trim_ascii_end().len()), Err(bad_json(&error))),
            None => return,
        };
        let mut unpacker = Unpacker { object: (at, length), max_bytes, visit };
        match members {
            Ok(members) => unpacker.object(&rest[..length], &members, None, 0),
            Err(fault) => unpacker.give(None, Content::Bad(fault)),
        }
        at += length;
    }
}

/// Where the object that `json` begins with ends, by its brackets alone.
fn object_end(json: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for (position, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string && depth <= 1 => return (depth == 1).then_some(position + 1),
            b'}' if !in_string => depth -= 1,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
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
        let is_payload = members.other("messageType").is_some() && members.other("logEvents").is_some();
        let unpacked = if is_payload && event.is_none() {
            self.payload(members, depth)
        } else if let Some(message) = members.message() {
            unquote(message).map(|line| self.line(&line, event, depth))
        } else if members.has_field() {
            self.give(event, Content::Fields(json, members));
            Ok(())
        } else if let Some(awslogs) = members.other("awslogs").filter(|_| event.is_none()) {
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
        let text = |name| match members.other(name) {
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
        let events = members.other("logEvents").unwrap_or_default();
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
        let id = members.other("id").filter(|id| id.starts_with('"')).map(unquote);
        let id = id.and_then(Result::ok).unwrap_or_default();
        event.id = &id;
        let timestamp = members.other("timestamp").and_then(|timestamp| timestamp.parse().ok());
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
        let data = members.other("data").filter(|data| data.starts_with('"'));
        let data = unquote(data.ok_or_else(|| wrong("awslogs", json, "an object with data"))?)?;
        let compressed =
            STANDARD.decode(&*data).map_err(|error| wrong("data", &error.to_string(), "base64 of gzip data"))?;
        let mut payload = String::new();
        let mut decoder = MultiGzDecoder::new(&*compressed).take(self.max_bytes as u64 + 1);
        decoder
            .read_to_string(&mut payload)
            .map_err(|error| wrong("data", &error.to_string(), "base64 of gzip data, UTF-8 in it"))?;
        if payload.len() > self.max_bytes {
            let wanted = format!("at most {} bytes", self.max_bytes);
            return Err(Fault::new(Reason::LineTooLong, "a longer payload", wanted));
        }
        let members = Members::parse(&payload)?;
        self.object(&payload, &members, None, depth + 1);
        Ok(())
    }
}

fn wrong(name: &'static str, found: &str, wanted: &'static str) -> Box<Fault> {
    let mut fault = Fault::new(Reason::BadEnvelope, Fault::excerpt(found.as_bytes()), wanted);
    fault.field = Some(name.into());
    fault
}
