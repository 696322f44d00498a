//! Whole lines in, events and rejects out.

use crate::error::{Fault, OpenError, Reason, Reject};
use crate::field::Field;
use crate::format::{Column, Format, MAX_COLUMNS};
use crate::json_record::{JsonRecord, Object};
use crate::line::{self, Value};
use crate::record::{Record, Text};
use crate::schema::Schema;
use crate::time::Rfc3339;

/// How to transform.
#[derive(Clone, Debug)]
pub struct Options {
    /// The vocabulary of the events.
    pub schema: Schema,
    /// The columns of every text record, as names separated by blanks or commas in any spelling
    /// (`account-id`, `account_id`, `${account-id}`). `None`: by header line, else by AWS's published orders.
    pub format: Option<String>,
    /// The longest line in bytes, without its line end; longer ones are rejected.
    pub max_line_bytes: usize,
}

impl Options {
    /// Longer than any record that AWS writes, by a factor of several hundred.
    pub const DEFAULT_MAX_LINE_BYTES: usize = 1024 * 1024;
}

impl Default for Options {
    fn default() -> Options {
        Options { schema: Schema::default(), format: None, max_line_bytes: Options::DEFAULT_MAX_LINE_BYTES }
    }
}

/// What came of one input. A caller that keeps it from call to call spares the allocations.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The events in input order, one JSON object a line, each line ended by a line feed.
    pub events: Vec<u8>,
    /// The records that became no event, in input order.
    pub rejects: Vec<Reject>,
    /// How many there were of each.
    pub counts: Counts,
}

impl Batch {
    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.rejects.clear();
        self.counts = Counts::default();
    }
}

/// `lines = events + rejects + skips`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines of the input; the last one may lack its line feed.
    pub lines: u64,
    /// Records that became events.
    pub events: u64,
    /// Records that became none.
    pub rejects: u64,
    /// Blank lines and header lines.
    pub skips: u64,
}

/// Transforms lines to events. Its only state is the options and the columns in force.
#[derive(Debug)]
pub struct Transformer {
    schema: Schema,
    max_line_bytes: usize,
    given: Option<Format>,
    header: Option<(Box<str>, Format)>,
    scratch: Scratch,
}

/// Memory that is used again for every record.
#[derive(Debug)]
struct Scratch {
    /// Room for one column more than any format has.
    values: [Value; MAX_COLUMNS + 1],
    json: JsonRecord,
    rfc3339: Rfc3339,
    event: Vec<u8>,
}

enum Outcome {
    Event,
    Skip,
    Header(Box<str>, Format),
}

impl Transformer {
    /// Compiles the options.
    pub fn open(options: &Options) -> Result<Transformer, OpenError> {
        let given = options.format.as_deref().map(Format::parse).transpose().map_err(OpenError::BadFormat)?;
        let scratch = Scratch {
            values: [Value::default(); MAX_COLUMNS + 1],
            json: JsonRecord::new(),
            rfc3339: Rfc3339::new(),
            event: Vec::new(),
        };
        Ok(Transformer { schema: options.schema, max_line_bytes: options.max_line_bytes, given, header: None, scratch })
    }

    /// The last header line; `None` while there was none, and where the options give the format.
    /// Another transformer that is given this line continues where this one stands.
    pub fn header(&self) -> Option<&str> {
        self.header.as_ref().map(|(line, _)| &**line)
    }

    /// Transforms whole lines and adds to `batch`; the last line may lack its line feed.
    /// Lines and offsets of the rejects count from the beginning of `input`.
    pub fn transform(&mut self, input: &[u8], batch: &mut Batch) {
        let mut start = 0;
        let mut line_number = 0;
        while start < input.len() {
            let (end, outcome) = self.line(input, start, &mut batch.events);
            match outcome {
                Ok(Outcome::Event) => batch.counts.events += 1,
                Ok(Outcome::Skip) => batch.counts.skips += 1,
                Ok(Outcome::Header(line, format)) => {
                    self.header = Some((line, format));
                    batch.counts.skips += 1;
                }
                Err(fault) => {
                    batch.rejects.push(Reject { line: line_number, offset: start, length: end - start, fault: *fault });
                    batch.counts.rejects += 1;
                }
            }
            line_number += 1;
            start = end + 1;
        }
        batch.counts.lines += u64::from(line_number);
    }

    /// Transforms the line that begins at `start`; gives where it ends, and what it was.
    #[inline(always)]
    fn line(&mut self, input: &[u8], start: usize, events: &mut Vec<u8>) -> (usize, Result<Outcome, Box<Fault>>) {
        if input[start] == b'{' {
            let end = line::end(input, start);
            return (end, self.json_line(&input[start..end], events));
        }
        let line::Line { columns, end, plain } = line::split(input, start, &mut self.scratch.values);
        if columns > 0 && input[self.scratch.values[0].start] == b'{' {
            return (end, self.json_line(&input[start..end], events));
        }
        // A carriage return belongs to the line end, not to the record.
        let end_of_record = if !plain && input[start..end].ends_with(b"\r") { end - 1 } else { end };
        let message = Text { tail: &input[start..], length: end_of_record - start, plain };
        (end, self.text_record(message, input, columns, events))
    }

    /// Writes the event of a text record of `input` that [`line::split`] has already split.
    #[inline(always)]
    fn text_record(
        &mut self,
        message: Text<'_>,
        input: &[u8],
        columns: usize,
        events: &mut Vec<u8>,
    ) -> Result<Outcome, Box<Fault>> {
        let Scratch { values, rfc3339, event, .. } = &mut self.scratch;
        // Before anything else: of a line that is too long, only the beginning may be here.
        check_length(message.bytes(), self.max_line_bytes)?;
        if columns == 0 {
            return Ok(Outcome::Skip);
        }
        if !message.plain {
            check_utf8(message.bytes())?;
        }
        if let Some((line, format)) = Format::from_header(message.bytes()) {
            return Ok(if self.given.is_some() { Outcome::Skip } else { Outcome::Header(line.into(), format) });
        }
        let header = self.header.as_ref().map(|(_, format)| format);
        let format = match self.given.as_ref().or(header) {
            Some(format) => format,
            None => guess(columns, &values[1], input)?,
        };
        if columns != format.columns.len() {
            return Err(wrong_column_count(format, columns));
        }
        let values = &mut values[..columns];
        read_values(format, input, values)?;
        let record = Record {
            message,
            text: input,
            values,
            value_bytes: message.length,
            slots: &format.slots,
            plain: message.plain,
        };
        if format.guessed {
            check_guess(&record)?;
        }
        self.schema.write(&record, rfc3339, event, events);
        Ok(Outcome::Event)
    }

    #[cold]
    fn json_line(&mut self, line: &[u8], events: &mut Vec<u8>) -> Result<Outcome, Box<Fault>> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        check_length(line, self.max_line_bytes)?;
        self.json_record(check_utf8(line)?, events)
    }

    /// A line under `message` may itself be JSON, once more under `message` even; its escapes
    /// double with every layer, so the length of a line bounds the depth.
    fn json_record(&mut self, json: &str, events: &mut Vec<u8>) -> Result<Outcome, Box<Fault>> {
        match self.scratch.json.read(json)? {
            Object::Message(inner) if inner.trim_ascii_start().starts_with('{') => self.json_record(&inner, events),
            Object::Message(inner) => self.text_in_json(&inner, events),
            Object::Record => {
                let Scratch { json: JsonRecord { text, values, slots }, rfc3339, event, .. } = &mut self.scratch;
                let message = Text::whole(json.as_bytes(), false);
                let value_bytes = text.len();
                let record = Record { message, text, values, value_bytes, slots, plain: false };
                self.schema.write(&record, rfc3339, event, events);
                Ok(Outcome::Event)
            }
        }
    }

    fn text_in_json(&mut self, inner: &str, events: &mut Vec<u8>) -> Result<Outcome, Box<Fault>> {
        let line::Line { columns, end, plain } = line::split(inner.as_bytes(), 0, &mut self.scratch.values);
        if !inner[end..].trim_ascii_end().is_empty() {
            return Err(Fault::new(Reason::NotARecord, Fault::excerpt(inner.as_bytes()), "one line under message"));
        }
        let plain = plain && end == inner.len();
        self.text_record(Text::whole(inner.as_bytes(), plain), inner.as_bytes(), columns, events)
    }
}

fn check_length(line: &[u8], max_line_bytes: usize) -> Result<(), Box<Fault>> {
    if line.len() <= max_line_bytes {
        return Ok(());
    }
    Err(Fault::new(Reason::LineTooLong, "a longer line", format!("at most {max_line_bytes} bytes")))
}

fn check_utf8(line: &[u8]) -> Result<&str, Box<Fault>> {
    std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to();
        Fault::new(Reason::NotUtf8, format!("byte 0x{:02x} at {at}", line[at]), "UTF-8")
    })
}

/// AWS's published order for so many columns; [`read_values`] and [`check_guess`] ask whether it fits.
fn guess(columns: usize, second: &Value, text: &[u8]) -> Result<&'static Format, Box<Fault>> {
    // Only looked at where the line has one; else it is a value of an earlier line.
    let second = || &text[second.start..second.end];
    Format::published(columns, second).ok_or_else(|| {
        let wanted = "a header line before it, an order that AWS publishes \
                      (14, 21, 25, 29, 36, 39, 40, 41, 42 or 54 columns), or the columns' names in --format";
        Fault::new(Reason::UnknownFormat, format!("{columns} columns"), wanted)
    })
}

/// Reads each column as its field's kind, and makes absent values empty.
#[inline(never)]
fn read_values(format: &Format, text: &[u8], values: &mut [Value]) -> Result<(), Box<Fault>> {
    for (index, (column, value)) in format.columns.iter().zip(values).enumerate() {
        let Value { start, end, .. } = *value;
        if end - start == 1 && text[start] == b'-' {
            value.end = start;
            continue;
        }
        match column.kind.read(text, start, end) {
            Some(number) if !format.guessed || column.shape.fits(&text[start..end], number) => value.number = number,
            _ => return Err(bad_column(format, index, column, &text[start..end])),
        }
    }
    Ok(())
}

#[cold]
fn wrong_column_count(format: &Format, found: usize) -> Box<Fault> {
    let wanted = format!("{} columns: {}", format.columns.len(), format.names());
    Fault::new(Reason::ColumnCount, format!("{found} columns"), wanted)
}

const GIVE_FORMAT: &str = "; if the columns stand in another order, name them in --format";

#[cold]
fn bad_column(format: &Format, index: usize, column: &Column, found: &[u8]) -> Box<Fault> {
    let is_legal = column.kind.read(found, 0, found.len()).is_some();
    let wanted = if is_legal { column.shape.wanted() } else { column.kind.wanted().into() };
    let (reason, advice) = if format.guessed { (Reason::UnknownFormat, GIVE_FORMAT) } else { (Reason::BadValue, "") };
    let mut fault = Fault::new(reason, Fault::excerpt(found), wanted + advice);
    fault.column = Some(index as u32 + 1);
    fault.field = Some(column.name.to_string().into());
    fault
}

/// Two orders of columns that fit the same kinds and shapes may still differ in these pairs, which
/// other published formats have the other way round. No bytes at all are no sign of that.
#[inline(always)]
fn check_guess(record: &Record<'_>) -> Result<(), Box<Fault>> {
    for (less, more) in [(Field::Start, Field::End), (Field::Packets, Field::Bytes)] {
        if let (Some(less_number), Some(more_number)) = (record.number(less), record.number(more))
            && less_number > more_number
            && more_number > 0
        {
            let wanted = format!("at least the {} of the same record{GIVE_FORMAT}", less.info().name);
            let found = record.text(more).map(|text| Fault::excerpt(text.bytes())).unwrap_or_default();
            let mut fault = Fault::new(Reason::UnknownFormat, found, wanted);
            fault.column = Some(u32::from(record.slots[more as usize]) + 1);
            fault.field = Some(more.info().name.into());
            return Err(fault);
        }
    }
    Ok(())
}
