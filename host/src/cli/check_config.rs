//! `vpcflow check-config`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};

use super::print;
use crate::config;

/// Check a configuration file, and tell the line and column of a mistake
#[derive(Args)]
pub(super) struct Arguments {
    /// The file
    file: PathBuf,
}

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let tables = config::check(&super::Arguments::command(), &self.file)?;
        print(&format!("{}: no mistake found; options for {}\n", self.file.display(), tables.join(", ")))?;
        Ok(ExitCode::SUCCESS)
    }
}
