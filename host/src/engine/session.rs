//! Transforms whatever comes: where a call fails, its lines (and the JSON objects that run together on
//! one) are tried one by one, and only the guilty ones are rejected.

use std::sync::Arc;

use super::instance::{Failure, Instance};
use super::{Batch, Context, Counts, Description, Engine, EngineError, Explanation, Fault, Options, Reason, Reject};
use crate::framing::smallest;

/// What came of some lines.
#[derive(Debug)]
pub struct Transformed {
    /// Events, rejects and counts.
    pub batch: Batch,
    /// The header line in force after them.
    pub header: Option<String>,
}

/// One thread's access to a module.
pub struct Session {
    engine: Arc<Engine>,
    options: Arc<Options>,
    instance: Option<Instance>,
}

impl Session {
    /// Opens the module, so that bad options are refused before a line is read.
    pub fn open(engine: Arc<Engine>, options: Arc<Options>) -> Result<Session, EngineError> {
        let instance = Some(Instance::open(&engine, &options)?);
        Ok(Session { engine, options, instance })
    }

    /// What the module tells of itself.
    pub fn describe(&self) -> Result<Description, EngineError> {
        self.engine.describe()
    }

    /// Transforms whole lines, before which `header` was the last header line. An error means that
    /// the module cannot even be opened again; bad lines are rejects.
    pub fn transform(
        &mut self,
        header: Option<&str>,
        lines: &[u8],
        context: &Context,
    ) -> Result<Transformed, EngineError> {
        match self.call(header, lines, context)? {
            Ok(transformed) => Ok(transformed),
            Err(_) => self.one_by_one(header, lines, context),
        }
    }

    /// Explains one line; a header line comes into force for the next one.
    pub fn explain(&mut self, line: &[u8], context: &Context) -> Result<Vec<Explanation>, EngineError> {
        let mut instance = self.take_instance()?;
        let explanations =
            instance.explain(line, context).map_err(|failure| EngineError::Fails(failure.to_string()))?;
        self.instance = Some(instance);
        Ok(explanations)
    }

    fn one_by_one(
        &mut self,
        header: Option<&str>,
        lines: &[u8],
        context: &Context,
    ) -> Result<Transformed, EngineError> {
        let counts = Counts { lines: 0, events: 0, rejects: 0, skips: 0 };
        let batch = Batch { events: Vec::new(), rejects: Vec::new(), counts };
        let mut whole = Transformed { batch, header: header.map(str::to_owned) };
        let mut offset = 0;
        for (line, continues) in smallest(lines) {
            // The line in whose middle this begins has been counted.
            whole.batch.counts.lines = whole.batch.counts.lines.saturating_sub(continues.into());
            let header = whole.header.take();
            let context = Context { offset: context.offset + offset as u64, ..context.clone() };
            match self.call(header.as_deref(), line, &context)? {
                Ok(part) => {
                    whole.header = part.header;
                    append(&mut whole.batch, part.batch, offset);
                }
                Err(failure) => {
                    whole.header = header;
                    whole.batch.rejects.push(guilty(&whole.batch.counts, offset, line, &failure));
                    whole.batch.counts.lines += 1;
                    whole.batch.counts.rejects += 1;
                }
            }
            offset += line.len();
        }
        Ok(whole)
    }

    /// Takes the instance, to be put back if nothing goes wrong with it.
    fn take_instance(&mut self) -> Result<Instance, EngineError> {
        match self.instance.take() {
            Some(instance) => Ok(instance),
            None => Instance::open(&self.engine, &self.options),
        }
    }

    /// One call of the module. A failure drops the instance: nothing is known of its memory.
    fn call(
        &mut self,
        header: Option<&str>,
        lines: &[u8],
        context: &Context,
    ) -> Result<Result<Transformed, Failure>, EngineError> {
        let mut instance = self.take_instance()?;
        let outcome = instance.set_header(header).and_then(|()| instance.transform(lines, context));
        Ok(outcome.map(|batch| {
            let header = instance.header.clone();
            self.instance = Some(instance);
            Transformed { batch, header }
        }))
    }
}

fn append(whole: &mut Batch, part: Batch, offset: usize) {
    let lines_before = whole.counts.lines as u32;
    whole.events.extend_from_slice(&part.events);
    whole.rejects.extend(part.rejects.into_iter().map(|reject| Reject {
        // The module may be anyone's: its numbers are not trusted to be small.
        line: lines_before.saturating_add(reject.line),
        offset: (offset as u32).saturating_add(reject.offset),
        ..reject
    }));
    whole.counts.lines += part.counts.lines;
    whole.counts.events += part.counts.events;
    whole.counts.rejects += part.counts.rejects;
    whole.counts.skips += part.counts.skips;
}

fn guilty(before: &Counts, offset: usize, line: &[u8], failure: &Failure) -> Reject {
    Reject {
        line: before.lines as u32,
        offset: offset as u32,
        length: line.strip_suffix(b"\n").unwrap_or(line).len() as u32,
        event: None,
        fault: Fault {
            reason: Reason::Other(failure.reason().into()),
            column: None,
            field: None,
            found: failure.to_string(),
            wanted: "a line that the module can transform".into(),
        },
    }
}
