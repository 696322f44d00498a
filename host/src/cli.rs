//! The command line.

#[cfg(feature = "pull")]
mod check_config;
mod event_options;
mod explain;
mod fields;
mod index_template;
mod module;
#[cfg(feature = "playground")]
mod playground;
#[cfg(feature = "pull")]
mod pull;
mod transform;

use std::io::{self, Write};
use std::process::ExitCode;

#[cfg(feature = "pull")]
use clap::CommandFactory;
use clap::{Parser, Subcommand};

use crate::sink::tell;

/// Turns AWS flow log records into ECS events, through a sandboxed WASM component.
///
/// Every input line becomes an event, a reject with its place and reason, or a counted skip.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Transform(transform::Arguments),
    #[cfg(feature = "pull")]
    Pull(Box<pull::Arguments>),
    Explain(explain::Arguments),
    Fields(fields::Arguments),
    Module(module::Arguments),
    #[cfg(feature = "playground")]
    Playground(playground::Arguments),
    #[cfg(feature = "pull")]
    CheckConfig(check_config::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  vpcflow transform flow.log.gz > events.ndjson
  tail -f flow.log | vpcflow transform
  vpcflow pull sqs --queue-name vpcflow --event-id --output events/
  vpcflow explain '2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK'
  vpcflow fields --markdown
  vpcflow module component --output vpcflow.wasm
  vpcflow playground --open
  vpcflow transform --help

Exit status: 0 on success, 1 if --strict was asked for and a record was rejected, 2 on an error.";

/// A reject was found, and `--strict` asked for.
const REJECTED: u8 = 1;
/// Something could not be done: bad usage, unreadable input, unwritable output.
const FAILED: u8 = 2;

/// Runs the command that the process was started as.
pub fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        tell(format_args!("{error:#}"));
        ExitCode::from(FAILED)
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let arguments = std::env::args_os().collect();
    #[cfg(feature = "pull")]
    let arguments: Vec<_> = crate::config::arguments(Arguments::command, arguments)?;
    match Arguments::parse_from::<Vec<_>, _>(arguments).command {
        Command::Transform(arguments) => arguments.run(),
        #[cfg(feature = "pull")]
        Command::Pull(arguments) => arguments.run(),
        Command::Explain(arguments) => arguments.run(),
        Command::Fields(arguments) => arguments.run(),
        Command::Module(arguments) => arguments.run(),
        #[cfg(feature = "playground")]
        Command::Playground(arguments) => arguments.run(),
        #[cfg(feature = "pull")]
        Command::CheckConfig(arguments) => arguments.run(),
    }
}

/// Writes to standard output. Whoever has closed it has seen enough.
fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Columns as wide as their widest cell; the last one is not filled up.
fn table<const N: usize>(rows: &[[String; N]], indent: &str) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{indent}{}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
