//! A module of the world `vpcflow:ecs/module` for another log: logfmt lines such as
//! `level=info msg="it starts"` become JSON objects. `vpcflow transform --module` runs it, with all that the
//! host has: sources, threads, limits, rejects with their places.

use exports::vpcflow::ecs::transform::{
    Batch, Context, Counts, Description, Explanation, Fault, Field, Guest, GuestTransformer, OpenError, Options,
    Outcome, Reason, Reject, Transformer,
};
use serde_json::{Map, Value};

// Elsewhere: a copy of the interface, which `vpcflow module --wit` prints.
wit_bindgen::generate!({ path: "../../../wit", world: "module" });

struct Logfmt;

export!(Logfmt);

impl Guest for Logfmt {
    type Transformer = Logfmt;

    fn describe() -> Description {
        let meaning = "Becomes a member of the same name.".into();
        let any = Field { name: "(any)".into(), since: None, kind: "text".into(), meaning, members: vec![vec![]] };
        Description { schemas: vec!["json".into()], fields: vec![any], vocabularies: Vec::new() }
    }
}

impl GuestTransformer for Logfmt {
    fn open(options: Options) -> Result<Transformer, OpenError> {
        match options.schema.as_deref() {
            None | Some("json") => Ok(Transformer::new(Logfmt)),
            Some(other) => Err(OpenError::UnknownSchema(format!("there is json, and no {other}"))),
        }
    }

    fn transform(&self, input: Vec<u8>, _: Context) -> Batch {
        let counts = Counts { lines: 0, events: 0, rejects: 0, skips: 0 };
        let mut batch = Batch { events: Vec::new(), rejects: Vec::new(), counts };
        let mut offset = 0;
        for (index, whole) in input.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let line = whole.strip_suffix(b"\n").unwrap_or(whole);
            match read(line) {
                Ok(event) if event.is_empty() => batch.counts.skips += 1,
                Ok(event) => {
                    batch.events.extend_from_slice(format!("{}\n", Value::Object(event)).as_bytes());
                    batch.counts.events += 1;
                }
                Err(fault) => {
                    let length = line.len() as u32;
                    batch.rejects.push(Reject { line: index as u32, offset, length, event: None, fault });
                    batch.counts.rejects += 1;
                }
            }
            offset += whole.len() as u32;
            batch.counts.lines += 1;
        }
        batch
    }

    /// There are no header lines in logfmt.
    fn header(&self) -> Option<String> {
        None
    }

    fn set_header(&self, _: Option<String>) {}

    fn explain(&self, line: Vec<u8>, _: Context) -> Vec<Explanation> {
        let outcome = match read(&line) {
            Ok(event) if event.is_empty() => Outcome::Skipped("blank".into()),
            Ok(event) => Outcome::Event(Value::Object(event).to_string()),
            Err(fault) => Outcome::Rejected(fault),
        };
        vec![Explanation { summary: "logfmt".into(), columns: Vec::new(), outcome }]
    }
}

/// `key=value key="quoted value" flag`.
fn read(line: &[u8]) -> Result<Map<String, Value>, Fault> {
    let mut rest = str::from_utf8(line).map_err(|_| fault("bytes that are not UTF-8", "UTF-8"))?.trim();
    let mut event = Map::new();
    while !rest.is_empty() {
        let (key, behind) = rest.split_at(rest.find([' ', '=']).unwrap_or(rest.len()));
        let (value, behind) = match behind.strip_prefix('=') {
            None => (Value::Bool(true), behind),
            // As Go's loggers quote: JSON's string, but for rare escapes.
            Some(quoted) if quoted.starts_with('"') => {
                let mut values = serde_json::Deserializer::from_str(quoted).into_iter();
                let value = values.next().and_then(Result::ok).ok_or_else(|| fault(quoted, "a string to its quote"))?;
                (value, &quoted[values.byte_offset()..])
            }
            Some(plain) => {
                let (value, behind) = plain.split_at(plain.find(' ').unwrap_or(plain.len()));
                (value.into(), behind)
            }
        };
        if key.is_empty() {
            return Err(fault(rest, "a key"));
        }
        event.insert(key.into(), value);
        rest = behind.trim_start();
    }
    Ok(event)
}

fn fault(found: &str, wanted: &str) -> Fault {
    let found = found.chars().take(100).collect();
    Fault { reason: Reason::Other("bad-logfmt".into()), column: None, field: None, found, wanted: wanted.into() }
}
