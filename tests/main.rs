//! All tests that need more than one crate.

mod aws;
mod backfill;
mod cases;
mod cloudwatch;
mod collection;
mod command_line;
mod configuration;
mod databases;
mod delivery;
mod deployment;
mod ecs;
mod elasticsearch;
mod engine;
mod enrichment;
mod environment;
mod event_ids;
mod explain;
mod flow_logs;
mod fluent_bit;
mod framing;
mod golden;
mod implementation;
mod index_template;
#[cfg(feature = "kafka")]
mod kafka;
mod kinesis;
mod line_protocols;
mod modules;
mod mutations;
mod parquet;
mod playground;
mod published;
mod pump;
mod runtimes;
mod sign_in;
mod sinks;
mod telemetry;
mod tidy;

#[cfg(not(feature = "kafka"))]
#[test]
#[ignore = "needs --features vpcflow-tests/kafka, and make and a C++ compiler for librdkafka"]
fn kafka() {}
