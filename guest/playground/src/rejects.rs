//! The first rejects, with the place in their line, and how many there are of each reason.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;
use vpcflow_parser::columns;

use crate::reading::Headers;

/// As many as people read.
const MOST_ROWS: usize = 500;
/// Of a longer line only the beginning is shown.
const MOST_LINE_BYTES: usize = 16 << 10;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Rejects {
    rows: Vec<Row>,
    by_reason: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// Index of the file.
    file: usize,
    /// From 1.
    line: u64,
    /// The header line in force.
    header: Option<Rc<str>>,
    /// Where the line or object begins in the decompressed file.
    byte_offset: u64,
    /// Which record of an envelope it is, from 1.
    event_number: Option<u64>,
    fault: Fault,
    /// The line in three parts, of which the second is what is wrong; that is empty if it is not known.
    text: [String; 3],
    /// Whether the line goes on.
    is_cut: bool,
}

/// What is wrong with a record.
#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    reason: &'static str,
    column: Option<u32>,
    field: Option<String>,
    found: String,
    wanted: String,
}

impl From<&vpcflow_parser::Fault> for Fault {
    fn from(fault: &vpcflow_parser::Fault) -> Fault {
        Fault {
            reason: fault.reason.name(),
            column: fault.column,
            field: fault.field.as_ref().map(ToString::to_string),
            found: fault.found.clone(),
            wanted: fault.wanted.to_string(),
        }
    }
}

impl Rejects {
    /// Adds what was rejected of `lines`, which begin `offset` bytes into the file and behind `lines_before` lines.
    pub(crate) fn add(
        &mut self,
        rejects: &[vpcflow_parser::Reject],
        file: usize,
        (lines_before, offset): (u64, u64),
        lines: &[u8],
        is_cut: bool,
        headers: &Headers,
    ) {
        for reject in rejects {
            *self.by_reason.entry(reject.fault.reason.name()).or_default() += 1;
            if self.rows.len() == MOST_ROWS {
                continue;
            }
            let line = &lines[reject.offset..reject.offset + reject.length];
            let line = reject.event.as_ref().map_or(line, |event| event.text.as_bytes());
            let shown = &line[..line.len().min(MOST_LINE_BYTES)];
            let before = headers.partition_point(|(line, _)| *line <= reject.line);
            self.rows.push(Row {
                file,
                line: lines_before + u64::from(reject.line) + 1,
                header: before.checked_sub(1).and_then(|index| headers[index].1.clone()),
                byte_offset: offset + reject.offset as u64,
                event_number: reject.event.as_ref().map(|event| u64::from(event.index) + 1),
                fault: (&reject.fault).into(),
                text: parts(shown, &reject.fault),
                is_cut: is_cut || shown.len() < line.len(),
            });
        }
    }
}

fn parts(line: &[u8], fault: &vpcflow_parser::Fault) -> [String; 3] {
    let is_json = line.trim_ascii_start().starts_with(b"{");
    let place = match fault.column {
        Some(column) if !is_json => columns(line).into_iter().nth(column as usize - 1),
        // Of JSON, the value is known and not its place: it is marked where it stands only once.
        _ if fault.field.is_some() => {
            let mut places = line.windows(fault.found.len().max(1)).enumerate();
            let mut next = || places.find(|(_, text)| *text == fault.found.as_bytes());
            let first = next();
            first.filter(|_| next().is_none()).map(|(start, found)| start..start + found.len())
        }
        _ => None,
    };
    let place = place.unwrap_or(line.len()..line.len());
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    [text(&line[..place.start]), text(&line[place.clone()]), text(&line[place.end..])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use vpcflow_parser::{Batch, Context, Options, Transformer};

    #[test]
    fn the_offending_column_is_marked() {
        let lines = concat!(
            "version srcaddr dstaddr srcport\n",
            "2 10.0.0.1 10.0.0.2 https\n",
            "2 10.0.0.1\t 10.0.0.300   443\n",
            "2 10.0.0.1 10.0.0.2\n",
            "{\"srcaddr\": \"10.0.0.1\", \"dstport\": 70000}\n",
            "{\"srcport\": 70000, \"dstport\": 70000}\n",
            "{\"id\": 1, \"message\": \"2 10.0.0.1 10.0.0.2 ssh\"}\n",
        );
        let mut transformer = Transformer::open(Options::default()).unwrap();
        let mut batch = Batch::default();
        transformer.transform(lines.as_bytes(), &Context::default(), &mut batch);
        let mut rejects = Rejects::default();
        rejects.add(&batch.rejects, 0, (10, 1000), lines.as_bytes(), false, &vec![(0, None), (1, Some("h".into()))]);
        let marked: Vec<(u64, &str, &str)> =
            rejects.rows.iter().map(|row| (row.line, row.text[0].as_str(), row.text[1].as_str())).collect();
        assert_eq!(
            marked,
            [
                (12, "2 10.0.0.1 10.0.0.2 ", "https"),
                (13, "2 10.0.0.1\t ", "10.0.0.300"),
                (14, "2 10.0.0.1 10.0.0.2", ""),
                (15, "{\"srcaddr\": \"10.0.0.1\", \"dstport\": ", "70000"),
                (16, "{\"srcport\": 70000, \"dstport\": 70000}", ""),
                (17, "{\"id\": 1, \"message\": \"2 10.0.0.1 10.0.0.2 ", "ssh"),
            ]
        );
        assert_eq!(rejects.by_reason, BTreeMap::from([("bad-value", 5), ("column-count", 1)]));
    }
}
