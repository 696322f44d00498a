//! `vpcflow explain`: what a record was read as, column by column.

use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::event_options::EventOptions;
use super::{REJECTED, print, table};
use crate::engine::{Context, Explanation, Outcome, Session};
use crate::reject::Fault;
use crate::sink::visible;

/// Show how one record is read, column by column, and where each value goes, or why it is refused
///
/// Takes the record as an argument, or lines from standard input, of which header lines come into
/// force for those that follow.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The record, quoted as one argument or not [default: standard input]
    record: Vec<String>,

    #[command(flatten)]
    events: EventOptions,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow explain '2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK'
  (head -1 flow.log; sed -n 7p flow.log) | vpcflow explain --schema elastic

Exit status: 0 if nothing was refused, 1 if a record was, 2 on an error.";

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut session = Session::open(self.events.engine()?, Arc::new(self.events.options()?))?;
        let mut input = self.record.join(" ").into_bytes();
        if self.record.is_empty() {
            io::stdin().read_to_end(&mut input)?;
        }
        let mut context = Context { origin: "-".into(), offset: 0, collected_at: None };
        let mut is_refused = false;
        for line in input.split_inclusive(|&byte| byte == b'\n') {
            for explanation in session.explain(line, &context)? {
                is_refused |= matches!(explanation.outcome, Outcome::Rejected(_));
                print(&show(&explanation))?;
            }
            context.offset += line.len() as u64;
        }
        Ok(if is_refused { ExitCode::from(REJECTED) } else { ExitCode::SUCCESS })
    }
}

fn show(explanation: &Explanation) -> String {
    let mut text = format!("{}\n", explanation.summary);
    let rows = explanation.columns.iter().map(|column| {
        let number = column.number.map_or_else(String::new, |number| number.to_string());
        let (reading, refused) = match &column.reading {
            Ok(reading) => (reading.clone(), false),
            Err(wanted) => (format!("wanted {wanted}"), true),
        };
        let arrow = if refused { "✗ " } else { "" };
        let members = column.members.join(", ");
        [number, visible(&column.name), visible(&column.found), format!("{arrow}{reading}"), visible(&members)]
    });
    let rows: Vec<_> = rows.collect();
    text += &table(&rows, "  ");
    match &explanation.outcome {
        Outcome::Event(event) => {
            let pretty = serde_json::from_str::<serde_json::Value>(event)
                .and_then(|event| serde_json::to_string_pretty(&event))
                .unwrap_or_else(|_| event.clone());
            text += &format!("event: {pretty}\n");
        }
        Outcome::Rejected(fault) => text += &format!("refused: {}\n", Fault::new(fault)),
        Outcome::Skipped(reason) => text += &format!("skipped: {reason}\n"),
    }
    text
}
