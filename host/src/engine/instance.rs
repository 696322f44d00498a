//! One instance of a module, and one transformer in it. After a [`Failure`] it must not be used again.

use std::fmt;

use wasmtime::component::ResourceAny;
use wasmtime::{ResourceLimiter, Store, Trap};

use super::{Engine, EngineError};
use bindings::Module;
pub(super) use bindings::{ModulePre, exports::vpcflow::ecs::transform as wit};

#[allow(missing_docs, reason = "generated from wit/, where the documentation stands")]
mod bindings {
    wasmtime::component::bindgen!({ path: "../wit", world: "module" });
}

/// What a module's instance is told about its limits.
pub(super) struct State {
    memory_bytes: usize,
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        match desired <= self.memory_bytes {
            true => Ok(true),
            // An error rather than a refusal, which the module would turn into a nameless trap.
            false => Err(wasmtime::Error::new(MemoryLimit)),
        }
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        const MAX_TABLE_ELEMENTS: usize = 100_000;
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

#[derive(Debug)]
struct MemoryLimit;

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory limit is reached")
    }
}

impl std::error::Error for MemoryLimit {}

/// How a call went wrong.
#[derive(Debug)]
pub(super) enum Failure {
    Deadline,
    MemoryLimit,
    Trap(String),
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Failure {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Failure::Deadline,
            Some(trap) => Failure::Trap(trap.to_string()),
            None if error.is::<MemoryLimit>() => Failure::MemoryLimit,
            None => Failure::Trap(error.root_cause().to_string()),
        }
    }
}

impl Failure {
    /// A short name, as the rejects carry it.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Failure::Deadline => "deadline",
            Failure::MemoryLimit => "memory-limit",
            Failure::Trap(_) => "trap",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Deadline => f.write_str("the call's deadline has passed"),
            Failure::MemoryLimit => MemoryLimit.fmt(f),
            Failure::Trap(trap) => f.write_str(trap),
        }
    }
}

pub(super) struct Instance {
    store: Store<State>,
    module: Module,
    transformer: ResourceAny,
    ticks_per_call: u64,
    /// The header line in force in the transformer.
    pub(super) header: Option<String>,
}

impl Instance {
    pub(super) fn open(engine: &Engine, options: &wit::Options) -> Result<Instance, EngineError> {
        // The databases lie in the module's memory: the limit is for the rest of it.
        let databases = [&options.geoip_city, &options.geoip_asn];
        let database_bytes = databases.into_iter().flatten().map(Vec::len).sum::<usize>();
        let (mut store, module) = instantiate(engine, engine.limits.memory_bytes + database_bytes)?;
        let ticks_per_call = engine.ticks_per_call();
        let transformer = open_transformer(&module, &mut store, options)?;
        Ok(Instance { store, module, transformer, ticks_per_call, header: None })
    }

    /// Puts a header line in force, or none.
    pub(super) fn set_header(&mut self, header: Option<&str>) -> Result<(), Failure> {
        if self.header.as_deref() != header {
            self.store.set_epoch_deadline(self.ticks_per_call);
            let transformer = self.module.vpcflow_ecs_transform().transformer();
            transformer.call_set_header(&mut self.store, self.transformer, header)?;
            self.header = header.map(str::to_owned);
        }
        Ok(())
    }

    pub(super) fn transform(&mut self, lines: &[u8], context: &wit::Context) -> Result<wit::Batch, Failure> {
        self.store.set_epoch_deadline(self.ticks_per_call);
        let transformer = self.module.vpcflow_ecs_transform().transformer();
        let batch = transformer.call_transform(&mut self.store, self.transformer, lines, context)?;
        self.header = transformer.call_header(&mut self.store, self.transformer)?;
        Ok(batch)
    }

    pub(super) fn explain(&mut self, line: &[u8], context: &wit::Context) -> Result<Vec<wit::Explanation>, Failure> {
        self.store.set_epoch_deadline(self.ticks_per_call);
        let transformer = self.module.vpcflow_ecs_transform().transformer();
        let explanations = transformer.call_explain(&mut self.store, self.transformer, line, context)?;
        self.header = transformer.call_header(&mut self.store, self.transformer)?;
        Ok(explanations)
    }
}

/// What the module tells of itself.
pub(super) fn describe(engine: &Engine) -> Result<wit::Description, EngineError> {
    let (mut store, module) = instantiate(engine, engine.limits.memory_bytes)?;
    let description = module.vpcflow_ecs_transform().call_describe(&mut store);
    description.map_err(|error| EngineError::FailsToOpen(Failure::from(error).to_string()))
}

fn instantiate(engine: &Engine, memory_bytes: usize) -> Result<(Store<State>, Module), EngineError> {
    let mut store = Store::new(&engine.engine, State { memory_bytes });
    store.limiter(|state| state);
    // What a call returns lies in the module's memory, and takes a little more room as rejects of ours.
    store.set_hostcall_fuel(memory_bytes.saturating_mul(4));
    store.set_epoch_deadline(engine.ticks_per_call());
    let module = engine.module.instantiate(&mut store).map_err(EngineError::Unloadable)?;
    Ok((store, module))
}

fn open_transformer(
    module: &Module,
    store: &mut Store<State>,
    options: &wit::Options,
) -> Result<ResourceAny, EngineError> {
    let opened = module.vpcflow_ecs_transform().transformer().call_open(store, options);
    opened.map_err(|error| EngineError::FailsToOpen(Failure::from(error).to_string()))?.map_err(|refusal| {
        let (wit::OpenError::UnknownSchema(text)
        | wit::OpenError::BadFormat(text)
        | wit::OpenError::NotInSchema(text)
        | wit::OpenError::BadDatabase(text)
        | wit::OpenError::Other(text)) = refusal;
        EngineError::Refused(text)
    })
}
