use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::layers::{EDGES, library_crates};
use crate::process::{run as run_program, workspace_cargo, workspace_root};

/// Packages every library crate as `cargo publish` would and compiles what was packaged, in a copy of this workspace where the
/// packages take the place of their folders.
///
/// Cargo's own verification would build burn anew for every crate, and find sources of an earlier run where the version
/// is the same: it unpacks into the registry's folder, where nothing is ever unpacked twice. In the copy every dependency is
/// compiled as it is here, so that the target folder has it already. `check` is the cargo that compiles.
pub(crate) fn run(mut check: Command) -> Result<(), Failure> {
    let target = target_folder();
    let mut package = workspace_cargo();
    // Dirty is allowed: the question is whether the files make a crate, not whether they are committed.
    package.args(["package", "--no-verify", "--allow-dirty"]).arg("--target-dir").arg(&target);
    // All at once: crates that are not on crates.io yet find each other only among what is packaged with them.
    for name in library_crates() {
        package.args(["--package", name]);
    }
    run_program(&mut package)?;

    let copy = target.join("package-check");
    copy_workspace(&target.join("package"), &copy)?;
    run_program(check.current_dir(&copy).arg("--target-dir").arg(&target))
}

fn target_folder() -> PathBuf {
    workspace_root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Makes `to` a copy of this workspace: the libraries are unpacked from `packages`, the crates at the edge are as they are.
fn copy_workspace(packages: &Path, to: &Path) -> Result<(), Failure> {
    let failed =
        |path: &Path, error: std::io::Error| Failure::new(format!("cannot write '{}': {error}", path.display()));
    let crates = to.join("crates");
    match fs::remove_dir_all(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(to, error)),
        _ => fs::create_dir_all(&crates).map_err(|error| failed(&crates, error))?,
    }
    let version = env!("CARGO_PKG_VERSION");
    for name in library_crates() {
        let package = packages.join(format!("{name}-{version}.crate"));
        // With the time of now (-m): in a package every file is as old as the other, and cargo would take a changed one for compiled.
        run_program(Command::new("tar").arg("-xmzf").arg(package).arg("-C").arg(&crates))?;
    }
    let root = workspace_root();
    for name in EDGES {
        run_program(Command::new("cp").arg("-R").arg(root.join("crates").join(name)).arg(&crates))?;
        let manifest = crates.join(name).join("Cargo.toml");
        edit(&manifest, &manifest, |text| text.replace("ae-tests.workspace = true\n", ""))?;
    }
    for name in ["assets", "Cargo.lock"] {
        run_program(Command::new("cp").arg("-R").arg(root.join(name)).arg(to))?;
    }
    edit(&root.join("Cargo.toml"), &to.join("Cargo.toml"), |text| packages_manifest(text, version))
}

/// Writes the text of a file, changed, to another one.
fn edit(from: &Path, to: &Path, change: impl FnOnce(&str) -> String) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot copy '{}': {error}", from.display()));
    fs::write(to, change(&fs::read_to_string(from).map_err(failed)?)).map_err(failed)
}

/// The manifest of the workspace for packages, which know each other by version alone, and without what is never packaged.
fn packages_manifest(workspace: &str, version: &str) -> String {
    let mut manifest = workspace.replace("members = [\"crates/*\", \"tests\", \"xtask\"]", "members = [\"crates/*\"]");
    manifest += "\n[patch.crates-io]\n";
    for name in library_crates() {
        let path = format!("path = \"crates/{name}\"");
        manifest = manifest.replace(&path, &format!("path = \"crates/{name}-{version}\""));
        writeln!(manifest, "{name} = {{ path = \"crates/{name}-{version}\" }}").expect("a string takes everything");
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_take_the_place_of_their_folders() {
        let workspace = "[workspace]\nmembers = [\"crates/*\", \"tests\", \"xtask\"]\n\n[workspace.dependencies]\n\
             ae-tensor = { path = \"crates/ae-tensor\", version = \"=1.2.3\" }\n\n[profile.release]\ndebug = false\n";
        let manifest = packages_manifest(workspace, "1.2.3");
        assert!(manifest.contains("\nmembers = [\"crates/*\"]\n"), "{manifest}");
        assert!(
            manifest.contains("\nae-tensor = { path = \"crates/ae-tensor-1.2.3\", version = \"=1.2.3\" }\n"),
            "{manifest}"
        );
        assert!(manifest.contains("\nae-tensor = { path = \"crates/ae-tensor-1.2.3\" }\n"), "{manifest}");
        assert!(manifest.contains("\n[profile.release]\ndebug = false\n"), "{manifest}");
    }
}
