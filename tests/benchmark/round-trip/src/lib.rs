//! Filter functions of Fluent Bit that do less than vpcflow's, by the usual means: what they cost is the measure.

#![cfg(target_family = "wasm")]

#[path = "../../../../guest/fluent-bit/src/memory.rs"]
mod memory;

use std::cell::Cell;

use serde_json::{Map, Value};

/// The names of the default format's columns.
const COLUMNS: [&str; 14] = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
];

thread_local! {
    static ANSWER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

macro_rules! filters {
    ($($name:ident $change:expr;)*) => {$(
        /// A filter function of Fluent Bit.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(_: usize, _: usize, _: u32, _: u32, record: usize, length: usize) -> *const u8 {
            // SAFETY: the host leaves its block alone until this returns.
            filter(unsafe { memory::read(record, length) }.unwrap(), $change)
        }
    )*};
}

filters! {
    round_trip |_| {};
    split_columns columns;
}

/// Gives the record back without reading it.
#[unsafe(no_mangle)]
pub extern "C" fn echo(_: usize, _: usize, _: u32, _: u32, record: usize, _: usize) -> usize {
    record
}

/// JSON to a value, changed, and to JSON again.
fn filter(record: &[u8], change: fn(&mut Map<String, Value>)) -> *const u8 {
    let mut record: Map<String, Value> = serde_json::from_slice(record).unwrap();
    change(&mut record);
    let mut answer = ANSWER.take();
    answer.clear();
    serde_json::to_writer(&mut answer, &record).unwrap();
    answer.push(0);
    let address = answer.as_ptr();
    ANSWER.set(answer);
    address
}

/// The line's columns as members, numbers as numbers.
fn columns(record: &mut Map<String, Value>) {
    let Some(Value::String(line)) = record.remove("log") else { return };
    for (name, text) in COLUMNS.into_iter().zip(line.split_ascii_whitespace()) {
        let value = text.parse::<u64>().map_or_else(|_| text.into(), Value::from);
        record.insert(name.into(), value);
    }
}
