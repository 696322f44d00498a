//! `vpcflow-parser` behind the WIT interface `vpcflow:ecs/transform`: names and types are
//! translated here, nothing else.

use std::cell::{Cell, RefCell};

use exports::vpcflow::ecs::transform as wit;
use vpcflow_parser::{Batch, OpenError, Options, Reason, Reject, Schema, Transformer};

wit_bindgen::generate!({ path: "../../wit", world: "module" });

struct Module;

impl wit::Guest for Module {
    type Transformer = Instance;
}

export!(Module);

struct Instance {
    transformer: RefCell<Transformer>,
    /// How much memory the events of the last input took: the next one will hardly need more.
    events_bytes: Cell<usize>,
}

impl wit::GuestTransformer for Instance {
    fn open(options: wit::Options) -> Result<wit::Transformer, wit::OpenError> {
        let schema = match &options.schema {
            None => Schema::default(),
            Some(name) => Schema::by_name(name).ok_or_else(|| open_error(OpenError::UnknownSchema(name.clone())))?,
        };
        let max_line_bytes = options.max_line_bytes as usize;
        let transformer =
            Transformer::open(&Options { schema, format: options.format, max_line_bytes }).map_err(open_error)?;
        Ok(wit::Transformer::new(Instance { transformer: RefCell::new(transformer), events_bytes: Cell::new(0) }))
    }

    fn transform(&self, input: Vec<u8>) -> wit::Batch {
        let mut batch = Batch { events: Vec::with_capacity(self.events_bytes.get()), ..Batch::default() };
        self.transformer.borrow_mut().transform(&input, &mut batch);
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
}

fn open_error(error: OpenError) -> wit::OpenError {
    let text = error.to_string();
    match error {
        OpenError::UnknownSchema(_) => wit::OpenError::UnknownSchema(text),
        OpenError::BadFormat(_) => wit::OpenError::BadFormat(text),
        _ => wit::OpenError::Other(text),
    }
}

fn reject(reject: Reject) -> wit::Reject {
    let fault = reject.fault;
    wit::Reject {
        line: reject.line,
        offset: reject.offset as u32,
        length: reject.length as u32,
        reason: match fault.reason {
            Reason::LineTooLong => wit::Reason::LineTooLong,
            Reason::NotUtf8 => wit::Reason::NotUtf8,
            Reason::UnknownFormat => wit::Reason::UnknownFormat,
            Reason::ColumnCount => wit::Reason::ColumnCount,
            Reason::BadValue => wit::Reason::BadValue,
            Reason::BadJson => wit::Reason::BadJson,
            Reason::NotARecord => wit::Reason::NotARecord,
            other => wit::Reason::Other(format!("{other:?}")),
        },
        column: fault.column,
        field: fault.field.map(Into::into),
        found: fault.found,
        wanted: fault.wanted.into(),
    }
}
