//! Builds the modules into `OUT_DIR`.

mod guest;

fn main() {
    guest::build_component("vpcflow-component", "vpcflow.wasm", &["guest/parser", "guest/component", "wit"]);
}
