//! Compares vpcflow with its peers and its limits, side by side in one run, and prints ratios.
//!
//! Every ratio is the median of the ratios of several rounds; within a round the contestants follow one
//! another on the same input, so that a busy machine slows all of them. Times are CPU time, but for the
//! line about two threads.

mod contestant;
mod database;
#[path = "../../fluent_bit/host.rs"]
mod fluent_bit;
mod input;
mod interpreted;
mod moments;
mod table;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use contestant::{Command, Component, Contestant, ELASTIC, ENRICHED, Native, Vrl};
use input::Mix;
use vpcflow::engine::Options;

#[derive(Parser)]
struct Arguments {
    /// Size of each generated input
    #[arg(long, default_value_t = 30)]
    megabytes: usize,
    /// Rounds of which the median is taken
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Measure only these mixes
    #[arg(long, value_enum)]
    mix: Vec<Mix>,
    /// Leave out the comparison with VRL, which takes longest
    #[arg(long)]
    without_vrl: bool,
    /// Only count the instructions in Fluent Bit
    #[arg(long)]
    only_interpreted: bool,
}

fn main() -> ExitCode {
    // Started again by itself, the benchmark is the command that it measures.
    if std::env::args().nth(1).as_deref() == Some("transform") {
        return vpcflow::main();
    }
    let arguments = Arguments::parse();
    if arguments.only_interpreted {
        interpreted::print();
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mixes = if arguments.mix.is_empty() { Mix::value_variants() } else { &arguments.mix };
    let mut baseline = None;
    for &mix in mixes {
        let input = input::generate(mix, arguments.megabytes * 1_000_000);
        let path = folder.path().join("flow.log");
        std::fs::write(&path, &input).expect("the input can be written");
        let mut contestants: Vec<Box<dyn Contestant>> = vec![
            Box::new(Native::new()),
            Box::new(Component::new()),
            Box::new(Command::to_null(&path, 1)),
            Box::new(Command::to_pipe(&path, 1)),
        ];
        if matches!(mix, Mix::Default | Mix::V5 | Mix::Ipv6) {
            let schema = |name: &'static str| move |options: &mut Options| options.schema = Some(name.into());
            contestants.push(Box::new(Component::open(ELASTIC, schema("elastic"))));
            contestants.push(Box::new(Component::open("component, snare", schema("snare"))));
            contestants
                .push(Box::new(Component::open("component, sekoia and event ids", |options| options.event_id = true)));
        }
        if matches!(mix, Mix::Default) {
            contestants.push(Box::new(Component::open(ENRICHED, |options| {
                options.schema = Some("elastic".into());
                options.geoip_city = Some(database::city());
                options.geoip_asn = Some(database::asn());
            })));
        }
        if matches!(mix, Mix::Default) {
            contestants.push(Box::new(Command::to_null(&path, 2)));
        }
        if !arguments.without_vrl && matches!(mix, Mix::Default | Mix::V5) {
            contestants.push(Box::new(Vrl::new(mix)));
        }
        let rows = table::measure(&mut contestants, &input, arguments.rounds);
        table::print(mix, &input, &rows, &mut baseline);
    }
    moments::print();
    interpreted::print();
    ExitCode::SUCCESS
}
