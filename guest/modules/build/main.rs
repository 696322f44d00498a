//! Builds the modules into `OUT_DIR`.

mod guest;
#[cfg(feature = "playground")]
mod playground;

fn main() {
    guest::build("vpcflow-component", "component.wasm", true, &["guest/parser", "guest/component", "wit"]);
    guest::build("vpcflow-fluent-bit", "core.wasm", false, &["guest/parser", "guest/fluent-bit"]);
    #[cfg(feature = "playground")]
    playground::build();
}
