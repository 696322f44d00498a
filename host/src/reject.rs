//! Rejects as people and programs read them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::engine;

/// A record that became no event, with its place in its source.
#[derive(Debug, Serialize)]
pub struct Reject<'a> {
    /// The source's name: a path, or `-`.
    pub source: &'a str,
    /// The line, from 1.
    pub line_number: u64,
    /// Where the line begins in the decompressed source, in bytes; where several JSON objects stand
    /// on one line, where the object begins.
    pub byte_offset: u64,
    /// Which record of an envelope it is, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_number: Option<u64>,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: Fault<'a>,
    /// The line itself, or the record of the envelope; what is not UTF-8 in it is replaced.
    pub line: String,
    /// The line's exact bytes, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_base64: Option<String>,
    /// Whether `line` is only the beginning of a line that is too long.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

impl<'a> Reject<'a> {
    /// Places a reject of the module: `lines_before` and `offset` are those of `input` in `source`.
    pub fn new(
        source: &'a str,
        (lines_before, offset): (u64, u64),
        input: &[u8],
        is_cut: bool,
        reject: &'a engine::Reject,
    ) -> Reject<'a> {
        // The module may be anyone's: its numbers are not trusted to lie within the input.
        let start = (reject.offset as usize).min(input.len());
        let end = start.saturating_add(reject.length as usize).min(input.len());
        let event = reject.event.as_ref();
        let line = event.map_or(&input[start..end], |event| event.text.as_bytes());
        let text = String::from_utf8_lossy(line);
        let line_base64 = (text.as_bytes() != line).then(|| STANDARD.encode(line));
        Reject {
            source,
            line_number: lines_before + u64::from(reject.line) + 1,
            byte_offset: offset + u64::from(reject.offset),
            event_number: event.map(|event| u64::from(event.index) + 1),
            fault: Fault::new(&reject.fault),
            line: text.into_owned(),
            line_base64,
            is_cut,
        }
    }
}

/// An event that its destination will never take.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// Where it was to go.
    pub destination: String,
    /// [`Refusal::REASON`].
    pub reason: &'static str,
    /// What the destination says.
    pub found: String,
    /// The event: one JSON object, without line end.
    pub event: String,
}

impl Refusal {
    /// The reason of every refusal, in metrics and among those of rejects.
    pub const REASON: &'static str = "refused";
}

impl fmt::Display for Refusal {
    /// `logs-aws.vpcflow-default: document_parsing_exception: … (refused)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.destination, self.found, self.reason)
    }
}

/// The reason as the WIT interface spells it.
pub fn reason_name(reason: &engine::Reason) -> &str {
    use engine::Reason;
    match reason {
        Reason::LineTooLong => "line-too-long",
        Reason::NotUtf8 => "not-utf8",
        Reason::UnknownFormat => "unknown-format",
        Reason::ColumnCount => "column-count",
        Reason::BadValue => "bad-value",
        Reason::BadJson => "bad-json",
        Reason::NotARecord => "not-a-record",
        Reason::BadEnvelope => "bad-envelope",
        Reason::Other(name) => name,
    }
}

impl fmt::Display for Reject<'_> {
    /// `flow.log:7: column 6, srcport: found "https", wanted a port, 0 to 65535 (bad-value)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line_number)?;
        if let Some(event) = self.event_number {
            write!(f, ", byte {}, log event {event}", self.byte_offset)?;
        }
        write!(f, ": {}", self.fault)
    }
}

/// What is wrong with a record.
#[derive(Debug, Serialize)]
pub struct Fault<'a> {
    /// A short name of the kind of fault.
    pub reason: &'a str,
    /// The column of the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The field of the column or of the JSON key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
    /// What was found.
    pub found: &'a str,
    /// What was wanted.
    pub wanted: &'a str,
}

impl<'a> Fault<'a> {
    /// What the module says.
    pub fn new(fault: &'a engine::Fault) -> Fault<'a> {
        Fault {
            reason: reason_name(&fault.reason),
            column: fault.column,
            field: fault.field.as_deref(),
            found: &fault.found,
            wanted: &fault.wanted,
        }
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.column, self.field) {
            (Some(column), Some(field)) => write!(f, "column {column}, {field}: ")?,
            (None, Some(field)) => write!(f, "{field}: ")?,
            (Some(column), None) => write!(f, "column {column}: ")?,
            (None, None) => {}
        }
        write!(f, "found {:?}, wanted {} ({})", self.found, self.wanted, self.reason)
    }
}
