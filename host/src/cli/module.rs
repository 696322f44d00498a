//! `vpcflow module`: the modules that this binary carries, for other programs to load.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

use super::print;

/// Get the parser as a module for other programs, and its interface
///
/// `component` is for component runtimes: wasmtime (Rust, Python, C), jco (Node and browsers). It imports
/// nothing. `core` is for Fluent Bit's WASM filter, with the functions vpcflow_sekoia, vpcflow_elastic and
/// vpcflow_snare, and the same with _or_drop behind their names, which drop what is no flow log.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Which module
    #[arg(value_enum, required_unless_present = "wit")]
    module: Option<Module>,

    /// Write it to FILE [default: standard output, unless that is a terminal]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print its SHA-256, as `sha256sum` does; without --output, nothing else
    #[arg(long)]
    checksum: bool,

    /// Instead of a module, its interface in WIT, from which bindings are made
    #[arg(long, conflicts_with_all = ["module", "checksum"])]
    wit: bool,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow module component --output vpcflow.wasm
  vpcflow module core --output vpcflow-core.wasm --checksum
  vpcflow module --wit --output wit/transform.wit";

#[derive(Clone, Copy, ValueEnum)]
enum Module {
    /// A component of the world vpcflow:ecs/module
    Component,
    /// A core module with the filter functions of Fluent Bit
    Core,
}

/// The package of the interface, as it stands in the repository.
const WIT: &str = include_str!("../../../wit/transform.wit");

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (bytes, name) = match self.module {
            None => (WIT.as_bytes(), "transform.wit"),
            Some(Module::Component) => (vpcflow_modules::COMPONENT, "vpcflow.wasm"),
            Some(Module::Core) => (vpcflow_modules::CORE, "vpcflow-core.wasm"),
        };
        match &self.output {
            Some(path) => fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))?,
            None if self.checksum => {}
            None if self.module.is_some() && io::stdout().is_terminal() => {
                bail!("a module is no text for a terminal: --output FILE, or redirect standard output");
            }
            None => io::stdout().write_all(bytes).context("standard output cannot be written")?,
        }
        if self.checksum {
            let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let name = self.output.as_deref().unwrap_or(Path::new(name));
            print(&format!("{digest}  {}\n", name.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
