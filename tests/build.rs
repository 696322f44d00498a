//! Builds the module that misbehaves.

#[path = "../guest/modules/build/guest.rs"]
mod guest;

fn main() {
    guest::build_component("vpcflow-misbehaving", "misbehaving.wasm", &["tests/misbehaving", "wit"]);
}
