//! All tests that need more than one crate.

mod cases;
mod command_line;
mod databases;
mod ecs;
mod engine;
mod enrichment;
mod event_ids;
mod explain;
mod framing;
mod golden;
mod implementation;
mod mutations;
mod parquet;
mod published;
mod pump;
mod tidy;
