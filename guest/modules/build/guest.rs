//! Builds a guest crate of this workspace for wasm32-unknown-unknown, as a component or as a core module.
//! Used by the build scripts of `guest/modules` and `tests`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// Without WASI: what is built for this target can import nothing that its world does not name.
const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "module";

/// Builds `package` and writes it to `file` in `OUT_DIR`, encoded as a component or as the core module
/// that it is. `sources` are the folders, from the root of the workspace, whose change calls for another build.
pub fn build(package: &str, file: &str, as_component: bool, sources: &[&str]) {
    let core = core_module(package, as_component, sources);
    let core = fs::read(core).unwrap_or_else(|error| fail(format!("{package}: {error}")));
    let module = if as_component { encode(package, &core) } else { core };
    fs::write(out_dir().join(file), module).unwrap_or_else(|error| fail(format!("{file}: {error}")));
}

/// Builds `package` as a core module; gives its path.
pub fn core_module(package: &str, with_simd: bool, sources: &[&str]) -> PathBuf {
    let workspace = workspace();
    for source in sources.iter().chain(&["Cargo.toml", "Cargo.lock"]) {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    install_target();
    build_core(workspace, package, with_simd)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("Cargo.lock").exists());
    workspace.unwrap_or_else(|| fail("no Cargo.lock above the package"))
}

fn encode(package: &str, core: &[u8]) -> Vec<u8> {
    let mut encoder = wit_component::ComponentEncoder::default();
    let component = encoder.validate(true).module(core).and_then(|encoder| encoder.encode());
    component.unwrap_or_else(|error| fail(format!("{package} does not encode as a component: {error:#}")))
}

fn build_core(workspace: &Path, package: &str, with_simd: bool) -> PathBuf {
    // A target folder of its own, since cargo holds the lock of the other, and one for all profiles
    // and build scripts, since the module is the same for all.
    let out_dir = out_dir();
    let target_root = out_dir.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists()).unwrap_or(&out_dir);
    let target_dir = target_root.join("modules");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.current_dir(workspace).args(["build", "--target", TARGET, "--profile", PROFILE, "--package", package]);
    cargo.arg("--target-dir").arg(&target_dir);
    // Flags and wrappers that were meant for the native build.
    for name in ["RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER", "CARGO_TARGET_DIR"] {
        cargo.env_remove(name);
    }
    // Panic messages hold paths: with these, the same source gives the same bytes everywhere.
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let remapped = [(Some(workspace.to_owned()), "/vpcflow"), (cargo_home, "/cargo")];
    let flags =
        remapped.iter().filter_map(|(from, to)| Some(format!("--remap-path-prefix={}={to}", from.as_ref()?.display())));
    // Every component runtime and browser has 128-bit SIMD, which makes short copies half as many moves.
    // Runtimes of core modules may refuse it, as Fluent Bit does.
    let flags = flags.chain(with_simd.then(|| "-Ctarget-feature=+simd128".to_owned()));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join("\x1f"));
    run(&mut cargo).unwrap_or_else(|error| fail(format!("{package} does not build for {TARGET}: {error}")));
    target_dir.join(TARGET).join(PROFILE).join(package.replace('-', "_")).with_extension("wasm")
}

/// Adds the target to the toolchain where it is missing, as a `rust-toolchain.toml` alone would not.
fn install_target() {
    let rustc = variable("RUSTC");
    let libraries = Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let is_installed = libraries.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists());
    if is_installed {
        return;
    }
    if let Err(error) = run(Command::new("rustup").args(["target", "add", TARGET])) {
        fail(format!(
            "the Rust target {TARGET} is missing, and `rustup target add {TARGET}` failed ({error}). \
             Install it for {}: with rustup, run that command; without, install your distribution's package of it.",
            rustc.to_string_lossy()
        ));
    }
}

pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

pub fn out_dir() -> PathBuf {
    variable("OUT_DIR").into()
}

fn variable(name: impl AsRef<OsStr>) -> std::ffi::OsString {
    env::var_os(&name).unwrap_or_else(|| fail(format!("cargo sets no {}", name.as_ref().display())))
}

pub fn fail(message: impl AsRef<str>) -> ! {
    for line in message.as_ref().lines() {
        println!("cargo::error={line}");
    }
    exit(1)
}
