//! Builds the module that misbehaves.

#[path = "../guest/modules/build/guest.rs"]
mod guest;

fn main() {
    guest::build("vpcflow-misbehaving", "misbehaving.wasm", true, &["tests/misbehaving", "wit"]);
}
