//! What a line was read as, column by column, and where each value went.

use std::collections::BTreeMap;

use crate::describe::members;
use crate::envelope::{self, Content, LogEvent, Unpacked};
use crate::error::{Fault, Reason};
use crate::format::{Format, MAX_COLUMNS};
use crate::json_record::{JsonRecord, Members};
use crate::line::Value;
use crate::protocol;
use crate::record::Record;
use crate::schema::{Delivery, EventWriter};
use crate::text_record::{Read, TextReader, check_length, check_utf8, wanted};
use crate::time::Rfc3339;
use crate::transformer::{Context, Transformer, read_fields, read_inner};
use crate::value::Kind;

/// One record of a line, explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Where the record came from, and by what its columns were known.
    pub summary: String,
    /// Its columns, or its JSON members, in their order; those that it lacks behind them.
    pub columns: Vec<ColumnReading>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The event, as JSON.
    Event(String),
    /// Why there is none.
    Reject(Fault),
    /// Why none was expected.
    Skip(&'static str),
}

/// How one value was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnReading {
    /// The column, from 1; a JSON member has none.
    pub number: Option<u32>,
    /// AWS's name of the field, or the name as it was given; empty for a column too many.
    pub name: String,
    /// What stands there; empty for a column that is missing.
    pub found: String,
    /// What it was read as, or else what was wanted.
    pub reading: Result<String, String>,
    /// The members of the event that depend on it.
    pub members: Vec<String>,
}

impl Explanation {
    fn without_columns(summary: String, outcome: Outcome) -> Explanation {
        Explanation { summary, columns: Vec::new(), outcome }
    }
}

impl Transformer {
    /// Explains the records of one line. A header line is in force for what is explained or
    /// transformed afterwards, as in [`Transformer::transform`].
    pub fn explain(&mut self, line: &[u8], context: &Context<'_>) -> Vec<Explanation> {
        self.writer.set_collected_at(context.collected_at);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Transformer { max_line_bytes, text: reader, json, writer } = self;
        if !line.trim_ascii_start().starts_with(b"{") {
            return vec![match check_length(line, *max_line_bytes).and_then(|()| check_utf8(line)) {
                Ok(text) => explain_text(reader, writer, text, "a text line".into(), &context.delivery(0, None)),
                Err(fault) => Explanation::without_columns("a line that is not read".into(), Outcome::Reject(*fault)),
            }];
        }
        let mut explanations = Vec::new();
        envelope::unpack(line, *max_line_bytes, &mut |Unpacked { object: (at, _), event, content }| {
            let delivery = context.delivery(at, event);
            let from = match event {
                Some(LogEvent { index, .. }) => format!("log event {} of a CloudWatch Logs payload", index + 1),
                None => "a JSON object".into(),
            };
            explanations.push(match content {
                Content::Text(line) => {
                    let summary = format!("{from}, with a text line under message");
                    explain_text(reader, writer, line, summary, &delivery)
                }
                Content::Fields(object, members) => {
                    let summary = format!("{from}, whose members are fields");
                    explain_fields(json, writer, object, members, summary, &delivery)
                }
                Content::Nothing => {
                    let skip = Outcome::Skip("a control message, or a payload without log events");
                    Explanation::without_columns(from, skip)
                }
                Content::Bad(fault) => Explanation::without_columns(from, Outcome::Reject(*fault)),
            });
        });
        explanations
    }
}

fn explain_text(
    reader: &mut TextReader,
    writer: &mut EventWriter,
    text: &str,
    from: String,
    delivery: &Delivery<'_>,
) -> Explanation {
    let count = reader.split(text.as_bytes(), 0).columns;
    let values = reader.values(count).to_vec();
    let by = match (reader.is_given(), reader.header().is_some()) {
        (true, _) => "the format that was given",
        (false, true) => "the last header line",
        (false, false) => "the order that AWS publishes for so many",
    };
    let plural = if count == 1 { "" } else { "s" };
    let mut columns = Vec::new();
    let summary = match reader.format(count, text.as_bytes()) {
        Some(format) => {
            columns = read_columns(format, &values, text.as_bytes());
            format!("{from} of {count} column{plural}, read by {by}")
        }
        None => format!("{from} of {count} column{plural}, of which none is known"),
    };
    let outcome = match read_inner(reader, text) {
        Ok(Read::Record(record)) => {
            for (slot, column) in columns.iter_mut().enumerate() {
                column.members = members(writer, &record, delivery, slot);
            }
            event(writer, &record, delivery)
        }
        Ok(Read::Blank) => return Explanation::without_columns(from, Outcome::Skip("a blank line")),
        Ok(Read::Header) => {
            let skip = Outcome::Skip(match reader.is_given() {
                true => "a header line, which changes nothing where the format is given",
                false => "a header line: it names the columns of the lines that follow",
            });
            return Explanation::without_columns(from, skip);
        }
        Err(fault) => Outcome::Reject(*fault),
    };
    Explanation { summary, columns, outcome }
}

/// Every column by itself, so that all faults are seen and not only the first.
fn read_columns(format: &Format, values: &[Value], text: &[u8]) -> Vec<ColumnReading> {
    let mut columns = Vec::new();
    for index in 0..format.columns.len().max(values.len()) {
        let column = format.columns.get(index);
        let found = values.get(index).map(|value| &text[value.start..value.end]);
        let reading = match (column, found) {
            (Some(_), Some(b"-")) => Ok("absent".into()),
            (Some(column), Some(found)) => match column.kind.read(found, 0, found.len()) {
                Some(number) if !format.guessed || column.shape.fits(found, number) => {
                    Ok(read_as(column.kind, number, found))
                }
                _ => Err(wanted(column, found)),
            },
            (Some(_), None) => Err("a column that is missing".into()),
            (None, _) => Err(format!("no more than {} columns", format.columns.len())),
        };
        columns.push(ColumnReading {
            number: Some(index as u32 + 1),
            name: column.map_or_else(String::new, |column| column.name.to_string()),
            found: Fault::excerpt(found.unwrap_or_default()),
            reading,
            members: Vec::new(),
        });
    }
    columns
}

fn explain_fields(
    json: &mut JsonRecord,
    writer: &mut EventWriter,
    object: &str,
    object_members: &Members<'_>,
    summary: String,
    delivery: &Delivery<'_>,
) -> Explanation {
    // Every member by itself, so that all faults are seen and not only the first.
    let mut columns: Vec<ColumnReading> =
        object_members.each_alone().map(|(name, member)| read_member(json, name, &member)).collect();
    let outcome = match read_fields(json, object, object_members) {
        Ok(record) => {
            // Each takes several events: of an object with thousands of members, the first must do.
            let names = (0..record.values.len().min(MAX_COLUMNS))
                .filter_map(|slot| Some((record.layout.name(slot)?.to_owned(), slot)));
            let slots: BTreeMap<String, usize> = names.collect();
            for column in &mut columns {
                let slot = slots.get(&column.name);
                column.members = slot.map(|&slot| members(writer, &record, delivery, slot)).unwrap_or_default();
            }
            event(writer, &record, delivery)
        }
        Err(fault) => Outcome::Reject(*fault),
    };
    Explanation { summary, columns, outcome }
}

fn read_member(json: &mut JsonRecord, name: String, member: &Members<'_>) -> ColumnReading {
    let found = member.iter().next().map_or("", |(_, json)| json);
    let reading = match read_fields(json, "", member) {
        Ok(record) => match record.layout.fields.first().and_then(|&field| Some((field, record.text(field)?))) {
            Some((field, text)) => {
                Ok(read_as(field.info().kind, record.number(field).unwrap_or_default(), text.bytes()))
            }
            None => Ok(if record.unknown().next().is_some() { "text" } else { "absent" }.into()),
        },
        Err(fault) => Err(fault.wanted.into_owned()),
    };
    ColumnReading { number: None, name, found: Fault::excerpt(found.as_bytes()), reading, members: Vec::new() }
}

fn event(writer: &mut EventWriter, record: &Record<'_>, delivery: &Delivery<'_>) -> Outcome {
    let mut bytes = Vec::new();
    writer.write(record, delivery, &mut bytes);
    match String::from_utf8(bytes) {
        Ok(event) => Outcome::Event(event.trim_ascii_end().into()),
        // Nothing but UTF-8 is written; were it otherwise, this is the place to learn of it.
        Err(error) => Outcome::Reject(*Fault::new(Reason::NotUtf8, error.to_string(), "UTF-8")),
    }
}

fn read_as(kind: Kind, number: u64, found: &[u8]) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Address if found.contains(&b':') => "IPv6 address".into(),
        Kind::Address => "IPv4 address".into(),
        Kind::Port => format!("port {number}"),
        Kind::Protocol => match protocol::name(number) {
            Some(name) => format!("protocol {number}, {}", String::from_utf8_lossy(name.bytes())),
            None => format!("protocol {number}"),
        },
        Kind::Int32 | Kind::Int64 => format!("integer {number}"),
        Kind::Time => String::from_utf8_lossy(&Rfc3339::new().seconds(number)).into_owned(),
    }
}
