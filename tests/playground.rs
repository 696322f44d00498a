//! The playground in a real browser: the page is served by `vpcflow playground`, and driven by the scripts in
//! `playground/`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use vpcflow_modules::{PLAYGROUND, PLAYGROUND_TYPES};

use crate::aws::{http, succeed};
use crate::environment::{self, leave_out};
use crate::flow_logs::gzip;
use crate::parquet::parquet_of;
use crate::{cases, databases};

const VPCFLOW: &str = env!("CARGO_BIN_EXE_vpcflow-under-test");
/// Which browser; Debian's, if this is not set.
const CHROMIUM: &str = "VPCFLOW_CHROMIUM";
/// Set to make the README's picture anew: `VPCFLOW_BLESS=1 cargo test --workspace pictures`.
const BLESS: &str = "VPCFLOW_BLESS";

/// A server of the page, until it is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Server {
        let mut command = Command::new(VPCFLOW);
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
    write_files(files.path());

    // Browsers beside each other would wait for one another longer than a test waits.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start();
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).arg(copies.path().join(script));
    node.env("PLAYGROUND_URL", &server.url);
    node.env("PLAYGROUND_CHROMIUM", chromium);
    node.env("PLAYGROUND_CASES", cases::folder());
    node.env("PLAYGROUND_FILES", files.path());
    node.env("PLAYGROUND_VPCFLOW", VPCFLOW);
    node.env("PLAYGROUND_SCREENSHOTS", Path::new(env!("CARGO_TARGET_TMPDIR")).join("playground-screenshots"));
    if std::env::var_os(BLESS).is_some() {
        let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/playground/screenshot.png");
        node.env("PLAYGROUND_PICTURE", picture);
    }
    let output = succeed(&mut node);
    // Seen with --nocapture: the scripts tell throughput and memory.
    println!("{}", String::from_utf8_lossy(&output.stdout));
}

/// What the scripts give to the page.
fn write_files(folder: &Path) {
    let text = records();
    let (first, second) = text.split_at(text.len() / 2);
    for (name, bytes) in [
        ("flow.log", text.clone().into_bytes()),
        ("flow.log.gz", [gzip(first.as_bytes()), gzip(second.as_bytes())].concat()),
        ("flow.log.zst", zstd::encode_all(text.as_bytes(), 0).unwrap()),
        ("flow.json", objects(&text).into_bytes()),
        ("flow.parquet", parquet_of(&text)),
        ("city.mmdb", databases::city()),
        ("asn.mmdb", databases::asn()),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// 1500 records of 100 minutes under a header line, some of them without data: enough for every chart.
fn records() -> String {
    const FIELDS: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status flow-direction";
    const SOURCES: [&str; 7] =
        ["10.0.0.5", "10.0.1.20", "89.160.20.112", "52.0.0.9", "2001:db8::12", "192.0.2.146", "203.0.113.77"];
    const DESTINATIONS: [&str; 3] = ["10.0.11.31", "10.0.11.32", "198.51.100.64"];
    const PORTS: [u16; 5] = [443, 22, 3389, 53, 8080];
    let lines = (0..1500).map(|n| {
        let start = 1_700_000_000 + 4 * n;
        let end = start + 60;
        let interface = n % 7;
        if n % 97 == 50 {
            return format!("5 123456789012 eni-{interface:05} - - - - - - - {start} {end} - NODATA -\n");
        }
        let (source, destination, port) = (SOURCES[n % 7], DESTINATIONS[n % 3], PORTS[n / 3 % 5]);
        let source_port = 1024 + n * 37 % 60_000;
        let protocol = if port == 53 { 17 } else { 6 };
        let (packets, bytes) = (1 + n % 50, 40 + n * n * 31 % 90_001);
        let action = if n % 6 == 1 { "REJECT" } else { "ACCEPT" };
        let direction = if n % 5 < 2 { "ingress" } else { "egress" };
        let flow = format!("{source} {destination} {source_port} {port} {protocol} {packets} {bytes} {start} {end}");
        format!("5 123456789012 eni-{interface:05} {flow} {action} OK {direction}\n")
    });
    let lines: String = lines.collect();
    format!("{FIELDS}\n{lines}")
}

/// The same records as JSON objects.
fn objects(text: &str) -> String {
    let (fields, lines) = text.split_once('\n').unwrap();
    let object = |line: &str| {
        let object: BTreeMap<&str, &str> = fields.split(' ').zip(line.split(' ')).collect();
        serde_json::to_string(&object).unwrap() + "\n"
    };
    lines.lines().map(object).collect()
}

#[test]
fn the_parser_in_the_browser_gives_the_same() {
    run("golden.test.mjs");
}

#[test]
fn editor_choices_and_address() {
    run("input.test.mjs");
}

#[test]
fn files_of_every_kind() {
    run("files.test.mjs");
}

#[test]
fn a_file_larger_than_memory_may_be() {
    run("large.test.mjs");
}

#[test]
fn a_crash_costs_one_reading() {
    run("crash.test.mjs");
}

#[test]
fn table_and_events() {
    run("tabs.test.mjs");
}

#[test]
fn traffic_and_its_filter() {
    run("traffic.test.mjs");
}

#[test]
fn accessible_to_everyone() {
    run("accessibility.test.mjs");
}

#[test]
fn the_files_on_a_static_host() {
    run("static.test.mjs");
}

#[test]
fn pictures() {
    run("screenshots.test.mjs");
}

#[test]
fn the_pages_types_fit_those_of_the_parser() {
    let what = "the types of the playground's page";
    if PLAYGROUND.is_empty() {
        return leave_out(what, "this build has no page, since npm was missing");
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/playground");
    let Some(folder) = environment::node("playground-page", &source, what) else { return };
    for part in ["page", "generated"] {
        let _ = fs::remove_dir_all(folder.join(part));
        fs::create_dir(folder.join(part)).unwrap();
    }
    for entry in fs::read_dir(source.join("page")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join("page").join(entry.file_name())).unwrap();
    }
    fs::copy(source.join("tsconfig.json"), folder.join("tsconfig.json")).unwrap();
    fs::write(folder.join("generated/parser.d.ts"), PLAYGROUND_TYPES).unwrap();
    succeed(Command::new("npm").args(["run", "--silent", "check"]).current_dir(folder));
}

#[test]
fn the_server_sends_the_page_with_its_policy_and_nothing_else() {
    if PLAYGROUND.is_empty() {
        return leave_out("the playground's server", "this build has no page, since npm was missing");
    }
    let server = Server::start();
    let address = server.url.trim_start_matches("http://").trim_end_matches('/');
    let ask = |method: &str, path: &str| {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let answer = http(address, request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    };
    let page = PLAYGROUND.iter().find(|(name, _)| *name == "index.html").unwrap().1;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/worker.js", "text/javascript; charset=utf-8"),
        ("/reader.js", "text/javascript; charset=utf-8"),
        ("/main.css", "text/css; charset=utf-8"),
        ("/licenses.txt", "text/plain; charset=utf-8"),
    ] {
        let (head, body) = ask("GET", path);
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        assert_eq!(path == "/" || path == "/index.html", body.as_bytes() == page, "{path}");
    }
    for (method, path, status) in [
        ("HEAD", "/", "200"),
        ("HEAD", "/parser_bg.wasm", "200"),
        ("GET", "/missing.js", "404"),
        ("GET", "/../Cargo.toml", "404"),
        ("GET", "//index.html", "404"),
        ("POST", "/", "405"),
        ("DELETE", "/main.js", "405"),
    ] {
        let (head, body) = ask(method, path);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{method} {path}: {head}");
        assert_eq!(method == "HEAD", body.is_empty(), "{method} {path}");
        assert_eq!(status == "405", head.contains("\nallow: get, head"), "{method} {path}: {head}");
        // Whatever is answered.
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-embedder-policy: require-corp",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-cache",
        ] {
            assert!(head.contains(header), "{method} {path}: no {header} in {head}");
        }
    }
    let wasm = PLAYGROUND.iter().find(|(name, _)| *name == "parser_bg.wasm").unwrap().1;
    let (head, _) = ask("HEAD", "/parser_bg.wasm");
    assert!(head.contains("content-type: application/wasm"), "{head}");
    assert!(head.contains(&format!("content-length: {}", wasm.len())), "{head}");
}
