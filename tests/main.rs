//! All tests that need more than one crate.

mod aws;
mod backfill;
mod cases;
mod collection;
mod command_line;
mod configuration;
mod databases;
mod delivery;
mod deployment;
mod ecs;
mod engine;
mod enrichment;
mod event_ids;
mod explain;
mod flow_logs;
mod framing;
mod golden;
mod implementation;
mod mutations;
mod parquet;
mod published;
mod pump;
mod sign_in;
mod sinks;
mod telemetry;
mod tidy;
