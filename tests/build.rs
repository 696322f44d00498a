//! Builds the module that misbehaves, and the one that is an example.

#[path = "../guest/modules/build/guest.rs"]
mod guest;

fn main() {
    guest::build("vpcflow-misbehaving", "misbehaving.wasm", true, &["tests/misbehaving", "wit"]);
    guest::build("vpcflow-example-module", "example.wasm", true, &["guest/examples/module", "wit"]);
}
