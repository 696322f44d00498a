//! Builds the playground: the parser behind wasm-bindgen, and the page, bundled with its packages from npm.
//! Where these cannot be installed there is no playground, and everything else is built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_bindgen_cli_support::Bindgen;

use crate::guest::{core_module, fail, out_dir, run, workspace};

/// Where the adaptor and the page are, from the root of the workspace.
const FOLDER: &str = "guest/playground";
/// AWS's published records, which the page offers.
const SAMPLES: &str = "tests/data/aws-samples.tsv";
/// Says which list of packages has been installed.
const INSTALLED: &str = "installed";
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };
const SOURCES: [&str; 4] = ["guest/parser", "host/framing", FOLDER, SAMPLES];

/// Writes the files of the page to `playground/` in `OUT_DIR`, the list of them to `playground.rs`, and the
/// TypeScript declarations of the parser to `parser.d.ts`.
pub fn build() {
    let source = workspace().join(FOLDER);
    // Where the packages are, and so the bundler looks for everything.
    let work = out_dir().join("page");
    if let Err(error) = install(&source, &work) {
        println!(
            "cargo::warning=built without the playground, for which npm of Node.js 20 or later must install packages"
        );
        for line in error.lines().filter(|line| !line.is_empty()) {
            println!("cargo::warning={line}");
        }
        // Tried again at the next build, since this file is missing.
        println!("cargo::rerun-if-changed={}", work.join(INSTALLED).display());
        return finish("&[]", "");
    }
    let core = core_module("vpcflow-playground", true, &SOURCES);
    let generator = Bindgen::new().input_path(core).out_name("parser").web(true).map(|generator| {
        generator.typescript(true);
        generator.generate(work.join("generated"))
    });
    generator.flatten().unwrap_or_else(|error| fail(format!("wasm-bindgen: {error:#}")));
    let (list, declarations) = bundle(&source, &work).unwrap_or_else(|error| fail(format!("the playground: {error}")));
    finish(&list, &declarations);
}

fn finish(list: &str, declarations: &str) {
    for (file, text) in [("playground.rs", list), ("parser.d.ts", declarations)] {
        fs::write(out_dir().join(file), text).unwrap_or_else(|error| fail(format!("{file}: {error}")));
    }
}

/// Installs the packages, unless those of the same list are there.
fn install(source: &Path, work: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", work.display());
    fs::create_dir_all(work).map_err(failed)?;
    for file in ["package.json", "package-lock.json", "tsconfig.json"] {
        fs::copy(source.join(file), work.join(file)).map_err(failed)?;
    }
    let lock = fs::read(work.join("package-lock.json")).map_err(failed)?;
    let stamp = work.join(INSTALLED);
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new(NPM);
    npm.args(["ci", "--engine-strict", "--omit=dev", "--no-audit", "--no-fund", "--fetch-retries=1"]).current_dir(work);
    // Nothing that a package brings is run, but for the bundler, later.
    run(npm.arg("--ignore-scripts"))?;
    fs::write(stamp, lock).map_err(failed)
}

/// Bundles the page; gives the list of its files as Rust, and the declarations of the parser.
fn bundle(source: &Path, work: &Path) -> io::Result<(String, String)> {
    let page = work.join("page");
    let site = out_dir().join("playground");
    for folder in [&page, &site] {
        // What an earlier build has left.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
    }
    for file in files(&source.join("page"))? {
        fs::copy(&file, page.join(file.file_name().unwrap_or_default()))?;
    }
    fs::copy(workspace().join(SAMPLES), page.join("samples.tsv"))?;
    let mut bundler = Command::new(NPM);
    bundler.args(["run", "--silent", "build", "--"]).arg(format!("--outdir={}", site.display()));
    run(bundler.current_dir(work)).map_err(io::Error::other)?;
    fs::copy(page.join("index.html"), site.join("index.html"))?;
    fs::copy(work.join("generated/parser_bg.wasm"), site.join("parser_bg.wasm"))?;
    fs::write(site.join("licenses.txt"), licenses(&work.join("node_modules"), "")?)?;

    let entry = |file: &PathBuf| format!("({:?}, include_bytes!({file:?})),", file.file_name().unwrap_or_default());
    let list: String = files(&site)?.iter().map(entry).collect();
    Ok((format!("&[{list}]"), fs::read_to_string(work.join("generated/parser.d.ts"))?))
}

/// What is in a folder, by name.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// The licences of all packages, those of a scope (`@…`) one level deeper.
fn licenses(packages: &Path, scope: &str) -> io::Result<String> {
    let mut text = String::new();
    for package in files(packages)? {
        let name = format!("{scope}{}", package.file_name().unwrap_or_default().display());
        if scope.is_empty() && name.starts_with('@') {
            text += &licenses(&package, &format!("{name}/"))?;
        }
        let license =
            ["LICENSE", "LICENSE.md", "license"].iter().find_map(|file| fs::read_to_string(package.join(file)).ok());
        if let Some(license) = license {
            text += &format!("{name}\n\n{}\n\n\n", license.trim());
        }
    }
    Ok(text)
}
