//! The component as built, and the engine with a module that misbehaves.

use std::sync::Arc;
use std::time::Duration;

use vpcflow::engine::{Context, Engine, EngineError, Limits, Options, Session, TimeField, Transformed};
use vpcflow::reject::reason_name;
use wasmparser::{Parser, Payload};

use crate::databases;
use crate::implementation::{engine, engine_options};

const MISBEHAVING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/misbehaving.wasm"));

fn options(schema: Option<&str>) -> Arc<Options> {
    Arc::new(Options { schema: schema.map(str::to_owned), ..engine_options() })
}

fn context() -> Context {
    Context { origin: "test".into(), offset: 0, collected_at: None }
}

fn misbehaving() -> Arc<Engine> {
    let limits = Limits { memory_bytes: 16 << 20, call_timeout: Duration::from_secs(1) };
    Engine::new(MISBEHAVING, limits).unwrap()
}

fn transform(header: Option<&str>, lines: &str) -> (Transformed, String) {
    let mut session = Session::open(misbehaving(), options(None)).unwrap();
    let transformed = session.transform(header, lines.as_bytes(), &context()).unwrap();
    let events = String::from_utf8(transformed.batch.events.clone()).unwrap();
    (transformed, events)
}

#[test]
fn the_component_imports_nothing_and_exports_the_interface() {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(vpcflow_modules::COMPONENT) {
        match payload.unwrap() {
            // Nested components and modules import from their siblings; only the outermost counts.
            Payload::ComponentSection { .. } | Payload::ModuleSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| format!("{:?}", import.unwrap())));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    assert_eq!(imports, Vec::<String>::new());
    assert_eq!(exports, ["vpcflow:ecs/transform@0.1.0"]);
}

#[test]
fn only_the_guilty_line_is_rejected() {
    for (guilty, reason) in [("trap", "trap"), ("loop", "deadline"), ("memory", "memory-limit")] {
        let (transformed, events) = transform(None, &format!("one\n{guilty}\ntwo\n{guilty}\nthree"));
        assert_eq!(events, "|one\n|two\n|three\n");
        let batch = transformed.batch;
        let rejects: Vec<_> = batch.rejects.iter().map(|reject| (reject.line, reject.offset, reject.length)).collect();
        let length = guilty.len() as u32;
        assert_eq!(rejects, [(1, 4, length), (3, 9 + length, length)]);
        assert!(batch.rejects.iter().all(|reject| reason_name(&reject.fault.reason) == reason), "{:?}", batch.rejects);
        assert_eq!((batch.counts.lines, batch.counts.events, batch.counts.rejects, batch.counts.skips), (5, 3, 2, 0));
    }
}

#[test]
fn only_the_guilty_object_of_a_line_is_rejected() {
    let mut options = engine_options();
    options.schema = Some("elastic".into());
    let good = r#"{"message":"2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1418530010 1418530070 ACCEPT OK"}"#;
    // More than a module of so little memory can hold the rejects of.
    let hungry = format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{}]}}"#, vec!["{}"; 150_000].join(","));
    let limits = Limits { memory_bytes: 16 << 20, ..Limits::default() };
    let engine = Engine::new(vpcflow_modules::COMPONENT, limits).unwrap();
    let mut session = Session::open(engine, Arc::new(options)).unwrap();
    let input = format!("{good}\n{good}{good}{hungry}{good}{good}\n{good}");
    let batch = session.transform(None, input.as_bytes(), &context()).unwrap().batch;
    assert_eq!((batch.counts.lines, batch.counts.events, batch.counts.rejects), (3, 6, 1));
    let reject = &batch.rejects[0];
    assert_eq!(reason_name(&reject.fault.reason), "memory-limit");
    assert_eq!((reject.line, reject.offset, reject.length), (1, 3 * good.len() as u32 + 1, hungry.len() as u32));
}

#[test]
fn a_header_stays_in_force_when_an_instance_is_dropped() {
    let (transformed, events) = transform(Some("header a"), "one\ntrap\ntwo\nheader b\ntrap\nthree\n");
    assert_eq!(events, "header a|one\nheader a|two\nheader b|three\n");
    assert_eq!(transformed.header.as_deref(), Some("header b"));
    let (_, events) = transform(None, "one\n");
    assert_eq!(events, "|one\n");
}

#[test]
fn a_session_goes_from_header_to_header_and_back_to_none() {
    let mut session = Session::open(misbehaving(), options(None)).unwrap();
    for header in [None, Some("header a"), Some("header b"), None, Some("header a")] {
        let transformed = session.transform(header, b"one\n", &context()).unwrap();
        assert_eq!(transformed.header.as_deref(), header);
        assert_eq!(String::from_utf8(transformed.batch.events).unwrap(), format!("{}|one\n", header.unwrap_or("")));
    }
}

#[test]
fn a_module_that_cannot_be_opened_says_why() {
    let open = |schema| Session::open(misbehaving(), options(Some(schema))).err().unwrap();
    assert_eq!(open("refuse").to_string(), "asked to refuse");
    assert!(matches!(open("trap"), EngineError::FailsToOpen(_)), "{}", open("trap"));
}

#[test]
fn what_is_no_module_of_the_world_is_refused() {
    for bytes in [&b"not wasm"[..], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"] {
        let error = Engine::new(bytes, Limits::default()).err().unwrap();
        assert!(matches!(error, EngineError::Unloadable(_)), "{error}");
    }
    let limits = Limits { memory_bytes: 1000, ..Limits::default() };
    let engine = Engine::new(vpcflow_modules::COMPONENT, limits).unwrap();
    let error = Session::open(engine, options(None)).err().unwrap();
    assert_eq!(error.to_string(), "the module cannot be loaded: the memory limit is reached");
}

#[test]
fn the_component_names_bad_options() {
    let engine = Engine::new(vpcflow_modules::COMPONENT, Limits::default()).unwrap();
    let refusal = |options| Session::open(engine.clone(), options).err().unwrap().to_string();
    let with = |change: fn(&mut Options)| {
        let mut options = engine_options();
        change(&mut options);
        refusal(Arc::new(options))
    };
    assert_eq!(refusal(options(Some("ocsf"))), "no schema is called ocsf; there are sekoia, elastic, snare");
    assert_eq!(
        with(|options| options.format = Some("version 10.0.0.1".into())),
        "the format has 10.0.0.1, which is not a field name"
    );
    let in_snare: fn(&mut Options) = |options| {
        options.schema = Some("snare".into());
        options.time_field = Some(TimeField::Start);
    };
    assert_eq!(with(in_snare), "the schema snare has no place for a choice of the time");
    let in_snare: fn(&mut Options) = |options| {
        options.schema = Some("snare".into());
        options.geoip_asn = Some(databases::asn());
    };
    assert_eq!(with(in_snare), "the schema snare has no place for geo and AS fields");
    let refusal = with(|options| options.geoip_city = Some(b"no database".to_vec()));
    assert!(refusal.starts_with("the city database is no MaxMind DB file: "), "{refusal}");
}

#[test]
fn a_module_that_cannot_explain_is_an_error() {
    let mut session = Session::open(misbehaving(), options(None)).unwrap();
    let error = session.explain(b"line", &context()).err().unwrap();
    assert!(error.to_string().starts_with("the module fails: "), "{error}");
    // The session itself goes on.
    assert_eq!(session.transform(None, b"one\n", &context()).unwrap().batch.events, b"|one\n");
}

#[test]
fn a_database_does_not_count_against_the_memory_limit() {
    let limits = Limits { memory_bytes: 4 << 20, ..Limits::default() };
    let engine = Engine::new(vpcflow_modules::COMPONENT, limits).unwrap();
    let mut options = engine_options();
    options.geoip_city = Some(databases::large());
    assert!(options.geoip_city.as_ref().unwrap().len() > 2 * limits.memory_bytes);
    let error = Session::open(engine, Arc::new(options)).err().map(|error| error.to_string());
    assert_eq!(error, None);
}

#[test]
fn what_explain_puts_in_force_is_known_to_the_session() {
    let mut session = Session::open(engine(), Arc::new(engine_options())).unwrap();
    session.explain(b"srcaddr dstaddr", &context()).unwrap();
    let batch = session.transform(None, b"10.0.0.1 10.0.0.2\n", &context()).unwrap().batch;
    assert_eq!((batch.counts.events, batch.counts.rejects), (0, 1), "no header line stood before it");
}
