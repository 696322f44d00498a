//! Schemas: the vocabularies in which events are written, one module each.

mod sekoia;

use crate::json::Writer;
use crate::record::Record;
use crate::time::Rfc3339;

/// The vocabulary of the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schema {
    /// The Sekoia.io intake format "AWS VPC Flow logs".
    #[default]
    Sekoia,
}

impl Schema {
    /// The names of all schemas, the default first.
    pub const NAMES: [&str; 1] = ["sekoia"];

    /// Finds a schema by its name.
    pub fn by_name(name: &str) -> Option<Schema> {
        match name {
            "sekoia" => Some(Schema::Sekoia),
            _ => None,
        }
    }

    /// Appends the record's event and a line feed to `events`, by way of `scratch`.
    #[inline]
    pub(crate) fn write(self, record: &Record<'_>, rfc3339: &mut Rfc3339, scratch: &mut Vec<u8>, events: &mut Vec<u8>) {
        let (literal_bytes, times_written) = match self {
            Schema::Sekoia => (sekoia::LITERAL_BYTES, sekoia::TIMES_WRITTEN),
        };
        let bytes = record.message.length + times_written * record.value_bytes;
        let room = Writer::room(literal_bytes, bytes, record.plain);
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let length = match self {
            Schema::Sekoia => sekoia::write(record, rfc3339, scratch),
        };
        events.extend_from_slice(&scratch[..length]);
    }
}
