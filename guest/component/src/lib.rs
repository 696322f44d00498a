//! `vpcflow-parser` behind the WIT interface `vpcflow:ecs/transform`: names and types are
//! translated here, nothing else.

use std::cell::{Cell, RefCell};

use exports::vpcflow::ecs::transform as wit;
use vpcflow_parser::{
    Batch, ColumnReading, Context, Databases, Explanation, Fault, FieldDescription, MemberKind, Moment, OpenError,
    Options, Outcome, Reason, Reject, Schema, TimeField, Transformer, Vocabulary,
};

wit_bindgen::generate!({ path: "../../wit", world: "module" });

struct Module;

impl wit::Guest for Module {
    type Transformer = Instance;

    fn describe() -> wit::Description {
        wit::Description {
            schemas: Schema::ALL.map(|schema| schema.name().to_owned()).into(),
            fields: vpcflow_parser::describe().into_iter().map(field).collect(),
            vocabularies: Schema::ALL.map(|schema| vocabulary(vpcflow_parser::vocabulary(schema))).into(),
        }
    }
}

export!(Module);

struct Instance {
    transformer: RefCell<Transformer>,
    /// How much memory the events of the last input took: the next one will hardly need more.
    events_bytes: Cell<usize>,
}

impl wit::GuestTransformer for Instance {
    fn open(options: wit::Options) -> Result<wit::Transformer, wit::OpenError> {
        let schema = match options.schema {
            None => Schema::default(),
            Some(name) => Schema::by_name(&name).ok_or_else(|| open_error(OpenError::UnknownSchema(name)))?,
        };
        let options = Options {
            schema,
            format: options.format,
            max_line_bytes: options.max_line_bytes as usize,
            keep_message: options.keep_message,
            time_field: options.time_field.map(|field| match field {
                wit::TimeField::Start => TimeField::Start,
                wit::TimeField::End => TimeField::End,
            }),
            event_id: options.event_id,
            databases: Databases { city: options.geoip_city, asn: options.geoip_asn },
        };
        let transformer = RefCell::new(Transformer::open(options).map_err(open_error)?);
        Ok(wit::Transformer::new(Instance { transformer, events_bytes: Cell::new(0) }))
    }

    fn transform(&self, input: Vec<u8>, context: wit::Context) -> wit::Batch {
        let mut batch = Batch { events: Vec::with_capacity(self.events_bytes.get()), ..Batch::default() };
        self.transformer.borrow_mut().transform(&input, &parser_context(&context), &mut batch);
        self.events_bytes.set(batch.events.capacity());
        let counts = batch.counts;
        wit::Batch {
            events: batch.events,
            rejects: batch.rejects.into_iter().map(reject).collect(),
            counts: wit::Counts {
                lines: counts.lines,
                events: counts.events,
                rejects: counts.rejects,
                skips: counts.skips,
            },
        }
    }

    fn header(&self) -> Option<String> {
        self.transformer.borrow().header().map(str::to_owned)
    }

    fn set_header(&self, header: Option<String>) {
        self.transformer.borrow_mut().set_header(header.as_deref());
    }

    fn explain(&self, line: Vec<u8>, context: wit::Context) -> Vec<wit::Explanation> {
        let explanations = self.transformer.borrow_mut().explain(&line, &parser_context(&context));
        explanations.into_iter().map(explanation).collect()
    }
}

fn parser_context(context: &wit::Context) -> Context<'_> {
    let moment = |at: wit::Datetime| Moment { unix_secs: at.seconds, nanos: at.nanoseconds };
    Context { origin: &context.origin, offset: context.offset, collected_at: context.collected_at.map(moment) }
}

fn open_error(error: OpenError) -> wit::OpenError {
    let text = error.to_string();
    match error {
        OpenError::UnknownSchema(_) => wit::OpenError::UnknownSchema(text),
        OpenError::BadFormat(_) => wit::OpenError::BadFormat(text),
        OpenError::NotInSchema { .. } => wit::OpenError::NotInSchema(text),
        OpenError::BadDatabase(_) => wit::OpenError::BadDatabase(text),
        _ => wit::OpenError::Other(text),
    }
}

fn reject(reject: Reject) -> wit::Reject {
    wit::Reject {
        line: reject.line,
        offset: reject.offset as u32,
        length: reject.length as u32,
        event: reject.event.map(|event| wit::RejectedEvent { index: event.index, text: event.text }),
        fault: fault(reject.fault),
    }
}

fn fault(fault: Fault) -> wit::Fault {
    wit::Fault {
        reason: match fault.reason {
            Reason::LineTooLong => wit::Reason::LineTooLong,
            Reason::NotUtf8 => wit::Reason::NotUtf8,
            Reason::UnknownFormat => wit::Reason::UnknownFormat,
            Reason::ColumnCount => wit::Reason::ColumnCount,
            Reason::BadValue => wit::Reason::BadValue,
            Reason::BadJson => wit::Reason::BadJson,
            Reason::NotARecord => wit::Reason::NotARecord,
            Reason::BadEnvelope => wit::Reason::BadEnvelope,
            other => wit::Reason::Other(format!("{other:?}")),
        },
        column: fault.column,
        field: fault.field.map(Into::into),
        found: fault.found,
        wanted: fault.wanted.into(),
    }
}

fn explanation(explanation: Explanation) -> wit::Explanation {
    let column = |column: ColumnReading| wit::ColumnReading {
        number: column.number,
        name: column.name,
        found: column.found,
        reading: column.reading,
        members: column.members,
    };
    wit::Explanation {
        summary: explanation.summary,
        columns: explanation.columns.into_iter().map(column).collect(),
        outcome: match explanation.outcome {
            Outcome::Event(event) => wit::Outcome::Event(event),
            Outcome::Reject(rejected) => wit::Outcome::Rejected(fault(rejected)),
            Outcome::Skip(reason) => wit::Outcome::Skipped(reason.into()),
        },
    }
}

fn field(field: FieldDescription) -> wit::Field {
    wit::Field {
        name: field.name.into(),
        since: field.info.map(|info| info.since.into()),
        kind: field.info.map_or("text", |info| info.kind.wanted()).into(),
        meaning: field.info.map_or("A field that is newer than this table, or not of AWS's.", |info| info.doc).into(),
        members: field.members.into(),
    }
}

fn vocabulary(vocabulary: Vocabulary) -> wit::Vocabulary {
    let kind = |kind| match kind {
        MemberKind::Address => wit::MemberKind::Address,
        MemberKind::Time => wit::MemberKind::Time,
        MemberKind::Integer => wit::MemberKind::Integer,
        MemberKind::Boolean => wit::MemberKind::Boolean,
        MemberKind::Place => wit::MemberKind::Place,
        MemberKind::Original => wit::MemberKind::Original,
        MemberKind::Keyword => wit::MemberKind::Keyword,
    };
    let members =
        vocabulary.members.into_iter().map(|member| wit::Member { path: member.path, kind: kind(member.kind) });
    wit::Vocabulary { data_stream: vocabulary.data_stream.map(Into::into), members: members.collect() }
}
