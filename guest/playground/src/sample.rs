//! Some of the events: all of them as long as they are few, then every second one, every fourth, and so on.

use std::rc::Rc;

use serde::Serialize;

/// As many as a table can show.
const MOST_ROWS: usize = 5000;
/// Of records and events together.
const MOST_BYTES: usize = 16 << 20;
/// A longer event is left out.
const MOST_ROW_BYTES: usize = 256 << 10;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Sample {
    rows: Vec<Row>,
    /// One of so many events is kept, the first among them.
    every: u64,
    /// Events that would have been kept, but for their length.
    too_long: u64,
    #[serde(skip)]
    offered: u64,
    #[serde(skip)]
    bytes: usize,
}

#[derive(Debug, Serialize)]
struct Row {
    /// Index of the file.
    file: usize,
    /// From 1.
    line: u64,
    /// The header line in force.
    header: Option<Rc<str>>,
    record: String,
    event: String,
}

impl Row {
    fn bytes(&self) -> usize {
        self.record.len() + self.event.len() + self.header.as_ref().map_or(0, |header| header.len())
    }
}

impl Sample {
    pub(crate) fn new() -> Sample {
        Sample { every: 1, ..Sample::default() }
    }

    /// Whether the next event shall be added.
    #[inline]
    pub(crate) fn wants(&mut self) -> bool {
        let number = self.offered;
        self.offered += 1;
        number & (self.every - 1) == 0
    }

    pub(crate) fn add(&mut self, record: &[u8], event: &[u8], file: usize, line: u64, header: Option<Rc<str>>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned();
        let bytes = record.len() + event.len() + header.as_ref().map_or(0, |header| header.len());
        if bytes > MOST_ROW_BYTES {
            self.too_long += 1;
            return;
        }
        if self.rows.len() == MOST_ROWS || self.bytes + bytes > MOST_BYTES {
            let mut number = 0;
            self.rows.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.bytes = self.rows.iter().map(Row::bytes).sum();
            self.every *= 2;
            if (self.offered - 1) & (self.every - 1) != 0 {
                return;
            }
        }
        self.bytes += bytes;
        self.rows.push(Row { file, line, header, record: text(record), event: text(event) });
    }
}
