//! The host of vpcflow's modules: reads lines, runs them through a WASM component, writes events.
//!
//! The flow: [`source`] opens and decompresses (`parquet`: rows to lines), [`framing`] cuts at line
//! ends, [`engine`] runs the module, [`sink`] writes; [`pump`] turns the wheel. `cli` is the command line.
//!
//! Nothing here knows a field of AWS's: that is the module's part.

mod cli;
pub mod engine;
pub mod framing;
mod parquet;
pub mod pump;
pub mod reject;
pub mod sink;
pub mod source;

pub use cli::main;
