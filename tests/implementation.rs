//! The implementations of the transformation: natively, and as a component.

use std::sync::{Arc, OnceLock};

use vpcflow::engine::{self, Engine, Limits, Reject, Session};
use vpcflow::reject::Reject as PlacedReject;
use vpcflow_parser as parser;

/// What came of an input.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub events: Vec<u8>,
    pub rejects: Vec<Reject>,
    pub counts: [u64; 4],
}

impl Outcome {
    /// Appends what came of the next part of the same input.
    pub fn append(&mut self, next: Outcome, offset: usize) {
        let lines_before = self.counts[0] as u32;
        self.events.extend_from_slice(&next.events);
        self.rejects.extend(next.rejects.into_iter().map(|reject| Reject {
            line: reject.line + lines_before,
            offset: reject.offset + offset as u32,
            ..reject
        }));
        for (count, more) in self.counts.iter_mut().zip(next.counts) {
            *count += more;
        }
    }

    pub fn rejects_as_ndjson(&self, input: &[u8]) -> String {
        let mut text = String::new();
        for reject in &self.rejects {
            text += &serde_json::to_string(&PlacedReject::new("case", (0, 0), input, false, reject)).unwrap();
            text += "\n";
        }
        let [lines, events, rejects, skips] = self.counts;
        text + &format!("{{\"lines\":{lines},\"events\":{events},\"rejects\":{rejects},\"skips\":{skips}}}\n")
    }

    /// Everything that can be compared.
    pub fn as_text(&self, input: &[u8]) -> String {
        String::from_utf8_lossy(&self.events).into_owned() + &self.rejects_as_ndjson(input)
    }
}

pub trait Implementation {
    fn transform(&mut self, lines: &[u8]) -> Outcome;
}

pub type Open = fn(format: Option<&str>, max_line_bytes: u32) -> Box<dyn Implementation>;

/// Every implementation with its name.
pub const ALL: [(&str, Open); 2] = [("native", open_native), ("component", open_component)];

pub fn open_native(format: Option<&str>, max_line_bytes: u32) -> Box<dyn Implementation> {
    let options = parser::Options {
        schema: parser::Schema::Sekoia,
        format: format.map(str::to_owned),
        max_line_bytes: max_line_bytes as usize,
    };
    Box::new(parser::Transformer::open(&options).unwrap())
}

impl Implementation for parser::Transformer {
    fn transform(&mut self, lines: &[u8]) -> Outcome {
        let mut batch = parser::Batch::default();
        parser::Transformer::transform(self, lines, &mut batch);
        let counts = batch.counts;
        Outcome {
            events: batch.events,
            rejects: batch.rejects.into_iter().map(engine_reject).collect(),
            counts: [counts.lines, counts.events, counts.rejects, counts.skips],
        }
    }
}

fn engine_reject(reject: parser::Reject) -> Reject {
    use engine::Reason as Out;
    use parser::Reason as In;
    let fault = reject.fault;
    Reject {
        line: reject.line,
        offset: reject.offset as u32,
        length: reject.length as u32,
        reason: match fault.reason {
            In::LineTooLong => Out::LineTooLong,
            In::NotUtf8 => Out::NotUtf8,
            In::UnknownFormat => Out::UnknownFormat,
            In::ColumnCount => Out::ColumnCount,
            In::BadValue => Out::BadValue,
            In::BadJson => Out::BadJson,
            In::NotARecord => Out::NotARecord,
            other => panic!("{other:?} is not tested"),
        },
        column: fault.column,
        field: fault.field.map(Into::into),
        found: fault.found,
        wanted: fault.wanted.into(),
    }
}

struct Component {
    session: Session,
    header: Option<String>,
}

pub fn open_component(format: Option<&str>, max_line_bytes: u32) -> Box<dyn Implementation> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new(vpcflow_modules::COMPONENT, Limits::default()).unwrap());
    let options = engine::Options { schema: None, format: format.map(str::to_owned), max_line_bytes };
    Box::new(Component { session: Session::open(engine.clone(), options).unwrap(), header: None })
}

impl Implementation for Component {
    fn transform(&mut self, lines: &[u8]) -> Outcome {
        let transformed = self.session.transform(self.header.as_deref(), lines).unwrap();
        self.header = transformed.header;
        let batch = transformed.batch;
        let counts = batch.counts;
        Outcome {
            events: batch.events,
            rejects: batch.rejects,
            counts: [counts.lines, counts.events, counts.rejects, counts.skips],
        }
    }
}
