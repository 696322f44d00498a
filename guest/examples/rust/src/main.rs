//! Prints the events of a flow log: `vpcflow-example vpcflow.wasm flow.log [SCHEMA]`.

use std::io::Write;

use exports::vpcflow::ecs::transform::{Context, Options};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

wasmtime::component::bindgen!({ path: "../../../wit" });

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, flow_log, schema @ ..] = &arguments[..] else { return Err("MODULE FLOW_LOG [SCHEMA]".into()) };
    let engine = Engine::new(&Config::new())?;
    let mut store = Store::new(&engine, ());
    let component = Component::from_file(&engine, module)?;
    let bindings = Module::instantiate(&mut store, &component, &Linker::new(&engine))?;
    let transform = bindings.vpcflow_ecs_transform();
    let options = Options {
        schema: schema.first().cloned(),
        format: None,
        max_line_bytes: 8 << 20,
        keep_message: None,
        time_field: None,
        event_id: false,
        geoip_city: None,
        geoip_asn: None,
    };
    let transformer = transform.transformer().call_open(&mut store, &options)??;
    let context = Context { origin: flow_log.clone(), offset: 0, collected_at: None };
    let lines = std::fs::read(flow_log)?;
    let batch = transform.transformer().call_transform(&mut store, transformer, &lines, &context)?;
    for reject in &batch.rejects {
        eprintln!("{flow_log}:{}: {:?}", reject.line + 1, reject.fault);
    }
    std::io::stdout().write_all(&batch.events)?;
    Ok(())
}
