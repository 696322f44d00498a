//! `vpcflow fields`: the table of fields, as the module tells it, and what a destination should know of events.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::event_options::ModuleOptions;
use super::index_template::index_template;
use super::{print, table};
use crate::engine::{Description, Field};

/// Print the table of fields: name, version, meaning, and where each goes in each schema
#[derive(Args)]
pub(super) struct Arguments {
    /// As a Markdown table
    #[arg(long)]
    markdown: bool,

    /// As JSON: an array of objects
    #[arg(long, conflicts_with = "markdown")]
    json: bool,

    /// Instead of the table, an index template for Elasticsearch or OpenSearch with the type of every member
    #[arg(long, conflicts_with_all = ["markdown", "json"])]
    index_template: bool,

    /// Schema of the index template [default: the first one]
    #[arg(long, value_name = "NAME", requires = "index_template")]
    schema: Option<String>,

    #[command(flatten)]
    module: ModuleOptions,
}

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let description = self.module.engine()?.describe()?;
        let text = match () {
            () if self.index_template => index_template(&description, self.schema.as_deref())?,
            () if self.json => json(&description)?,
            () if self.markdown => markdown(&description),
            () => plain(&description),
        };
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn since(field: &Field) -> String {
    field.since.map_or_else(String::new, |since| since.to_string())
}

/// One block a field: a table of all this is too wide for a terminal.
fn plain(description: &Description) -> String {
    let mut text = String::new();
    for field in &description.fields {
        let version = field.since.map_or_else(String::new, |since| format!(", version {since}"));
        text += &format!("{}{version}: {} ({})\n", field.name, field.meaning, field.kind);
        let rows = description.schemas.iter().zip(&field.members);
        let rows: Vec<_> = rows
            .map(|(schema, members)| [schema.clone(), if members.is_empty() { "-".into() } else { members.join(", ") }])
            .collect();
        text += &table(&rows, "  ");
    }
    text
}

fn markdown(description: &Description) -> String {
    let mut text = format!("| field | version | meaning | {} |\n", description.schemas.join(" | "));
    text += &format!("|---|---|---|{}\n", "---|".repeat(description.schemas.len()));
    for field in &description.fields {
        let members = field.members.iter().map(|members| {
            let members: Vec<_> = members.iter().map(|member| format!("`{member}`")).collect();
            members.join(", ")
        });
        let members: Vec<_> = members.collect();
        text += &format!("| `{}` | {} | {} | {} |\n", field.name, since(field), field.meaning, members.join(" | "));
    }
    text
}

#[derive(Serialize)]
struct JsonField<'a> {
    name: &'a str,
    since: Option<u32>,
    kind: &'a str,
    meaning: &'a str,
    members: BTreeMap<&'a str, &'a [String]>,
}

fn json(description: &Description) -> anyhow::Result<String> {
    let fields = description.fields.iter().map(|field| JsonField {
        name: &field.name,
        since: field.since,
        kind: &field.kind,
        meaning: &field.meaning,
        members: description.schemas.iter().map(String::as_str).zip(field.members.iter().map(Vec::as_slice)).collect(),
    });
    Ok(serde_json::to_string_pretty(&fields.collect::<Vec<_>>())? + "\n")
}
