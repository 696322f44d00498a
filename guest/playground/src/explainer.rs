//! How one line is read, for the page to show.

use serde::Serialize;
use vpcflow_parser::{Batch, Context, Databases, Flow, Outcome, Transformer, Watch, columns};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::json;
use crate::rejects::Fault;
use crate::settings::Settings;

/// A line of JSON may hold thousands of records, and each takes many events to explain.
const MOST_LINE_BYTES: usize = 64 << 10;
/// So that a text of nothing but rejects takes little memory.
const BATCH_BYTES: usize = 64 << 10;

/// For who wants to know the header line only.
struct WithoutEvents;

impl Watch for WithoutEvents {
    fn header(&mut self, _: u32, _: Option<&str>) {}

    fn wants(&mut self, _: &Flow<'_>) -> bool {
        false
    }

    fn event(&mut self, _: &Flow<'_>, _: &[u8]) {}
}

/// Explains single lines.
#[wasm_bindgen]
pub struct Explainer {
    transformer: Transformer,
    settings: Settings,
}

#[derive(Serialize)]
struct Explanation {
    summary: String,
    columns: Vec<Column>,
    /// The event as JSON.
    event: Option<String>,
    rejected: Option<Fault>,
    skipped: Option<&'static str>,
}

#[derive(Serialize)]
struct Column {
    number: Option<u32>,
    /// Where it stands in the line, in UTF-16 code units as JavaScript counts; of a text line only.
    range: Option<(usize, usize)>,
    name: String,
    found: String,
    reading: Option<String>,
    wanted: Option<String>,
    members: Vec<String>,
}

#[wasm_bindgen]
impl Explainer {
    /// Takes `Settings` as JSON, and databases in MaxMind DB format.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: &str, city: Option<Vec<u8>>, asn: Option<Vec<u8>>) -> Result<Explainer, JsError> {
        let settings = Settings::read(settings).map_err(|error| JsError::new(&error))?;
        let options = settings.options(Databases { city, asn }).map_err(|error| JsError::new(&error))?;
        let transformer = Transformer::open(options).map_err(|error| JsError::new(&error.to_string()))?;
        Ok(Explainer { transformer, settings })
    }

    /// Explains the records of `line`, which stands behind the whole lines of `before`: `Explanation[]` as JSON.
    pub fn explain(&mut self, before: &str, line: &str) -> String {
        if line.len() > MOST_LINE_BYTES {
            let summary = format!("a line of {} bytes, too long to be explained here", line.len());
            return json(&[Explanation { summary, columns: Vec::new(), event: None, rejected: None, skipped: None }]);
        }
        // Only for the header line that is in force.
        self.transformer.set_header(None);
        let mut batch = Batch::default();
        let mut before = before.as_bytes();
        while !before.is_empty() {
            let end = before.iter().skip(BATCH_BYTES).position(|&byte| byte == b'\n');
            let (lines, rest) = before.split_at(end.map_or(before.len(), |end| BATCH_BYTES + end + 1));
            self.transformer.transform_watched(lines, &Context::default(), &mut batch, &mut WithoutEvents);
            batch.clear();
            before = rest;
        }
        let context = Context { collected_at: self.settings.collected_at(), ..Context::default() };
        let is_text = !line.trim_start().starts_with('{');
        let places = if is_text { columns(line.as_bytes()) } else { Vec::new() };
        let utf16 = |byte: usize| line[..byte].encode_utf16().count();
        let explanations = self.transformer.explain(line.as_bytes(), &context).into_iter().map(|explanation| {
            let columns = explanation.columns.into_iter().map(|column| {
                let place = column.number.and_then(|number| places.get(number as usize - 1));
                let (reading, wanted) = match column.reading {
                    Ok(reading) => (Some(reading), None),
                    Err(wanted) => (None, Some(wanted)),
                };
                Column {
                    number: column.number,
                    range: place.map(|place| (utf16(place.start), utf16(place.end))),
                    name: column.name,
                    found: column.found,
                    reading,
                    wanted,
                    members: column.members,
                }
            });
            let (event, rejected, skipped) = match explanation.outcome {
                Outcome::Event(event) => (Some(event), None, None),
                Outcome::Reject(fault) => (None, Some(Fault::from(&fault)), None),
                Outcome::Skip(reason) => (None, None, Some(reason)),
            };
            Explanation { summary: explanation.summary, columns: columns.collect(), event, rejected, skipped }
        });
        json(&explanations.collect::<Vec<_>>())
    }
}
