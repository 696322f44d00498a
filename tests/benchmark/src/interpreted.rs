//! Instructions of WebAssembly that the core module executes for a record. Fluent Bit interprets them, so
//! they are what its time is made of; and the count is the same on every machine.

use crate::fluent_bit::{FluentBit, Loaded};
use crate::input::{self, Mix};

const RECORDS: u64 = 2_000;

/// Others' way, with serde_json.
const ROUND_TRIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/round-trip.wasm"));

/// Prints the instructions of every function, and the ratios to the usual means.
pub fn print() {
    let input = String::from_utf8(input::generate(Mix::Default, 1_000_000)).expect("the input is text");
    let lines = input.lines().skip(1).cycle();
    let records: Vec<String> =
        lines.map(|line| serde_json::json!({ "log": line }).to_string()).take(RECORDS as usize).collect();
    let (core, others) = (Loaded::new(vpcflow_modules::CORE), Loaded::new(ROUND_TRIP));
    let events = answers(&core, "vpcflow_sekoia", &records).1;
    let split = answers(&others, "split_columns", &records).1;

    println!("\nFluent Bit: instructions of WebAssembly for a record of the default format");
    let row = |name: &str, module: &Loaded, function: &str, records: &[String]| {
        let instructions = answers(module, function, records).0;
        println!("{name:<60} {instructions:>8}");
        instructions
    };
    row("nothing but malloc and free", &others, "echo", &records);
    row("serde_json: the record to a value and back", &others, "round_trip", &records);
    let usual = [
        row("a  serde_json: the record of 14 members to a value and back", &others, "round_trip", &split),
        row("b  serde_json: the record, its line to 14 members, and back", &others, "split_columns", &records),
        row("c  serde_json: the event (sekoia) to a value and back", &others, "round_trip", &events),
    ];
    for schema in ["sekoia", "elastic", "snare"] {
        let name = format!("vpcflow_{schema}: the record to an event");
        let instructions = row(&name, &core, &format!("vpcflow_{schema}"), &records);
        let [a, b, c] = usual.map(|usual| instructions as f64 / usual as f64);
        println!("{:>60} a {a:.2}, b {b:.2}, c {c:.2}", "of");
    }
}

/// Instructions for a record, and the answers.
fn answers(module: &Loaded, function: &str, records: &[String]) -> (u64, Vec<String>) {
    let mut fluent_bit = FluentBit::start(module, function);
    // The first one builds tables.
    fluent_bit.json("flow", &records[0]);
    fluent_bit.instructions();
    let answers = records.iter().map(|record| fluent_bit.json("flow", record)).collect();
    (fluent_bit.instructions() / RECORDS, answers)
}
