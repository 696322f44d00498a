//! Schemas: the vocabularies in which events are written, one module each.

mod sekoia;

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

    /// Appends the record's event and a line feed.
    #[inline]
    pub(crate) fn write(self, record: &Record<'_>, rfc3339: &mut Rfc3339, events: &mut Vec<u8>) {
        match self {
            Schema::Sekoia => sekoia::write(record, rfc3339, events),
        }
    }
}
