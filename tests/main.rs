//! All tests that need more than one crate.

mod cases;
mod command_line;
mod engine;
mod golden;
mod implementation;
mod mutations;
mod published;
mod pump;
mod tidy;
