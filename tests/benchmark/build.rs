//! Builds the module that vpcflow's is compared with in Fluent Bit's place.

#[path = "../../guest/modules/build/guest.rs"]
mod guest;

fn main() {
    guest::build("vpcflow-round-trip", "round-trip.wasm", false, &["round-trip", "../../guest/fluent-bit/src"]);
}
