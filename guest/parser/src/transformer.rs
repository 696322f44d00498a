//! Whole lines in, events and rejects out.

use crate::enrichment::Databases;
use crate::envelope::{self, Content, LogEvent, Unpacked};
use crate::error::{Fault, OpenError, Reason, Reject, RejectedEvent};
use crate::format::Format;
use crate::json_record::{JsonRecord, Members};
use crate::line;
use crate::record::{Record, Text};
use crate::schema::{Delivery, EventWriter, Schema, TimeField};
use crate::text_record::{Read, TextReader};
use crate::time::Moment;
use crate::watch::{Flow, Watch};

/// How to transform.
#[derive(Clone, Debug)]
pub struct Options {
    /// The vocabulary of the events.
    pub schema: Schema,
    /// The columns of every text record, as names separated by blanks or commas in any spelling
    /// (`account-id`, `account_id`, `${account-id}`). `None`: by header line, else by AWS's published orders.
    pub format: Option<String>,
    /// The longest line in bytes, without its line end; of JSON the longest object, and the longest
    /// payload that one may be decompressed to. Longer ones are rejected.
    pub max_line_bytes: usize,
    /// Whether events carry the original record. `None`: as the schema has it.
    pub keep_message: Option<bool>,
    /// Which time of the record is the event's. `None`: as the schema has it.
    pub time_field: Option<TimeField>,
    /// Whether events carry a stable id, made of the origin, the position and the content of the record.
    pub event_id: bool,
    /// Where to look addresses up.
    pub databases: Databases,
}

impl Options {
    /// Several thousand times a record; for the sake of CloudWatch Logs, whose payloads carry many.
    pub const DEFAULT_MAX_LINE_BYTES: usize = 8 << 20;
}

impl Default for Options {
    fn default() -> Options {
        Options {
            schema: Schema::default(),
            format: None,
            max_line_bytes: Options::DEFAULT_MAX_LINE_BYTES,
            keep_message: None,
            time_field: None,
            event_id: false,
            databases: Databases::default(),
        }
    }
}

/// What the caller knows of an input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// What the input is part of: a path, a bucket and key, a shard. Event ids depend on it.
    pub origin: &'a str,
    /// Where the input begins in its origin, in bytes.
    pub offset: u64,
    /// When the input was collected, where events shall say so.
    pub collected_at: Option<Moment>,
}

impl<'a> Context<'a> {
    /// Of what begins `offset` bytes into the input.
    pub(crate) fn delivery<'d>(&self, offset: usize, event: Option<LogEvent<'d>>) -> Delivery<'d>
    where
        'a: 'd,
    {
        Delivery { origin: self.origin, offset: self.offset + offset as u64, event }
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

    #[cold]
    fn reject(&mut self, place: Place, event: Option<LogEvent<'_>>, fault: Fault) {
        let event = event.map(|event| RejectedEvent { index: event.index, text: event.text.into() });
        let Place { line, offset, length } = place;
        self.rejects.push(Reject { line, offset, length, event, fault });
        self.counts.rejects += 1;
    }
}

/// `lines = events + rejects + skips`, where every line is one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines of the input; the last one may lack its line feed.
    pub lines: u64,
    /// Records that became events.
    pub events: u64,
    /// Records that became none.
    pub rejects: u64,
    /// Blank lines, header lines, control messages and other envelopes without a record.
    pub skips: u64,
}

/// A line or an object within an input.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    line: u32,
    offset: usize,
    length: usize,
}

/// Transforms lines to events. Its only state is the options and the columns in force.
#[derive(Debug)]
pub struct Transformer {
    pub(crate) max_line_bytes: usize,
    pub(crate) text: TextReader,
    pub(crate) json: JsonRecord,
    pub(crate) writer: EventWriter,
}

impl Transformer {
    /// Compiles the options.
    pub fn open(options: Options) -> Result<Transformer, OpenError> {
        let max_line_bytes = options.max_line_bytes;
        let given = options.format.as_deref().map(Format::parse).transpose().map_err(OpenError::BadFormat)?;
        let text = TextReader::new(given, max_line_bytes);
        Ok(Transformer { max_line_bytes, text, json: JsonRecord::new(), writer: EventWriter::open(options)? })
    }

    /// The last header line; `None` while there was none, and where the options give the format.
    /// Another transformer that is given this line continues where this one stands.
    pub fn header(&self) -> Option<&str> {
        self.text.header()
    }

    /// Puts a header line in force, as [`Transformer::header`] gives it, or none at all. Changes nothing
    /// where the options give the format.
    pub fn set_header(&mut self, header: Option<&str>) {
        self.text.set_header(header);
    }

    /// Transforms whole lines and adds to `batch`; the last line may lack its line feed.
    /// Lines and offsets of the rejects count from the beginning of `input`.
    pub fn transform(&mut self, input: &[u8], context: &Context<'_>, batch: &mut Batch) {
        self.transform_watched(input, context, batch, &mut ());
    }

    /// The same, with a look at every record that becomes an event.
    pub fn transform_watched(
        &mut self,
        input: &[u8],
        context: &Context<'_>,
        batch: &mut Batch,
        watch: &mut impl Watch,
    ) {
        self.writer.set_collected_at(context.collected_at);
        let mut start = 0;
        let mut line_number = 0;
        while start < input.len() {
            let end = self.line(input, start, line_number, context, batch, watch);
            line_number += 1;
            start = end + 1;
        }
        batch.counts.lines += u64::from(line_number);
    }

    /// Transforms the line that begins at `start`; gives where it ends.
    #[inline(always)]
    fn line(
        &mut self,
        input: &[u8],
        start: usize,
        line: u32,
        context: &Context<'_>,
        batch: &mut Batch,
        watch: &mut impl Watch,
    ) -> usize {
        if input[start] == b'{' {
            let end = line::end(input, start);
            let place = Place { line, offset: start, length: end - start };
            self.json_line(&input[start..end], place, context, batch, watch);
            return end;
        }
        let line::Line { columns, end, plain } = self.text.split(input, start);
        let place = Place { line, offset: start, length: end - start };
        if columns > 0 && input[self.text.values(1)[0].start] == b'{' {
            self.json_line(&input[start..end], place, context, batch, watch);
            return end;
        }
        // A carriage return belongs to the line end, not to the record.
        let end_of_record = if !plain && input[start..end].ends_with(b"\r") { end - 1 } else { end };
        let message = Text { tail: &input[start..], length: end_of_record - start, plain };
        match self.text.read(message, input, columns) {
            Ok(Read::Record(record)) => {
                let delivery = context.delivery(start, None);
                write(&mut self.writer, &Flow::new(&record, line), &delivery, batch, watch);
            }
            Ok(Read::Blank) => batch.counts.skips += 1,
            Ok(Read::Header) => {
                batch.counts.skips += 1;
                watch.header(line, self.text.header());
            }
            Err(fault) => batch.reject(place, None, *fault),
        }
        end
    }

    #[cold]
    fn json_line(
        &mut self,
        line: &[u8],
        place: Place,
        context: &Context<'_>,
        batch: &mut Batch,
        watch: &mut impl Watch,
    ) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Transformer { max_line_bytes, text, json: json_record, writer } = self;
        envelope::unpack(line, *max_line_bytes, &mut |Unpacked { object: (at, length), event, content }| {
            let place = Place { offset: place.offset + at, length, ..place };
            let read = match content {
                Content::Text(line) => read_inner(text, line),
                Content::Fields(json, members) => read_fields(json_record, json, members).map(Read::Record),
                Content::Nothing => Ok(Read::Blank),
                Content::Bad(fault) => Err(fault),
            };
            match read {
                Ok(Read::Record(record)) => {
                    let flow = Flow::new(&record, place.line);
                    write(writer, &flow, &context.delivery(place.offset, event), batch, watch);
                }
                Ok(Read::Blank) => batch.counts.skips += 1,
                Ok(Read::Header) => {
                    batch.counts.skips += 1;
                    watch.header(place.line, text.header());
                }
                Err(fault) => batch.reject(place, event, *fault),
            }
        });
    }
}

/// Writes the event of a record, if it is wanted.
#[inline(always)]
fn write(
    writer: &mut EventWriter,
    flow: &Flow<'_>,
    delivery: &Delivery<'_>,
    batch: &mut Batch,
    watch: &mut impl Watch,
) {
    batch.counts.events += 1;
    if watch.wants(flow) {
        let start = batch.events.len();
        writer.write(flow.record, delivery, &mut batch.events);
        watch.event(flow, &batch.events[start..]);
    }
}

/// Reads a line that stands alone, in an envelope.
pub(crate) fn read_inner<'a>(reader: &'a mut TextReader, line: &'a str) -> Result<Read<'a>, Box<Fault>> {
    let line::Line { columns, end, plain } = reader.split(line.as_bytes(), 0);
    if !line[end..].trim_ascii_end().is_empty() {
        return Err(Fault::new(Reason::NotARecord, Fault::excerpt(line.as_bytes()), "one line under message"));
    }
    reader.read(Text::whole(line.as_bytes(), plain && end == line.len()), line.as_bytes(), columns)
}

/// Reads an object of fields.
pub(crate) fn read_fields<'a>(
    record: &'a mut JsonRecord,
    json: &'a str,
    members: &Members<'_>,
) -> Result<Record<'a>, Box<Fault>> {
    record.read(members)?;
    let JsonRecord { text, values, layout } = record;
    let message = Text::whole(json.as_bytes(), false);
    Ok(Record { message, text, values, value_bytes: text.len(), layout, plain: false })
}
