//! Builds the playground: the parser behind wasm-bindgen, and the page, bundled with its packages from npm.
//! Without npm there is no playground, and everything else is built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_bindgen_cli_support::Bindgen;

use crate::guest::{core_module, fail, out_dir, run, workspace};

/// What the page is made of, from the root of the workspace.
const FOLDER: &str = "guest/playground";
/// AWS's published records, which the page offers.
const SAMPLES: &str = "tests/data/aws-samples.tsv";
const SOURCES: [&str; 4] = ["guest/parser", "host/framing", FOLDER, SAMPLES];

/// Writes the files of the page to `playground/` in `OUT_DIR`, and the list of them to `playground.rs`.
pub fn build() {
    let list = match is_there("npm") {
        true => write_list(&bundle()),
        false => {
            println!(
                "cargo::warning=npm is missing: built without the playground, for which Node.js 20 or later is wanted"
            );
            // So that it is built once npm is there.
            println!("cargo::rerun-if-env-changed=PATH");
            "&[]".into()
        }
    };
    fs::write(out_dir().join("playground.rs"), list).unwrap_or_else(|error| fail(format!("playground.rs: {error}")));
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Gives the folder with the page.
fn bundle() -> PathBuf {
    let core = core_module("vpcflow-playground", true, &SOURCES);
    // Beside what npm installs, where the bundler looks for it.
    let work = out_dir().join("page");
    let generated = Bindgen::new()
        .input_path(core)
        .out_name("parser")
        .web(true)
        .and_then(|generator| generator.generate(work.join("generated")));
    generated.unwrap_or_else(|error| fail(format!("wasm-bindgen: {error:#}")));

    let source = workspace().join(FOLDER);
    let prepared = install(&source, &work).and_then(|()| {
        let page = work.join("page");
        let site = out_dir().join("playground");
        for folder in [&page, &site] {
            let _ = fs::remove_dir_all(folder);
            fs::create_dir_all(folder)?;
        }
        copy_files(&source.join("page"), &page)?;
        fs::copy(workspace().join(SAMPLES), page.join("samples.tsv"))?;
        Ok(site)
    });
    let site = prepared.unwrap_or_else(|error| fail(format!("the playground: {error}")));
    let mut bundler = Command::new("npm");
    bundler.args(["run", "--silent", "build", "--"]).arg(format!("--outdir={}", site.display()));
    run(bundler.current_dir(&work)).unwrap_or_else(|error| fail(format!("the page cannot be bundled: {error}")));
    let finished = [
        fs::copy(work.join("page/index.html"), site.join("index.html")).map(drop),
        fs::copy(work.join("generated/parser_bg.wasm"), site.join("parser_bg.wasm")).map(drop),
        fs::write(site.join("licenses.txt"), licenses(&work.join("node_modules"))),
    ];
    for outcome in finished {
        outcome.unwrap_or_else(|error| fail(format!("the playground: {error}")));
    }
    site
}

/// Installs the packages, unless those of the same list are there.
fn install(source: &Path, work: &Path) -> io::Result<()> {
    let lock = fs::read(source.join("package-lock.json"))?;
    let stamp = work.join("installed");
    for file in ["package.json", "package-lock.json", "tsconfig.json"] {
        fs::copy(source.join(file), work.join(file))?;
    }
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    // Nothing that a package brings is run, but for the bundler.
    let mut npm = Command::new("npm");
    npm.args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(work);
    run(&mut npm).map_err(io::Error::other)?;
    fs::write(stamp, lock)
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The licences of what is in the bundle.
fn licenses(packages: &Path) -> String {
    let mut text = String::new();
    for package in folders(packages) {
        let name = package.strip_prefix(packages).unwrap_or(&package).display().to_string();
        if name.contains("esbuild") {
            continue;
        }
        for file in ["LICENSE", "LICENSE.md", "license"] {
            if let Ok(license) = fs::read_to_string(package.join(file)) {
                text += &format!("{name}\n\n{}\n\n\n", license.trim());
                break;
            }
        }
    }
    text
}

/// Packages, those of a scope (`@…`) one level deeper.
fn folders(packages: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(packages) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    let is_scope = |folder: &Path| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with('@'));
    folders
        .into_iter()
        .flat_map(|folder| if is_scope(&folder) { self::folders(&folder) } else { vec![folder] })
        .collect()
}

/// The files as an expression of type `&[(&str, &[u8])]`.
fn write_list(site: &Path) -> String {
    let entries = fs::read_dir(site).unwrap_or_else(|error| fail(format!("{}: {error}", site.display())));
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    let entries: String =
        names.iter().map(|name| format!("({name:?}, include_bytes!({:?})),", site.join(name))).collect();
    format!("&[{entries}]")
}
