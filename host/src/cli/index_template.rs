//! What Elasticsearch and OpenSearch should know of a schema's events before they come: an index template,
//! made from what the module tells of them.

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use crate::engine::{Description, MemberKind, Vocabulary};

/// Over those that Elasticsearch and its integrations bring for the same data streams:
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/index-templates.html>.
const PRIORITY: u32 = 501;

/// What is longer is not indexed, and stays in the event: a term of more than 32 766 bytes would have
/// the whole event refused. In letters.
const LONGEST_KEYWORD: u32 = 1024;

/// Where the events of a schema go by themselves; the default schema's if it is not named.
#[cfg_attr(not(feature = "elasticsearch"), expect(dead_code, reason = "only its sink asks"))]
pub(super) fn default_index(description: &Description, schema: Option<&str>) -> anyhow::Result<String> {
    let name = name_of(description, schema)?;
    let data_stream = vocabulary(description, name).and_then(|vocabulary| vocabulary.data_stream.as_ref());
    Ok(data_stream.map_or_else(|| plain(name), |data_stream| format!("{data_stream}-default")))
}

/// The body of `PUT _index_template/…` for the events of a schema.
pub(super) fn index_template(description: &Description, schema: Option<&str>) -> anyhow::Result<String> {
    let name = name_of(description, schema)?;
    let vocabulary = vocabulary(description, name).with_context(|| {
        format!("the module does not tell what the events of the schema {name} are made of, so there is no template")
    })?;
    let mut properties = Map::new();
    for member in &vocabulary.members {
        insert(&mut properties, &member.path, mapping(member.kind));
    }
    let mut template = json!({
        "priority": PRIORITY,
        "template": {"mappings": {
            // A text that no table knows is never taken for a time.
            "date_detection": false,
            "dynamic_templates": [
                {"texts": {"match_mapping_type": "string", "mapping": mapping(MemberKind::Keyword)}},
            ],
            "properties": properties,
        }},
    });
    match &vocabulary.data_stream {
        Some(data_stream) => {
            template["index_patterns"] = json!([format!("{data_stream}-*")]);
            template["data_stream"] = json!({});
        }
        None => template["index_patterns"] = json!([plain(name), format!("{}-*", plain(name))]),
    }
    Ok(serde_json::to_string_pretty(&template)? + "\n")
}

fn name_of<'a>(description: &'a Description, schema: Option<&'a str>) -> anyhow::Result<&'a str> {
    match schema {
        None => Ok(description.schemas.first().map_or("events", String::as_str)),
        Some(name) if description.schemas.iter().any(|schema| schema == name) => Ok(name),
        Some(name) => bail!("unknown schema {name:?}, wanted one of {}", description.schemas.join(", ")),
    }
}

fn vocabulary<'a>(description: &'a Description, schema: &str) -> Option<&'a Vocabulary> {
    let index = description.schemas.iter().position(|name| name == schema)?;
    description.vocabularies.get(index)
}

fn plain(schema: &str) -> String {
    format!("vpcflow-{schema}")
}

/// Only what both products know, in every release of Elasticsearch 8 and OpenSearch 2.
fn mapping(kind: MemberKind) -> Value {
    match kind {
        MemberKind::Address => json!({"type": "ip"}),
        MemberKind::Time => json!({"type": "date"}),
        MemberKind::Integer => json!({"type": "long"}),
        MemberKind::Boolean => json!({"type": "boolean"}),
        MemberKind::Place => json!({"type": "geo_point"}),
        // To be read, not to be searched: as ECS has its `event.original`.
        MemberKind::Original => json!({"type": "keyword", "index": false, "doc_values": false}),
        MemberKind::Keyword => json!({"type": "keyword", "ignore_above": LONGEST_KEYWORD}),
    }
}

fn insert(properties: &mut Map<String, Value>, path: &str, mapping: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        properties.insert(path.into(), mapping);
        return;
    };
    let inner = properties.entry(first).or_insert_with(|| json!({"properties": {}}));
    if let Some(inner) = inner.get_mut("properties").and_then(Value::as_object_mut) {
        insert(inner, rest, mapping);
    }
}
