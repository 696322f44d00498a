//! Records that another pipeline carries: one JSON object with a record in it, and one object out.
//!
//! The record is a line under `log`, `message` or `MESSAGE`, an object there, or stands among the members
//! as fields. What else the pipeline has put into the object is carried along.

use std::borrow::Cow;

use crate::envelope::MAX_DEPTH;
use crate::error::{Fault, OpenError, Reason};
use crate::field::Field;
use crate::format::Format;
use crate::json_record::{Members, unquote};
use crate::schema::Schema;
use crate::transformer::{Batch, Context, Options, Transformer};

/// Where a line is: in what Fluent Bit's `tail` and container runtimes write; in most others; in journald.
const LINE_KEYS: [&str; 3] = ["log", "message", "MESSAGE"];
/// A member that gives the format of the record's line, since there are no other options.
const FORMAT_KEY: &str = "vpcflow_format";
/// Where a carried member goes whose name the schema uses itself.
const COLLISIONS: &str = "carried";
/// Where the reason goes if the object has an `error` of its own.
const OTHER_ERROR: &str = "vpcflow_error";
/// Header lines are kept for so many streams; then the one that was used longest ago is forgotten.
const MOST_HEADERS: usize = 256;
/// Longer ones are forgotten with their stream: every field of AWS's takes a tenth of this.
const LONGEST_HEADER: usize = 16 << 10;
/// In bytes; longer than a line, but for rare ones.
const LONG_TEXT: usize = 4096;

/// What became of a carrier's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The record's event, with the other members of the object.
    Event,
    /// Nothing: the record is a header line or a control message.
    Nothing,
    /// The object as it was, and `error.message`: there is a record, but it cannot become one event.
    Rejected,
    /// The same, since there is no record in it.
    NoRecord,
}

/// Transforms the records in objects of another pipeline, one object at a time.
#[derive(Debug)]
pub struct CarrierTransformer {
    schema: Schema,
    /// Its header is that of the current stream.
    detecting: Transformer,
    headers: Headers,
    /// The last format that an object gave.
    given: Option<(String, Transformer)>,
    batch: Batch,
}

/// The headers of other streams, by the time of their last use.
#[derive(Debug, Default)]
struct Headers {
    current: Vec<u8>,
    others: Vec<(Vec<u8>, String)>,
}

/// A place in the object where a record can be.
struct Place<'a> {
    /// The record, as text or JSON.
    line: Cow<'a, str>,
    /// The member that holds it; `None` where members of the object are its fields.
    member: Option<usize>,
}

/// Why an object holds no event.
enum Failure {
    /// The record is what it should be, but carries nothing.
    Nothing,
    Rejected(String),
    NoRecord(String),
}

impl CarrierTransformer {
    /// Opens a transformer to a schema, with default options.
    pub fn open(schema: Schema) -> CarrierTransformer {
        let detecting = open(schema, None).expect("default options are accepted");
        // Tables that are made at their first use: here, and not where little is left of a small stack.
        let _ = (Field::by_name("version"), Format::published(0, || b""));
        CarrierTransformer { schema, detecting, headers: Headers::default(), given: None, batch: Batch::default() }
    }

    /// Transforms the record in `object`, a JSON object, and appends one JSON object to `output`, or nothing.
    /// A header line is in force for the objects of its `stream`, a name such as a tag or a file.
    pub fn transform(&mut self, stream: &[u8], object: &[u8], output: &mut Vec<u8>) -> Carried {
        // Not `from_utf8_lossy` at once: without SIMD it goes byte by byte.
        let text = str::from_utf8(object).map_or_else(|_| String::from_utf8_lossy(object), Cow::Borrowed);
        let json = text.trim_ascii();
        let members = match Members::parse(json) {
            Ok(members) => members,
            Err(fault) => {
                // There may be a record in it.
                write_text(json, &format!("no JSON object: {fault}"), output);
                return Carried::Rejected;
            }
        };
        let outcome = match text {
            Cow::Borrowed(_) => self.event(stream, &members, output),
            // A replaced byte would make another value of the one that it is part of.
            Cow::Owned(_) => Err(Failure::Rejected("the record is not UTF-8".into())),
        };
        let (message, carried) = match outcome {
            Ok(()) => return Carried::Event,
            Err(Failure::Nothing) => return Carried::Nothing,
            Err(Failure::Rejected(message)) => (message, Carried::Rejected),
            Err(Failure::NoRecord(message)) => (message, Carried::NoRecord),
        };
        write_unchanged(json, &members, &message, output);
        carried
    }

    /// Writes the event of the first place that holds a record.
    fn event(&mut self, stream: &[u8], members: &Members<'_>, output: &mut Vec<u8>) -> Result<(), Failure> {
        let format = match members.get(FORMAT_KEY) {
            Some(json) if !json.starts_with('"') => return Err(Failure::Rejected(format!("{FORMAT_KEY} is no text"))),
            format => format.map(unquote).transpose().map_err(|fault| Failure::Rejected(fault.to_string()))?,
        };
        let mut failure = None;
        for place in places(members) {
            match self.attempt(stream, format.as_deref(), &place.line) {
                Ok(()) => {
                    self.write_event(members, place.member, output);
                    return Ok(());
                }
                Err(Failure::NoRecord(message)) => drop(failure.get_or_insert(Failure::NoRecord(message))),
                Err(other) => return Err(other),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Failure::NoRecord("no line under log, message or MESSAGE, and no flow log fields".into())
        }))
    }

    /// Transforms one record into the batch.
    fn attempt(&mut self, stream: &[u8], format: Option<&str>, text: &str) -> Result<(), Failure> {
        let begin = text.trim_ascii_start();
        if begin.is_empty() {
            return Err(Failure::NoRecord("a blank line".into()));
        }
        if begin.starts_with('{') && !may_be_record(text, 0) {
            return Err(Failure::NoRecord("JSON without a line under message, and without flow log fields".into()));
        }
        let transformer = match format {
            Some(format) => open_given(&mut self.given, self.schema, format).map_err(Failure::Rejected)?,
            None => {
                self.headers.switch(stream, &mut self.detecting);
                &mut self.detecting
            }
        };
        let may_be_header = begin.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '$');
        let header = may_be_header.then(|| transformer.header().map(str::to_owned));
        self.batch.clear();
        // A long one may be of many lines, of which two are too many: the others would only take memory.
        let mut rest = text;
        while !rest.is_empty() && self.batch.counts.events + self.batch.counts.rejects < 2 {
            let length =
                if rest.len() > LONG_TEXT { rest.find('\n').map_or(rest.len(), |end| end + 1) } else { rest.len() };
            transformer.transform(&rest.as_bytes()[..length], &Context::default(), &mut self.batch);
            rest = &rest[length..];
        }
        let outcome = judge(&self.batch, text);
        if let (Err(Failure::Rejected(_) | Failure::NoRecord(_)), Some(header)) = (&outcome, header) {
            // Whatever looked like a header line was none.
            transformer.set_header(header.as_deref());
        }
        outcome
    }

    /// The event in the batch, and every member that was no part of the record.
    fn write_event(&self, members: &Members<'_>, record: Option<usize>, output: &mut Vec<u8>) {
        let event = self.batch.events.strip_suffix(b"}\n").expect("an event is an object on a line");
        output.extend_from_slice(event);
        let is_carried = |index: usize, name: &str| match record {
            _ if name == FORMAT_KEY => false,
            Some(record) => index != record,
            None => !belongs_to_record(name),
        };
        let mut collisions = Vec::new();
        for (index, (name, json)) in members.iter().enumerate() {
            if is_carried(index, name) {
                let is_taken = name == COLLISIONS || self.schema.members().contains(&name);
                write_member(name, json, if is_taken { &mut collisions } else { output });
            }
        }
        if let Some(first) = collisions.first_mut() {
            *first = b'{';
            collisions.push(b'}');
            write_member(COLLISIONS, &collisions, output);
        }
        output.push(b'}');
    }
}

/// What has become of a text: whether it is one event, nothing, or neither.
fn judge(batch: &Batch, text: &str) -> Result<(), Failure> {
    let is_record = |fault: &Fault| match fault.reason {
        // Where the version and the account fit AWS's own order, it is a flow log.
        Reason::UnknownFormat => fault.column.is_some_and(|column| column > 2),
        Reason::NotARecord | Reason::BadJson => false,
        _ => true,
    };
    match (batch.counts.events, &batch.rejects[..]) {
        (1, []) => Ok(()),
        (0, []) if !text.trim_ascii_start().starts_with('{') && text.split_ascii_whitespace().all(is_anyones) => {
            Err(Failure::NoRecord("words that could be a header line, but stand in other logs, too".into()))
        }
        (0, []) => Err(Failure::Nothing),
        (0, rejects) if rejects.iter().all(|reject| !is_record(&reject.fault)) => {
            Err(Failure::NoRecord(rejects[0].fault.to_string()))
        }
        (0, [reject]) => Err(Failure::Rejected(reject.fault.to_string())),
        _ => Err(Failure::Rejected(
            "a payload of several records, where one object can become one event only: \
             read it with vpcflow transform or vpcflow pull"
                .into(),
        )),
    }
}

impl Headers {
    /// Puts the header of `stream` in force, and keeps that of the stream before.
    fn switch(&mut self, stream: &[u8], transformer: &mut Transformer) {
        if self.current == stream {
            return;
        }
        // Taken out first, so that it is not the one that makes room.
        let kept = self.others.iter().position(|(name, _)| name == stream).map(|index| self.others.remove(index));
        if let Some(header) = transformer.header().filter(|header| header.len() <= LONGEST_HEADER) {
            if self.others.len() == MOST_HEADERS {
                self.others.remove(0);
            }
            self.others.push((std::mem::take(&mut self.current), header.into()));
        }
        self.current.clear();
        self.current.extend_from_slice(stream);
        transformer.set_header(kept.as_ref().map(|(_, header)| &**header));
    }
}

fn open(schema: Schema, format: Option<String>) -> Result<Transformer, OpenError> {
    Transformer::open(Options { schema, format, ..Options::default() })
}

fn open_given<'g>(
    given: &'g mut Option<(String, Transformer)>,
    schema: Schema,
    format: &str,
) -> Result<&'g mut Transformer, String> {
    if given.as_ref().is_none_or(|(name, _)| name != format) {
        let transformer = open(schema, Some(format.into())).map_err(|error| format!("{FORMAT_KEY}: {error}"))?;
        *given = Some((format.into(), transformer));
    }
    let (_, transformer) = given.as_mut().expect("it is there or has been put there");
    Ok(transformer)
}

/// Where a record can be, the most likely place first.
fn places<'a>(members: &'a Members<'a>) -> Vec<Place<'a>> {
    let at = |first: char, name: &str| {
        let mut members = members.iter().enumerate();
        members.find_map(|(index, (key, json))| (key == name && json.starts_with(first)).then_some((index, json)))
    };
    let lines = LINE_KEYS.iter().filter_map(|name| {
        let (index, json) = at('"', name)?;
        // What JSON's reader has passed can be unquoted, but for half a surrogate pair.
        Some(Place { line: unquote(json).ok()?, member: Some(index) })
    });
    let mut places: Vec<Place<'_>> = lines.collect();
    // Where there is a text, the other members belong to that.
    if places.iter().all(|place| place.line.trim_ascii().is_empty()) {
        let objects = LINE_KEYS.iter().filter_map(|name| at('{', name));
        places.extend(objects.map(|(index, json)| Place { line: Cow::Borrowed(json), member: Some(index) }));
        places.extend(fields_of(members).map(|json| Place { line: Cow::Owned(json), member: None }));
    }
    places
}

/// Whether the parser shall be asked about a line of JSON: it takes any object that has a field.
fn may_be_record(json: &str, depth: u32) -> bool {
    // What is no single object, the parser tells apart.
    let Ok(members) = Members::parse(json) else { return true };
    match members.message().map(unquote) {
        Some(Ok(line)) if line.trim_ascii().is_empty() => false,
        Some(Ok(line)) if line.trim_ascii_start().starts_with('{') => {
            depth < MAX_DEPTH && may_be_record(&line, depth + 1)
        }
        Some(_) => true,
        None => has_own(&members),
    }
}

fn has_own(members: &Members<'_>) -> bool {
    members.iter().any(|(name, _)| is_own(name))
}

/// The members that belong to a record, as an object of their own.
fn fields_of(members: &Members<'_>) -> Option<String> {
    if !has_own(members) {
        return None;
    }
    let mut json = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| belongs_to_record(name)) {
        write_member(name, value, &mut json);
    }
    json[0] = b'{';
    json.push(b'}');
    String::from_utf8(json).ok()
}

/// Whether only records and envelopes of AWS's have a member of this name. `vpc_id` and `account_id`, say, are
/// also put into the records of other logs, by Fluent Bit itself.
fn is_own(name: &str) -> bool {
    use Field::{Dstaddr, Dstport, FlowDirection, LogStatus, PktDstaddr, PktSrcaddr, Srcaddr, Srcport, TcpFlags};
    match Field::by_name(name) {
        Some(Srcaddr | Dstaddr | Srcport | Dstport | PktSrcaddr | PktDstaddr) => true,
        Some(LogStatus | TcpFlags | FlowDirection) => true,
        Some(_) => false,
        None => matches!(name, "logEvents" | "awslogs"),
    }
}

/// Whether a member is part of a record, where there is one.
fn belongs_to_record(name: &str) -> bool {
    Field::by_name(name).is_some() || is_own(name) || name == "messageType"
}

/// Whether a word of a header line is one that anyone uses: `start`, `type`, `bytes`.
fn is_anyones(word: &str) -> bool {
    !is_own(word) && Field::by_name(word).is_none_or(|field| !field.info().name.contains('-'))
}

/// A comma and the member.
fn write_member(name: &str, json: impl AsRef<[u8]>, output: &mut Vec<u8>) {
    output.push(b',');
    output.extend_from_slice(string(name).as_bytes());
    output.push(b':');
    output.extend_from_slice(json.as_ref());
}

/// The object as it was, with the reason under `error.message`, or elsewhere where it has an `error` of its own.
fn write_unchanged(json: &str, members: &Members<'_>, message: &str, output: &mut Vec<u8>) {
    let has = |is_it: fn(&str) -> bool| members.iter().any(|(name, _)| is_it(name));
    output.extend_from_slice(&json.as_bytes()[..json.len() - 1]);
    let comma = if has(|_| true) { "," } else { "" };
    if !has(|name| name == "error" || name.starts_with("error.")) {
        output.extend_from_slice(comma.as_bytes());
        write_error(message, output);
    } else if !has(|name| name == OTHER_ERROR) {
        write_member(OTHER_ERROR, string(message), output);
    }
    output.push(b'}');
}

/// What is no object, as the line of one.
fn write_text(text: &str, message: &str, output: &mut Vec<u8>) {
    output.extend_from_slice(b"{\"log\":");
    output.extend_from_slice(string(text).as_bytes());
    output.push(b',');
    write_error(message, output);
    output.push(b'}');
}

fn write_error(message: &str, output: &mut Vec<u8>) {
    output.extend_from_slice(b"\"error\":{\"message\":");
    output.extend_from_slice(string(&format!("vpcflow: {message}")).as_bytes());
    output.push(b'}');
}

/// As JSON.
fn string(text: &str) -> String {
    serde_json::to_string(text).expect("a text can be written to memory")
}
