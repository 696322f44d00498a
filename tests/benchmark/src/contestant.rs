//! What is measured.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use nix::sys::resource::{UsageWho, getrusage};
use vpcflow::engine::{Context, Engine, Limits, Options, Session};
use vpcflow::pump::Settings;
use vpcflow_parser::{Batch, Transformer};
use vrl::compiler::runtime::Runtime;
use vrl::compiler::{Program, TargetValue, TimeZone};
use vrl::value::{Secrets, Value};

use crate::input::{Mix, V5_FIELDS};

/// Something that turns lines into events.
pub trait Contestant {
    /// What the table calls it.
    fn name(&self) -> String;

    /// Transforms `input`, and gives the number of bytes that it really took of it.
    fn run(&mut self, input: &[u8]) -> usize;

    /// CPU seconds so far of whatever does the work.
    fn cpu_seconds(&self) -> f64 {
        cpu_seconds(UsageWho::RUSAGE_SELF)
    }
}

fn cpu_seconds(who: UsageWho) -> f64 {
    let usage = getrusage(who).expect("the system counts CPU time");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Pieces of about the size in which the command transforms, cut at line ends.
fn batches(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let length = rest.len().min(Settings::DEFAULT_BATCH_BYTES);
        let end = rest[..length].iter().rposition(|&byte| byte == b'\n')? + 1;
        let batch;
        (batch, rest) = rest.split_at(end);
        Some(batch)
    })
}

/// The parser as native code.
pub struct Native {
    transformer: Transformer,
    batch: Batch,
}

impl Native {
    pub fn new() -> Native {
        let transformer = Transformer::open(vpcflow_parser::Options::default()).expect("the default options are right");
        Native { transformer, batch: Batch::default() }
    }
}

impl Contestant for Native {
    fn name(&self) -> String {
        "parser, native".into()
    }

    fn run(&mut self, input: &[u8]) -> usize {
        for lines in batches(input) {
            self.batch.clear();
            self.transformer.transform(lines, &vpcflow_parser::Context::default(), &mut self.batch);
        }
        input.len()
    }
}

/// The parser as a component in wasmtime.
pub struct Component {
    name: &'static str,
    session: Session,
}

impl Component {
    pub fn new() -> Component {
        Component::open(COMPONENT, |_| {})
    }

    /// With a change to the options that [`Component::new`] has.
    pub fn open(name: &'static str, change: impl FnOnce(&mut Options)) -> Component {
        let engine = Engine::new(vpcflow_modules::COMPONENT, Limits::default()).expect("the component loads");
        let mut options = Options {
            schema: None,
            format: None,
            max_line_bytes: 1 << 20,
            keep_message: None,
            time_field: None,
            event_id: false,
            geoip_city: None,
            geoip_asn: None,
        };
        change(&mut options);
        Component { name, session: Session::open(engine, Arc::new(options)).expect("the component opens") }
    }
}

/// What the other rows are compared with.
pub const COMPONENT: &str = "parser, component";
pub const ELASTIC: &str = "component, elastic";
pub const ENRICHED: &str = "component, elastic and geo";

impl Contestant for Component {
    fn name(&self) -> String {
        self.name.into()
    }

    fn run(&mut self, input: &[u8]) -> usize {
        let mut header: Option<String> = None;
        let context = Context { origin: "benchmark".into(), offset: 0, collected_at: None };
        for lines in batches(input) {
            header = self.session.transform(header.as_deref(), lines, &context).expect("the component runs").header;
        }
        input.len()
    }
}

/// The whole command, on a file.
pub struct Command {
    path: PathBuf,
    threads: usize,
    is_piped: bool,
}

impl Command {
    pub fn to_null(path: &Path, threads: usize) -> Command {
        Command { path: path.into(), threads, is_piped: false }
    }

    pub fn to_pipe(path: &Path, threads: usize) -> Command {
        Command { path: path.into(), threads, is_piped: true }
    }
}

impl Contestant for Command {
    fn name(&self) -> String {
        let threads = if self.threads == 1 { "1 thread".into() } else { format!("{} threads", self.threads) };
        format!("command to {}, {threads}", if self.is_piped { "a pipe" } else { "/dev/null" })
    }

    fn run(&mut self, input: &[u8]) -> usize {
        let mut command = std::process::Command::new(std::env::current_exe().expect("the benchmark knows its file"));
        command.args(["transform", "--rejects", "/dev/null", "--threads", &self.threads.to_string()]).arg(&self.path);
        command.stdout(if self.is_piped { Stdio::piped() } else { Stdio::null() }).stderr(Stdio::null());
        let mut child = command.spawn().expect("the command starts");
        if let Some(mut pipe) = child.stdout.take() {
            let mut buffer = vec![0; 1 << 20];
            while pipe.read(&mut buffer).expect("the pipe can be read") > 0 {}
        }
        assert!(child.wait().expect("the command ends").success());
        input.len()
    }

    fn cpu_seconds(&self) -> f64 {
        cpu_seconds(UsageWho::RUSAGE_CHILDREN)
    }
}

/// Vector's language: its flow log function, the event of the schema `sekoia` made of the result
/// (only the members that the 14 columns feed, and only the protocols of the generated input), and
/// that written as JSON.
pub struct Vrl {
    program: Arc<Program>,
    runtime: Runtime,
}

const EVENT: &str = r#"
start = from_unix_timestamp!(r.start)
source = downcase!(r.srcaddr)
destination = downcase!(r.dstaddr)
outcome = downcase!(r.log_status)
transport = if r.protocol == 6 { "tcp" } else if r.protocol == 17 { "udp" } else { "icmp" }
. = {
  "message": .message,
  "@timestamp": start,
  "event": {"category": ["network"], "start": start, "end": from_unix_timestamp!(r.end), "outcome": outcome},
  "action": {"name": downcase!(r.action), "outcome": outcome, "target": "network-traffic", "type": "forward"},
  "cloud": {"account": {"id": r.account_id}, "provider": "aws"},
  "destination": {"ip": destination, "address": destination, "port": r.dstport},
  "network": {"iana_number": to_string!(r.protocol), "transport": transport},
  "observer": {"ingress": {"interface": {"name": r.interface_id}}},
  "related": {"ip": [source, destination]},
  "source": {"ip": source, "address": source, "port": r.srcport, "bytes": r.bytes, "packets": r.packets},
}
encode_json(.)
"#;

impl Vrl {
    pub fn new(mix: Mix) -> Vrl {
        let format = match mix {
            Mix::Default => String::new(),
            _ => format!(", {:?}", V5_FIELDS.join(" ").replace('-', "_")),
        };
        let source = format!("r = parse_aws_vpc_flow_log!(.message{format})\n{EVENT}");
        let program = match vrl::compiler::compile(&source, &vrl::stdlib::all()) {
            Ok(result) => result.program,
            Err(errors) => panic!("the VRL program does not compile: {errors:?}"),
        };
        Vrl { program: Arc::new(program), runtime: Runtime::default() }
    }
}

impl Contestant for Vrl {
    fn name(&self) -> String {
        "VRL".into()
    }

    fn run(&mut self, input: &[u8]) -> usize {
        /// So much slower that a part is enough.
        const BYTES: usize = 10_000_000;
        let input = &input[..input.len().min(BYTES)];
        for line in input.split_inclusive(|&byte| byte == b'\n').skip(1) {
            let Some(line) = line.strip_suffix(b"\n") else { break };
            let message = Value::from(String::from_utf8_lossy(line).into_owned());
            let value = Value::Object(BTreeMap::from([("message".into(), message)]));
            let mut target =
                TargetValue { value, metadata: Value::Object(BTreeMap::new()), secrets: Secrets::default() };
            let json = self.runtime.resolve(&mut target, &self.program, &TimeZone::default());
            assert!(json.expect("the line is a record").is_bytes());
            self.runtime.clear();
        }
        input.len()
    }
}
