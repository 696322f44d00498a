//! What the core module needs: memory, instructions, and Fluent Bit itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vpcflow_modules::{COMPONENT, CORE};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use super::{LINE, start, value};
use crate::aws::succeed;
use crate::cases;

#[test]
fn a_million_records_need_no_more_memory_than_a_thousand() {
    let mut fluent_bit = start("vpcflow_elastic");
    let records = [
        json!({ "log": LINE, "kubernetes": {"pod": "p"} }),
        json!({"log": "no flow log"}),
        json!({"log": "a flow log with \"quotes\"", "message": LINE, "source": "s"}),
        json!({"srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "bytes": 7}),
        json!({"log": "bytes srcaddr"}),
        json!({"log": "7 10.0.0.1", "vpcflow_format": "bytes srcaddr"}),
    ];
    let records = records.map(|record| record.to_string());
    // However long what came before was: of many lines, or a header line.
    let many = json!({"log": "10.0.0.1 10.0.0.2\n".repeat(20_000)}).to_string();
    let long = json!({"log": format!("srcaddr dstaddr x{}", "x".repeat(300_000))}).to_string();
    let mut memory = 0;
    for index in 0..1_000_000 {
        if index < 300 {
            fluent_bit.json(&format!("tag {index}"), if index == 0 { &many } else { &long });
        }
        if index == 1000 {
            memory = fluent_bit.memory_bytes();
        }
        let tag = if index % 6 == 4 { format!("file.{}", index % 1200) } else { "flow".into() };
        fluent_bit.json(&tag, &records[index % 6]);
    }
    assert_eq!(fluent_bit.memory_bytes(), memory);
    assert!(memory < 8 << 20, "{memory} bytes");
}

/// What Fluent Bit's runtime has: WAMR 2.4 as Fluent Bit 5.1 builds it.
fn fluent_bits_features() -> WasmFeatures {
    WasmFeatures::FLOATS
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        // How the validator calls the types of reference-types.
        | WasmFeatures::GC_TYPES
}

#[test]
fn the_core_module_needs_nothing_that_fluent_bit_refuses() {
    Validator::new_with_features(fluent_bits_features()).validate_all(CORE).unwrap();
    // And the validator does look: the component's core has SIMD.
    let inner = Parser::new(0).parse_all(COMPONENT).find_map(|payload| match payload.unwrap() {
        Payload::ModuleSection { unchecked_range, .. } => {
            Some(unchecked_range.start as usize..unchecked_range.end as usize)
        }
        _ => None,
    });
    let error = Validator::new_with_features(fluent_bits_features())
        .validate_all(&COMPONENT[inner.unwrap()])
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("SIMD"), "{error}");

    let (mut imports, mut exports) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(CORE) {
        match payload.unwrap() {
            Payload::ImportSection(section) => imports += section.count(),
            Payload::ExportSection(section) => exports.extend(section.into_iter().map(|export| export.unwrap().name)),
            _ => {}
        }
    }
    assert_eq!(imports, 0);
    for name in ["memory", "malloc", "free", "vpcflow_sekoia", "vpcflow_elastic_or_drop"] {
        assert!(exports.contains(&name), "{exports:?}");
    }
}

/// Where Fluent Bit itself is: `VPCFLOW_FLUENT_BIT=fluent-bit cargo test --workspace fluent_bit`. No registry has
/// it, so it is asked only where somebody has it.
#[test]
fn fluent_bit_itself_gives_the_same() {
    let Some(program) = std::env::var_os("VPCFLOW_FLUENT_BIT") else { return };
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/examples/fluent-bit/fluent-bit.yaml");
    fs::write(folder.path().join("vpcflow-core.wasm"), CORE).unwrap();
    let cases = cases::all().into_iter().filter(|case| case.options.format.is_none());
    // Of other lines Fluent Bit makes something else, or passes over them.
    let is_passed = |line: &&str| !line.contains(['\0', '\u{fffd}']) && line.len() < 30_000;
    let text: Vec<String> = cases.map(|case| String::from_utf8_lossy(&case.input).into_owned()).collect();
    let lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).filter(is_passed).collect();
    fs::write(folder.path().join("flow.log"), lines.join("\n") + "\n").unwrap();
    let output = succeed(Command::new(program).arg("-q").arg("-c").arg(example).current_dir(&folder));
    let answers: Vec<Value> = String::from_utf8(output.stdout).unwrap().lines().map(value).collect();

    let mut module = start("vpcflow_sekoia");
    let expected = lines.iter().map(|line| module.json("flow.flow.log", json!({ "log": line }).to_string()));
    let expected: Vec<Value> = expected.filter(|answer| !answer.is_empty()).map(|answer| value(&answer)).collect();
    for (mut answer, expected) in answers.iter().cloned().zip(&expected) {
        answer.as_object_mut().unwrap().remove("date");
        assert_eq!(answer, *expected);
    }
    assert_eq!(answers.len(), expected.len());
}
