//! `vpcflow-parser` behind the calling convention of Fluent Bit's WASM filter: one function for each
//! schema, which takes one record as JSON and gives one back.
//!
//! The host copies tag and record into blocks from [`malloc`](allocate), calls, copies the answer up to its
//! first zero byte, and frees the blocks, but never the answer. The answer is one JSON object, or the empty
//! string, which drops the record: of anything else the host would lose the record, or end in a loop.
//!
//! <https://docs.fluentbit.io/manual/data-pipeline/filters/wasm>

// A native build would export a `malloc` of its own.
#![cfg(target_family = "wasm")]

mod memory;

use std::cell::Cell;

use vpcflow_parser::{Carried, CarrierTransformer, Schema};

/// The answer to a record in MessagePack, whose first byte no JSON has: `{"error": {"message": …}}`
/// in MessagePack, without a zero byte.
const NOT_MESSAGE_PACK: &[u8] =
    b"\x81\xa5error\x81\xa7message\xd9\x3fvpcflow: the filter needs `event_format json` (got MessagePack)\0";

/// What to do with a record that is no flow log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    Pass,
    Drop,
}

macro_rules! filters {
    ($($name:ident $schema:ident $otherwise:ident;)*) => {$(
        /// A filter function of Fluent Bit: takes the addresses and lengths of a tag and a record, each
        /// ended by a zero byte beyond its length, and the record's time; gives the address of the answer.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(
            tag: usize,
            tag_length: usize,
            _seconds: u32,
            _nanoseconds: u32,
            record: usize,
            record_length: usize,
        ) -> *const u8 {
            // SAFETY: both are the host's blocks, which it has filled and neither writes nor frees before this
            // returns. No memory of this module's own is in them, so nothing here writes to them either.
            let (tag, record) = unsafe { (memory::read(tag, tag_length), memory::read(record, record_length)) };
            answer(Schema::$schema, Otherwise::$otherwise, tag.unwrap_or_default(), record.ok_or(record_length))
        }
    )*};
}

filters! {
    vpcflow_sekoia Sekoia Pass;
    vpcflow_elastic Elastic Pass;
    vpcflow_snare Snare Pass;
    vpcflow_sekoia_or_drop Sekoia Drop;
    vpcflow_elastic_or_drop Elastic Drop;
    vpcflow_snare_or_drop Snare Drop;
}

thread_local! {
    static TRANSFORMER: Cell<Option<(Schema, Box<CarrierTransformer>)>> = const { Cell::new(None) };
    /// The one answer: the host would never free another.
    static ANSWER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn answer(schema: Schema, otherwise: Otherwise, tag: &[u8], record: Result<&[u8], usize>) -> *const u8 {
    // Out of the module's state while it is used: the call after one that trapped begins anew.
    let mut answer = ANSWER.take();
    answer.clear();
    match record {
        Ok([0x80..=0x8f | 0xde | 0xdf, ..]) => answer.extend_from_slice(NOT_MESSAGE_PACK),
        Ok(record) => {
            let transformer = TRANSFORMER.take().filter(|(opened, _)| *opened == schema);
            let mut transformer = transformer.unwrap_or_else(|| (schema, Box::new(CarrierTransformer::open(schema))));
            let carried = transformer.1.transform(tag, record, &mut answer);
            if carried == Carried::NoRecord && otherwise == Otherwise::Drop {
                answer.clear();
            }
            TRANSFORMER.set(Some(transformer));
        }
        Err(length) => answer.extend_from_slice(too_large(length).as_bytes()),
    }
    answer.push(0);
    let address = answer.as_ptr();
    ANSWER.set(answer);
    address
}

/// The host found no memory for the record, but its length is known.
fn too_large(length: usize) -> String {
    format!("{{\"error\":{{\"message\":\"vpcflow: the host had no memory for this record of {length} bytes\"}}}}")
}
