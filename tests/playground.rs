//! The playground in a real browser: the page is served by `vpcflow playground`, and driven by the scripts in
//! `playground/`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use vpcflow_modules::PLAYGROUND;

use crate::aws::succeed;
use crate::environment::{self, leave_out};
use crate::{cases, databases};

/// Which browser; Debian's, if this is not set.
const CHROMIUM: &str = "VPCFLOW_CHROMIUM";

/// A server of the page, until it is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
        let mut process = command.args(["playground", "--listen", "0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split(' ').find(|word| word.starts_with("http://127.0.0.1:"));
        let url = url.unwrap_or_else(|| panic!("{line}")).to_owned();
        Server { process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a script, unless something that it needs is missing.
fn run(script: &str) {
    let what = format!("the playground in a browser ({script})");
    let chromium = std::env::var_os(CHROMIUM).unwrap_or_else(|| "/usr/bin/chromium".into());
    if PLAYGROUND.is_empty() {
        return leave_out(&what, "this build has no page, since npm was missing");
    }
    if let Err(error) = Command::new(&chromium).arg("--version").output() {
        return leave_out(&what, &format!("no {}: {error}", chromium.display()));
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("playground");
    let Some(folder) = environment::node("playground", &scripts, &what) else { return };
    // Node looks for packages beside the script.
    let copies = tempfile::tempdir_in(&folder).unwrap();
    for entry in fs::read_dir(&scripts).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copies.path().join(entry.file_name())).unwrap();
    }
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("city.mmdb"), databases::city()).unwrap();
    fs::write(files.path().join("asn.mmdb"), databases::asn()).unwrap();

    let server = Server::start();
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).arg(copies.path().join(script));
    node.env("PLAYGROUND_URL", &server.url);
    node.env("PLAYGROUND_CHROMIUM", chromium);
    node.env("PLAYGROUND_CASES", cases::folder());
    node.env("PLAYGROUND_FILES", files.path());
    succeed(&mut node);
}

#[test]
fn the_parser_in_the_browser_gives_the_same() {
    run("golden.test.mjs");
}
