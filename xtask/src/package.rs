use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::layers::library_crates;
use crate::process::{run as run_program, workspace_cargo, workspace_root};

/// Packages every library crate as `cargo publish` would and compiles what was packaged, without a backend.
///
/// Cargo's own verification would build burn anew for every crate, and find sources of an earlier run where the version
/// is the same: it unpacks into the registry's folder, where nothing is ever unpacked twice. Here the packages become
/// a workspace of their own that shares the target folder.
pub(crate) fn run() -> Result<(), Failure> {
    let target = target_folder();
    let mut package = workspace_cargo();
    // Dirty is allowed: the question is whether the files make a crate, not whether they are committed.
    package.args(["package", "--no-verify", "--allow-dirty"]).arg("--target-dir").arg(&target);
    // All at once: crates that are not on crates.io yet find each other only among what is packaged with them.
    for name in library_crates() {
        package.args(["--package", name]);
    }
    run_program(&mut package)?;

    let unpacked = target.join("package-check");
    unpack(&target.join("package"), &unpacked)?;
    let mut check = workspace_cargo();
    check.current_dir(&unpacked).args(["check", "--release", "--workspace"]).arg("--target-dir").arg(&target);
    run_program(&mut check)
}

fn target_folder() -> PathBuf {
    workspace_root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Makes a workspace of the packages in `from`.
fn unpack(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed =
        |path: &Path, error: std::io::Error| Failure::new(format!("cannot write '{}': {error}", path.display()));
    match fs::remove_dir_all(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(to, error)),
        _ => fs::create_dir_all(to).map_err(|error| failed(to, error))?,
    }
    let version = env!("CARGO_PKG_VERSION");
    for name in library_crates() {
        run_program(
            Command::new("tar").arg("-xzf").arg(from.join(format!("{name}-{version}.crate"))).arg("-C").arg(to),
        )?;
    }
    let root = workspace_root();
    let workspace = fs::read_to_string(root.join("Cargo.toml")).map_err(|error| failed(to, error))?;
    let manifest = to.join("Cargo.toml");
    fs::write(&manifest, packages_manifest(&workspace, version)).map_err(|error| failed(&manifest, error))?;
    let lock = to.join("Cargo.lock");
    fs::copy(root.join("Cargo.lock"), &lock).map_err(|error| failed(&lock, error))?;
    Ok(())
}

/// The manifest of the packages' workspace: they find each other instead of crates.io, and are compiled with the
/// profiles of this workspace, which stand at its manifest's end, so that their dependencies are built already.
fn packages_manifest(workspace: &str, version: &str) -> String {
    let profiles = workspace.find("[profile.").map_or("", |start| &workspace[start..]);
    let mut manifest = String::from("[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n[patch.crates-io]\n");
    for name in library_crates() {
        writeln!(manifest, "{name} = {{ path = \"{name}-{version}\" }}").expect("a string takes everything");
    }
    manifest + "\n" + profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_find_each_other_and_keep_the_profiles() {
        let manifest =
            packages_manifest("[workspace]\nmembers = [\"crates/*\"]\n\n[profile.release]\ndebug = false\n", "1.2.3");
        assert!(manifest.contains("\nae-tensor = { path = \"ae-tensor-1.2.3\" }\n"), "{manifest}");
        assert!(manifest.ends_with("\n\n[profile.release]\ndebug = false\n"), "{manifest}");
        assert!(!manifest.contains("crates/*"), "{manifest}");
    }
}
