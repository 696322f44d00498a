//! What the tests install for themselves below `target/tmp`: once, and again when the list of it changes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::aws::told;

/// Set where nothing may be left out, as in `.ci/run`.
const LEAVE_NOTHING_OUT: &str = "VPCFLOW_LEAVE_NOTHING_OUT";

/// A virtual environment of Python; `None` where there can be none, so that `what` is left out.
pub fn python(name: &str, requirements: &Path, what: &str) -> Option<PathBuf> {
    made_or_left_out(what, name, requirements, |folder| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        let pip = folder.join("bin/pip");
        run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements))
    })
}

/// A folder with the packages of `example`, for Node; `None` where there can be none.
pub fn node(name: &str, example: &Path, what: &str) -> Option<PathBuf> {
    made_or_left_out(what, name, &example.join("package-lock.json"), |folder| {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(example.join(file), folder.join(file)).map_err(|error| error.to_string())?;
        }
        // With strict engines a Node that is too old counts as none.
        run(Command::new("npm").args(["ci", "--engine-strict", "--no-audit", "--no-fund"]).current_dir(folder))
    })
}

fn made_or_left_out(
    what: &str,
    name: &str,
    list: &Path,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Option<PathBuf> {
    match made(name, list, make) {
        Ok(folder) => Some(folder),
        Err(error) => {
            leave_out(what, &error);
            None
        }
    }
}

/// Says that `what` is left out, which is a failure where nothing may be.
pub fn leave_out(what: &str, reason: &str) {
    assert!(std::env::var_os(LEAVE_NOTHING_OUT).is_none(), "{what}: {reason}");
    // Past the test's captured output.
    let _ = writeln!(std::io::stderr(), "\nLEFT OUT: {what}: {reason}");
}

fn made(name: &str, list: &Path, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let list = fs::read_to_string(list).unwrap();
    let stamp = folder.join("made-from");
    // Other processes of the same tests.
    let lock = File::create(folder.with_extension("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == list) {
        return Ok(folder);
    }
    let _ = fs::remove_file(&stamp);
    make(&folder)?;
    fs::write(&stamp, list).map_err(|error| error.to_string())?;
    Ok(folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?} fails: {}", told(&output))),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
