//! Where each field goes: found by writing events with and without its value, so that what is told
//! of a schema cannot differ from what it does.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::field::{Field, FieldInfo};
use crate::line::Value;
use crate::record::{Layout, Record};
use crate::schema::{Delivery, EventWriter, Schema};
use crate::text_record::Read;
use crate::transformer::{Options, Transformer};

/// A field, and the members of the events that depend on it.
#[derive(Debug)]
pub struct FieldDescription {
    /// AWS's name; for the last row `(any other name)`.
    pub name: &'static str,
    /// The row of the table; the last row has none.
    pub info: Option<&'static FieldInfo>,
    /// For each schema of [`Schema::ALL`] the paths of the members, as `source.ip`.
    pub members: [Vec<String>; Schema::ALL.len()],
}

/// A name that AWS may come to use.
const OTHER: &str = "other-name";

/// Every field of the table, and what happens to names that are not in it.
pub fn describe() -> Vec<FieldDescription> {
    let mut members = Schema::ALL.map(|schema| members_of_all(schema).into_iter());
    let rows = Field::ALL.iter().map(|field| Some(field.info())).chain([None]);
    rows.map(|info| FieldDescription {
        name: info.map_or("(any other name)", |info| info.name),
        info,
        members: members.each_mut().map(|members| members.next().unwrap_or_default()),
    })
    .collect()
}

/// A legal value, different for every field.
fn example(field: Field) -> String {
    let FieldInfo { kind, shape, .. } = field.info();
    match field {
        // A protocol with ports, so that the flow has an id.
        Field::Protocol => "6".into(),
        _ => kind.example(*shape, field as u8),
    }
}

fn members_of_all(schema: Schema) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    with_every_field(Options { schema, ..Options::default() }, Some(OTHER), &mut |writer, record| {
        let delivery = Delivery { origin: "", offset: 0, event: None };
        all = (0..record.values.len()).map(|slot| members(writer, record, &delivery, slot)).collect();
    });
    all
}

/// Shows `visit` a record that has every field of the table, and the one that is named `other`.
pub(crate) fn with_every_field(
    options: Options,
    other: Option<&str>,
    visit: &mut dyn FnMut(&mut EventWriter, &Record<'_>),
) {
    let mut names = Field::ALL.map(|field| field.info().name).join(" ");
    let mut line = Field::ALL.map(example).join(" ");
    if let Some(other) = other {
        names += &format!(" {other}");
        line += " x";
    }
    let mut transformer =
        Transformer::open(Options { format: Some(names), ..options }).expect("AWS's names are a format");
    let Transformer { text, writer, .. } = &mut transformer;
    if let Ok(Read::Record(record)) = crate::transformer::read_inner(text, &line) {
        visit(writer, &record);
    }
}

/// The members of the record's event that depend on the value in `slot`: those that change without
/// it, and those that are there with nothing but it.
pub(crate) fn members(
    writer: &mut EventWriter,
    record: &Record<'_>,
    delivery: &Delivery<'_>,
    slot: usize,
) -> Vec<String> {
    let mut event = |values: &[Value]| {
        let mut bytes = Vec::new();
        writer.write(&Record { values, ..*record }, delivery, &mut bytes);
        leaves(&serde_json::from_slice(&bytes).unwrap_or_default())
    };
    let absent = |value: Value| Value { end: value.start, ..value };
    let keep = |wanted: &dyn Fn(usize) -> bool| -> Vec<Value> {
        let values = record.values.iter().enumerate();
        values.map(|(index, value)| if wanted(index) { *value } else { absent(*value) }).collect()
    };
    let whole = event(record.values);
    let (without, alone, nothing) =
        (event(&keep(&|index| index != slot)), event(&keep(&|index| index == slot)), event(&keep(&|_| false)));
    let depends = |(path, value): &(&String, &Json)| {
        without.get(*path) != Some(value) || (alone.contains_key(*path) && nothing.get(*path) != alone.get(*path))
    };
    whole.iter().filter(depends).map(|(path, _)| path.clone()).collect()
}

/// The members of an object that are no objects, by path. Arrays count as one.
fn leaves(object: &Json) -> BTreeMap<String, Json> {
    fn add(path: &str, value: &Json, leaves: &mut BTreeMap<String, Json>) {
        match value {
            Json::Object(members) => {
                let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
                members.iter().for_each(|(key, value)| add(&format!("{prefix}{key}"), value, leaves));
            }
            _ => drop(leaves.insert(path.into(), value.clone())),
        }
    }
    let mut found = BTreeMap::new();
    add("", object, &mut found);
    found
}

impl Layout {
    /// The name of the value in `slot`.
    pub(crate) fn name(&self, slot: usize) -> Option<&str> {
        let field = self.fields.iter().find(|&&field| self.slot(field) == slot).map(|field| field.info().name);
        field.or_else(|| self.unknown.iter().find(|unknown| unknown.slot == slot).map(|unknown| &*unknown.name))
    }
}
