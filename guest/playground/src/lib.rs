//! `vpcflow-parser` behind wasm-bindgen, for a Web Worker of the page in `page/`.
//!
//! The flow: a [`Reading`] opens a file (`input`), decompresses it and cuts it at line ends (`vpcflow-framing`, as
//! the host does), transforms batch after batch, and keeps of what goes by only sums (`traffic`), a `sample` of
//! the events, and the first `rejects`: so memory does not grow with the file. An [`Explainer`] explains one line.
//!
//! Values cross as JSON; `page/types.ts` has their types.

mod explainer;
mod filter;
mod input;
mod reading;
mod rejects;
mod sample;
mod settings;
mod timeline;
mod traffic;

use serde::Serialize;
use vpcflow_parser::Schema;
use wasm_bindgen::prelude::wasm_bindgen;

pub use explainer::Explainer;
pub use reading::Reading;

#[derive(Serialize)]
struct Description {
    schemas: [&'static str; Schema::ALL.len()],
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: &'static str,
    since: Option<u8>,
    kind: String,
    meaning: &'static str,
    members: Vec<Vec<String>>,
}

/// The schemas, the default first, and for each field where it goes: a `Description` as JSON.
#[wasm_bindgen]
pub fn describe() -> String {
    let fields = vpcflow_parser::describe().into_iter().map(|field| Field {
        name: field.name,
        since: field.info.map(|info| info.since),
        kind: field.info.map_or("text", |info| info.kind.wanted()).into(),
        meaning: field.info.map_or("A field that is newer than this table, or not of AWS's.", |info| info.doc),
        members: field.members.into(),
    });
    json(&Description { schemas: Schema::ALL.map(Schema::name), fields: fields.collect() })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers, and maps with names")
}
