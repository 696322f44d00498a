//! The implementations of the transformation: natively, and as a component.

use std::sync::{Arc, OnceLock};

use vpcflow::engine::{self, Engine, Limits, Reject, Session};
use vpcflow::reject::Reject as PlacedReject;
use vpcflow_parser as parser;

use crate::cases::CaseOptions;
use crate::databases;

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
    /// Transforms lines that begin at `offset` of their origin.
    fn transform(&mut self, lines: &[u8], offset: usize) -> Outcome;
}

pub type Open = fn(schema: &str, options: &CaseOptions) -> Box<dyn Implementation>;

/// Every implementation with its name.
pub const ALL: [(&str, Open); 2] = [("native", open_native), ("component", open_component)];

/// Larger than every case, so that only cases that are about it notice it.
const MAX_LINE_BYTES: u32 = 1 << 20;
const ORIGIN: &str = "case";

/// What a schema has no place for is not asked of it.
fn fitting(schema: &str, options: &CaseOptions) -> CaseOptions {
    match schema {
        "snare" => CaseOptions { time_field: None, geoip: false, ..options.clone() },
        _ => options.clone(),
    }
}

struct Native {
    transformer: parser::Transformer,
    collected_at: Option<(u64, u32)>,
}

pub fn open_native(schema: &str, options: &CaseOptions) -> Box<dyn Implementation> {
    let options = fitting(schema, options);
    let collected_at = options.collected_at;
    let options = parser::Options {
        schema: parser::Schema::by_name(schema).unwrap(),
        format: options.format,
        max_line_bytes: options.max_line_bytes.unwrap_or(MAX_LINE_BYTES) as usize,
        keep_message: options.keep_message,
        time_field: options.time_field.map(|field| match field.as_str() {
            "start" => parser::TimeField::Start,
            "end" => parser::TimeField::End,
            _ => panic!("{field}"),
        }),
        event_id: options.event_id,
        databases: match options.geoip {
            true => parser::Databases { city: Some(databases::city()), asn: Some(databases::asn()) },
            false => parser::Databases::default(),
        },
    };
    Box::new(Native { transformer: parser::Transformer::open(options).unwrap(), collected_at })
}

impl Implementation for Native {
    fn transform(&mut self, lines: &[u8], offset: usize) -> Outcome {
        let mut batch = parser::Batch::default();
        let collected_at = self.collected_at.map(|(unix_secs, nanos)| parser::Moment { unix_secs, nanos });
        let context = parser::Context { origin: ORIGIN, offset: offset as u64, collected_at };
        self.transformer.transform(lines, &context, &mut batch);
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
        event: reject.event.map(|event| engine::RejectedEvent { index: event.index, text: event.text }),
        fault: engine::Fault {
            reason: match fault.reason {
                In::LineTooLong => Out::LineTooLong,
                In::NotUtf8 => Out::NotUtf8,
                In::UnknownFormat => Out::UnknownFormat,
                In::ColumnCount => Out::ColumnCount,
                In::BadValue => Out::BadValue,
                In::BadJson => Out::BadJson,
                In::NotARecord => Out::NotARecord,
                In::BadEnvelope => Out::BadEnvelope,
                other => panic!("{other:?} is not tested"),
            },
            column: fault.column,
            field: fault.field.map(Into::into),
            found: fault.found,
            wanted: fault.wanted.into(),
        },
    }
}

struct Component {
    session: Session,
    header: Option<String>,
    collected_at: Option<(u64, u32)>,
}

/// The engine of all tests: compiled once.
pub fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(vpcflow_modules::COMPONENT, Limits::default()).unwrap()).clone()
}

/// The engine's default options.
pub fn engine_options() -> engine::Options {
    engine::Options {
        schema: None,
        format: None,
        max_line_bytes: MAX_LINE_BYTES,
        keep_message: None,
        time_field: None,
        event_id: false,
        geoip_city: None,
        geoip_asn: None,
    }
}

/// The options of a case, for the engine.
pub fn component_options(schema: &str, options: &CaseOptions) -> engine::Options {
    let options = fitting(schema, options);
    engine::Options {
        schema: Some(schema.into()),
        format: options.format,
        max_line_bytes: options.max_line_bytes.unwrap_or(MAX_LINE_BYTES),
        keep_message: options.keep_message,
        time_field: options.time_field.map(|field| match field.as_str() {
            "start" => engine::TimeField::Start,
            "end" => engine::TimeField::End,
            _ => panic!("{field}"),
        }),
        event_id: options.event_id,
        geoip_city: options.geoip.then(databases::city),
        geoip_asn: options.geoip.then(databases::asn),
    }
}

pub fn open_component(schema: &str, options: &CaseOptions) -> Box<dyn Implementation> {
    let session = Session::open(engine(), Arc::new(component_options(schema, options))).unwrap();
    Box::new(Component { session, header: None, collected_at: options.collected_at })
}

impl Implementation for Component {
    fn transform(&mut self, lines: &[u8], offset: usize) -> Outcome {
        let collected_at = self.collected_at.map(|(seconds, nanoseconds)| engine::Datetime { seconds, nanoseconds });
        let context = engine::Context { origin: ORIGIN.into(), offset: offset as u64, collected_at };
        let transformed = self.session.transform(self.header.as_deref(), lines, &context).unwrap();
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
