//! The host of vpcflow's modules: reads lines, runs them through a WASM component, writes events.
//!
//! The flow: [`source`] opens, [`framing`] decompresses (of Parquet, rows to lines) and cuts at line
//! ends, [`engine`] runs the module, [`output`] counts and hands on to a [`sink`]. [`pump`] turns the wheel
//! for files and pipes, `collect` for queues, buckets, streams and topics. `cli` is the command line.
//!
//! Nothing here knows a field of AWS's: that is the module's part.

mod cli;
#[cfg(feature = "pull")]
mod collect;
#[cfg(feature = "pull")]
mod config;
pub mod engine;
#[cfg(any(feature = "pull", feature = "playground"))]
mod http;
#[cfg(feature = "kafka")]
mod kafka;
pub mod output;
pub mod pump;
pub mod reject;
pub mod sink;
pub mod source;

pub use cli::main;
pub use vpcflow_framing as framing;
