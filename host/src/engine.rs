//! Runs a module of the world `vpcflow:ecs/module` in wasmtime: compiled once, one instance a
//! thread, each with a memory limit and a deadline for every call.

mod instance;
mod session;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config};

pub use instance::wit::{
    Batch, ColumnReading, Context, Counts, Datetime, Description, Explanation, Fault, Field, Member, MemberKind,
    Options, Outcome, Reason, Reject, RejectedEvent, TimeField, Vocabulary,
};
pub use session::{Session, Transformed};

use instance::{ModulePre, State};

/// How often the deadlines are looked at.
const TICK: Duration = Duration::from_millis(20);

/// What an instance may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Linear memory of an instance, in bytes, beside the databases in its options.
    pub memory_bytes: usize,
    /// Time for one call, with the precision of a tick of 20 ms.
    pub call_timeout: Duration,
}

impl Default for Limits {
    /// A batch takes a few MiB and well under a millisecond; an envelope of many MiB several times its size.
    fn default() -> Limits {
        Limits { memory_bytes: 256 << 20, call_timeout: Duration::from_secs(10) }
    }
}

/// Why the engine cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The module's file cannot be read.
    #[error("the module {path} cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The bytes are no component of the world, or need more than the limits allow.
    #[error("the module cannot be loaded: {0:#}")]
    Unloadable(wasmtime::Error),
    /// The module refuses the options.
    #[error("{0}")]
    Refused(String),
    /// The module fails at what it was asked.
    #[error("the module fails: {0}")]
    Fails(String),
    /// The module fails before it has seen a line.
    #[error("the module fails when it is opened: {0}")]
    FailsToOpen(String),
}

/// A compiled module.
pub struct Engine {
    engine: wasmtime::Engine,
    module: ModulePre<State>,
    limits: Limits,
}

impl Engine {
    /// Compiles `component`, or takes it compiled from wasmtime's cache in the user's cache folder.
    pub fn new(component: &[u8], limits: Limits) -> Result<Arc<Engine>, EngineError> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        // A user without a cache folder compiles at every start: slower, not wrong.
        config.cache(Cache::new(CacheConfig::new()).ok());
        let engine = wasmtime::Engine::new(&config).map_err(EngineError::Unloadable)?;
        let module = Component::new(&engine, component)
            .and_then(|component| Linker::new(&engine).instantiate_pre(&component))
            .and_then(ModulePre::new)
            .map_err(EngineError::Unloadable)?;
        let engine = Arc::new(Engine { engine, module, limits });
        engine.start_ticking();
        Ok(engine)
    }

    /// The same for the component in `path`.
    pub fn from_file(path: &Path, limits: Limits) -> Result<Arc<Engine>, EngineError> {
        let component =
            std::fs::read(path).map_err(|error| EngineError::Unreadable { path: path.display().to_string(), error })?;
        Engine::new(&component, limits)
    }

    /// What the module tells of itself.
    pub fn describe(&self) -> Result<Description, EngineError> {
        instance::describe(self)
    }

    fn start_ticking(&self) {
        let engine = self.engine.weak();
        thread::spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
            }
        });
    }

    fn ticks_per_call(&self) -> u64 {
        let ticks = self.limits.call_timeout.as_millis().div_ceil(TICK.as_millis());
        // The current tick has begun already.
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}
