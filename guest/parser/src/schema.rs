//! Schemas: the vocabularies in which events are written, one module each.

mod elastic;
mod sekoia;
mod snare;

use std::sync::Arc;

use crate::enrichment::Enrichment;
use crate::envelope::LogEvent;
use crate::error::OpenError;
use crate::field::Field;
use crate::identity::Identity;
use crate::json::Writer;
use crate::record::{Record, Text, Unknown};
use crate::time::{Moment, Rfc3339};
use crate::transformer::Options;

/// The vocabulary of the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schema {
    /// The Sekoia.io intake format "AWS VPC Flow logs".
    #[default]
    Sekoia,
    /// ECS 8.11 as the Elastic data stream "AWS VPC flow" has it.
    Elastic,
    /// The flat table `AWSVPCFlowLog` of Snare Central.
    Snare,
}

/// Which of a record's two times is the event's `@timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeField {
    /// The first packet's.
    Start,
    /// The last packet's.
    End,
}

impl Schema {
    /// Every schema, the default first.
    pub const ALL: [Schema; 3] = [Schema::Sekoia, Schema::Elastic, Schema::Snare];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Schema::Sekoia => "sekoia",
            Schema::Elastic => "elastic",
            Schema::Snare => "snare",
        }
    }

    /// The names of the members that an event can have, without those inside them.
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Schema::Sekoia => sekoia::TOP_MEMBERS,
            Schema::Elastic => elastic::TOP_MEMBERS,
            Schema::Snare => snare::TOP_MEMBERS,
        }
    }

    /// The data stream that its events are made for, without the namespace.
    pub(crate) fn data_stream(self) -> Option<&'static str> {
        (self == Schema::Elastic).then_some(elastic::DATA_STREAM)
    }

    /// Whether its events have members for what databases tell of addresses.
    pub(crate) fn takes_databases(self) -> bool {
        self != Schema::Snare
    }

    /// Finds a schema by its name.
    pub fn by_name(name: &str) -> Option<Schema> {
        Schema::ALL.into_iter().find(|schema| schema.name() == name)
    }
}

/// What is written beside the record's own values.
pub(crate) struct Extras<'a> {
    /// Whether the original record is carried.
    message: bool,
    time_field: TimeField,
    id: Option<&'a [u8]>,
    /// When the caller collected the record, in RFC 3339.
    collected: Option<&'a [u8]>,
    /// CloudWatch's time of the record, in Unix milliseconds.
    received: Option<u64>,
    /// Members of ECS's `source` and `destination`, from the databases.
    source: &'a [u8],
    destination: &'a [u8],
}

/// Where a record is from.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    pub(crate) origin: &'a str,
    /// Where its line or object begins in the origin.
    pub(crate) offset: u64,
    pub(crate) event: Option<LogEvent<'a>>,
}

/// Writes the events of one schema.
#[derive(Debug)]
pub(crate) struct EventWriter {
    schema: Schema,
    message: bool,
    time_field: TimeField,
    identity: Option<Identity>,
    enrichment: Option<Enrichment>,
    collected: Option<String>,
    rfc3339: Rfc3339,
    buffer: Vec<u8>,
}

impl EventWriter {
    pub(crate) fn open(options: Options) -> Result<EventWriter, OpenError> {
        let schema = options.schema;
        let enrichment = Enrichment::open(options.databases)?;
        let refuse = |option| Err(OpenError::NotInSchema { option, schema: schema.name() });
        match schema {
            _ if enrichment.is_some() && !schema.takes_databases() => return refuse("geo and AS fields"),
            Schema::Snare if options.time_field.is_some() => return refuse("a choice of the time"),
            _ => {}
        }
        let default_time = if schema == Schema::Sekoia { TimeField::Start } else { TimeField::End };
        Ok(EventWriter {
            schema,
            message: options.keep_message.unwrap_or(schema != Schema::Snare),
            time_field: options.time_field.unwrap_or(default_time),
            identity: options.event_id.then(Identity::default),
            enrichment,
            collected: None,
            rfc3339: Rfc3339::new(),
            buffer: Vec::new(),
        })
    }

    /// Sets the collection time of the events that follow.
    pub(crate) fn set_collected_at(&mut self, collected_at: Option<Moment>) {
        self.collected = collected_at.map(|moment| self.rfc3339.shortest(moment));
    }

    /// Appends the record's event and a line feed to `events`.
    #[inline(always)]
    pub(crate) fn write(&mut self, record: &Record<'_>, delivery: &Delivery<'_>, events: &mut Vec<u8>) {
        let id = self.identity.as_mut().map(|identity| {
            identity.id(delivery.origin, delivery.offset, delivery.event, record.message.bytes()).as_bytes()
        });
        let mut members = |field| Some(self.enrichment.as_mut()?.members(record.text(field)?));
        let (source, destination): (Option<Arc<[u8]>>, _) = (members(Field::Srcaddr), members(Field::Dstaddr));
        let collected = self.collected.as_deref().map(str::as_bytes);
        let received = delivery.event.and_then(|event| event.timestamp);
        let extras = Extras {
            message: self.message,
            time_field: self.time_field,
            id,
            collected,
            received,
            source: source.as_deref().unwrap_or_default(),
            destination: destination.as_deref().unwrap_or_default(),
        };
        let room = room(self.schema, record, &extras);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let length = match self.schema {
            Schema::Sekoia => sekoia::write(record, &extras, &mut self.rfc3339, &mut self.buffer),
            Schema::Elastic => elastic::write(record, &extras, &mut self.rfc3339, &mut self.buffer),
            Schema::Snare => snare::write(record, &extras, &mut self.rfc3339, &mut self.buffer),
        };
        events.extend_from_slice(&self.buffer[..length]);
    }
}

/// The most that an event can take.
#[inline(always)]
fn room(schema: Schema, record: &Record<'_>, extras: &Extras<'_>) -> usize {
    let (literal_bytes, times_written) = match schema {
        Schema::Sekoia => (sekoia::LITERAL_BYTES, sekoia::TIMES_WRITTEN),
        Schema::Elastic => (elastic::LITERAL_BYTES, elastic::TIMES_WRITTEN),
        Schema::Snare => (snare::LITERAL_BYTES, snare::TIMES_WRITTEN),
    };
    let bytes = record.message.length + times_written * record.value_bytes;
    let extras = [extras.id, extras.collected, Some(extras.source), Some(extras.destination)];
    let extra_bytes = extras.into_iter().flatten().map(<[u8]>::len).sum::<usize>();
    let name_bytes = |unknown: &Unknown| Writer::room(8, unknown.name.len().max(unknown.member.len()), false);
    let unknown = record.layout.unknown.iter().map(name_bytes).sum::<usize>();
    Writer::room(literal_bytes + extra_bytes + unknown, bytes, record.plain && record.message.plain)
}

/// A member that holds the record as it was received: `name` is `"…":"`.
#[inline(always)]
fn message<const N: usize>(record: &Record<'_>, name: &[u8; N], out: &mut Writer<'_>) {
    out.literal(name);
    out.string(record.message);
    out.literal(b"\",");
}

/// A member that is a string without anything to escape.
#[inline(always)]
fn exact_member<const N: usize>(name: &[u8; N], value: Option<&[u8]>, out: &mut Writer<'_>) {
    if let Some(value) = value {
        out.literal(name);
        out.exact(value);
        out.literal(b"\",");
    }
}

/// A member that is a string of always the same length, nothing in it to escape: `name` is `"…":"`.
#[inline(always)]
fn fixed_member<const N: usize, const T: usize>(name: &[u8; N], value: &Option<[u8; T]>, out: &mut Writer<'_>) {
    if let Some(value) = value {
        out.literal(name);
        out.literal(value);
        out.literal(b"\",");
    }
}

/// A member that is a string: `name` is `"…":"`.
#[inline(always)]
fn string_member<const N: usize>(name: &[u8; N], value: Option<Text<'_>>, out: &mut Writer<'_>) {
    if let Some(value) = value {
        out.literal(name);
        out.string(value);
        out.literal(b"\",");
    }
}

/// A member that is an object of one string: `names` is `"…":{"…":"`.
#[inline(always)]
fn nested_member<const N: usize>(names: &[u8; N], value: Option<Text<'_>>, out: &mut Writer<'_>) {
    if let Some(value) = value {
        out.literal(names);
        out.string(value);
        out.literal(b"\"},");
    }
}

/// A member that is a number: `name` is `"…":`.
#[inline(always)]
fn number_member<const N: usize>(name: &[u8; N], value: Option<Text<'_>>, out: &mut Writer<'_>) {
    if let Some(value) = value {
        out.literal(name);
        out.string(value);
        out.literal(b",");
    }
}
