use crate::failure::Failure;
use crate::layers::library_crates;
use crate::process::{run as run_program, workspace_cargo};

/// Packages every library crate as `cargo publish` would and builds each from its package.
pub(crate) fn run() -> Result<(), Failure> {
    let mut cargo = workspace_cargo();
    // Dirty is allowed: the question is whether the files make a crate, not whether they are committed.
    cargo.args(["package", "--allow-dirty"]);
    // All at once: crates that are not on crates.io yet find each other only among what is packaged with them.
    for name in library_crates() {
        cargo.args(["--package", name]);
    }
    // Whether it compiles does not depend on debug information; without it the build is a fifth shorter.
    run_program(cargo.env("CARGO_PROFILE_DEV_DEBUG", "0"))
}
