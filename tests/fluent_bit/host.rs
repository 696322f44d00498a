//! What Fluent Bit's WASM filter does with a module, in wasmtime: one instance for all records; tag and
//! record are copied into blocks of the module's own `malloc`, or of a heap that the host has added; what the
//! function gives back is read up to its first zero byte, and never freed.

use wasmtime::{Cache, CacheConfig, Config, Engine, Instance, Memory, Module, Store, TypedFunc};

/// A compiled core module.
pub struct Loaded(Module);

impl Loaded {
    /// Compiles `module`, or takes it from wasmtime's cache.
    pub fn new(module: &[u8]) -> Loaded {
        let mut config = Config::new();
        config.consume_fuel(true).wasm_simd(false).wasm_relaxed_simd(false);
        config.cache(Cache::new(CacheConfig::new()).ok());
        Loaded(Module::from_binary(&Engine::new(&config).unwrap(), module).unwrap())
    }
}

/// Where tag and record are put.
#[derive(Clone)]
enum Heap {
    /// In blocks of the module, which exports `malloc` and `free`.
    Module { malloc: TypedFunc<u32, u32>, free: TypedFunc<u32, ()> },
    /// Behind the module's memory, in so many bytes: Fluent Bit's `wasm_heap_size`.
    Host { start: u32, bytes: u32 },
}

pub struct FluentBit {
    store: Store<()>,
    function: TypedFunc<(u32, u32, u32, u32, u32, u32), u32>,
    memory: Memory,
    heap: Heap,
}

impl FluentBit {
    /// An instance of the module, which may import nothing, to call `function`.
    pub fn start(Loaded(module): &Loaded, function: &str) -> FluentBit {
        let mut store = Store::new(module.engine(), ());
        store.set_fuel(u64::MAX).unwrap();
        let instance = Instance::new(&mut store, module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let malloc = instance.get_typed_func(&mut store, "malloc").unwrap();
        let free = instance.get_typed_func(&mut store, "free").unwrap();
        let function = instance.get_typed_func(&mut store, function).unwrap();
        FluentBit { store, function, memory, heap: Heap::Module { malloc, free } }
    }

    /// With a heap of the host's instead of the module's.
    pub fn with_host_heap(mut self, bytes: u32) -> FluentBit {
        let start = self.memory_bytes() as u32;
        self.memory.grow(&mut self.store, u64::from(bytes).div_ceil(1 << 16)).unwrap();
        self.heap = Heap::Host { start, bytes };
        self
    }

    /// Filters a record in JSON, `event_format: json`.
    pub fn json(&mut self, tag: &str, record: impl AsRef<[u8]>) -> String {
        let record = [record.as_ref(), b"\0"].concat();
        String::from_utf8(self.call(tag, &record, record.len() - 1)).unwrap()
    }

    /// Filters a record in MessagePack, `event_format: msgpack`; no zero byte follows.
    pub fn message_pack(&mut self, tag: &str, record: &[u8]) -> Vec<u8> {
        self.call(tag, record, record.len())
    }

    fn call(&mut self, tag: &str, record: &[u8], length: usize) -> Vec<u8> {
        let tag_block = self.allocate(&[tag.as_bytes(), b"\0"].concat(), 0);
        let record_block = self.allocate(record, tag.len() as u32 + 1);
        let arguments = (tag_block, tag.len() as u32, 1_632_856_243, 75_027_100, record_block, length as u32);
        let answer = self.function.call(&mut self.store, arguments).unwrap() as usize;
        let memory = &self.memory.data(&self.store)[answer..];
        let answer = memory[..memory.iter().position(|&byte| byte == 0).unwrap()].to_vec();
        if let Heap::Module { free, .. } = self.heap.clone() {
            for block in [tag_block, record_block] {
                // As `wasm_runtime_module_free`, which leaves out the null address.
                if block != 0 {
                    free.call(&mut self.store, block).unwrap();
                }
            }
        }
        answer
    }

    /// A block with `bytes` in it, or null where there is no room for it.
    fn allocate(&mut self, bytes: &[u8], used: u32) -> u32 {
        let length = bytes.len() as u32;
        let block = match self.heap.clone() {
            Heap::Module { malloc, .. } => malloc.call(&mut self.store, length).unwrap(),
            Heap::Host { start, bytes } if used + length <= bytes => start + used,
            Heap::Host { .. } => 0,
        };
        if block != 0 {
            self.memory.write(&mut self.store, block as usize, bytes).unwrap();
        }
        block
    }

    /// The instance's memory, which can only grow.
    pub fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// Instructions executed since the last call of this function; the benchmark's, which shares this file.
    #[allow(dead_code)]
    pub fn instructions(&mut self) -> u64 {
        let executed = u64::MAX - self.store.get_fuel().unwrap();
        self.store.set_fuel(u64::MAX).unwrap();
        executed
    }
}
