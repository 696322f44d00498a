//! The guest adaptors as WASM, built by this package's build script.

/// The parser as a component of the world `vpcflow:ecs/module`.
pub const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.wasm"));

/// The parser as a core module with Fluent Bit's filter functions, and without SIMD.
pub const CORE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.wasm"));

/// The files of the playground's page by name, `index.html` among them; none, if npm was not there when it was built.
#[cfg(feature = "playground")]
pub const PLAYGROUND: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/playground.rs"));

/// The TypeScript declarations of the parser in that page; empty, if there is none.
#[cfg(feature = "playground")]
pub const PLAYGROUND_TYPES: &str = include_str!(concat!(env!("OUT_DIR"), "/parser.d.ts"));
