use crate::failure::Failure;
use crate::metadata::{Dependency, Package, packages};

/// Every edge there may be: the crates from the bottom to the top, and which of those above it in this list each may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("ae-files", &[]),
    ("ae-config", &["ae-files"]),
    ("ae-settings", &[]),
    ("ae-hub", &["ae-files"]),
    ("ae-kernels", &[]),
    ("ae-phrases", &[]),
    ("ae-checkpoint", &["ae-config", "ae-files"]),
    ("ae-figures", &["ae-settings"]),
    ("ae-tensor", &["ae-checkpoint", "ae-config", "ae-kernels", "ae-settings"]),
    ("ae-scheduler", &["ae-config", "ae-settings"]),
    ("ae-clip", &["ae-checkpoint", "ae-config", "ae-files", "ae-tensor"]),
    ("ae-unet", &["ae-checkpoint", "ae-config", "ae-tensor"]),
    ("ae-vae", &["ae-checkpoint", "ae-config", "ae-tensor"]),
    // Guidance works on any model of cross-attention, not on one U-Net.
    ("ae-guidance", &["ae-tensor"]),
    ("ae-vision", &["ae-checkpoint", "ae-clip", "ae-config", "ae-files", "ae-tensor"]),
    (
        "ae-pipeline",
        &[
            "ae-checkpoint",
            "ae-clip",
            "ae-config",
            "ae-files",
            "ae-guidance",
            "ae-phrases",
            "ae-scheduler",
            "ae-settings",
            "ae-tensor",
            "ae-unet",
            "ae-vae",
        ],
    ),
    // These know no tensors: plain data go in.
    ("ae-eval", &["ae-figures", "ae-files", "ae-settings"]),
    ("ae-server", &["ae-figures", "ae-files", "ae-settings"]),
    (
        "attend-and-excite",
        &[
            "ae-checkpoint",
            "ae-eval",
            "ae-figures",
            "ae-files",
            "ae-hub",
            "ae-pipeline",
            "ae-server",
            "ae-settings",
            "ae-tensor",
            "ae-vision",
        ],
    ),
    (
        "ae-cli",
        &[
            "ae-checkpoint",
            "ae-eval",
            "ae-figures",
            "ae-files",
            "ae-hub",
            "ae-pipeline",
            "ae-server",
            "ae-settings",
            "ae-tensor",
            "ae-vision",
            "attend-and-excite",
        ],
    ),
];

/// Edges of tests, examples and benchmarks beside those.
const ALLOWED_IN_TESTS: &[(&str, &[&str])] = &[("ae-scheduler", &["ae-tensor"]), ("ae-cli", &["ae-tests"])];

/// Crates that may use all others and that none may use.
const OUTSIDE: [&str; 2] = ["ae-tests", "xtask"];

/// The crate whose features are the backends.
const BACKEND_CRATE: &str = "ae-tensor";
/// The crates that choose one.
pub(crate) const EDGES: [&str; 2] = ["attend-and-excite", COMMAND_LINE];
const COMMAND_LINE: &str = "ae-cli";
/// The features, of burn and of `ae-tensor`, that bring a backend.
const BACKENDS: [&str; 11] =
    ["cpu", "cuda", "flex", "metal", "ndarray", "remote", "rocm", "tch", "vulkan", "webgpu", "wgpu"];

/// The crates that are published, each after those it uses: all but the edges, which have the embedded model in them.
pub(crate) fn library_crates() -> impl Iterator<Item = &'static str> {
    ALLOWED.iter().map(|(name, _)| *name).filter(|name| !EDGES.contains(name))
}

pub(crate) fn run() -> Result<(), Failure> {
    let packages = packages()?;
    let violations: Vec<String> = packages.iter().flat_map(violations).collect();
    if violations.is_empty() {
        eprintln!("{} crates keep to their layers", packages.len());
        return Ok(());
    }
    Err(Failure::new(format!("the crates break their layers (xtask/src/layers.rs):\n  {}", violations.join("\n  "))))
}

/// What a crate's manifest says against the layers.
fn violations(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    if OUTSIDE.contains(&name) {
        return Vec::new();
    }
    let Some(allowed) = edges_of(ALLOWED, name) else {
        return vec![format!("{name} has no place in the layers: add it to ALLOWED")];
    };
    let in_tests = edges_of(ALLOWED_IN_TESTS, name).unwrap_or_default();
    let is_forbidden = |Dependency { name: used, kind, .. }: &&Dependency| {
        let used = used.as_str();
        let is_ours = OUTSIDE.contains(&used) || edges_of(ALLOWED, used).is_some();
        is_ours && !allowed.contains(&used) && !(kind.as_deref() == Some("dev") && in_tests.contains(&used))
    };
    let forbidden = package.dependencies.iter().filter(is_forbidden);
    let edges = forbidden.map(|used| format!("{name} -> {}: which is not in ALLOWED", used.name));
    edges.chain(named_backends(package)).collect()
}

fn edges_of(table: &[(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(user, _)| *user == name).map(|(_, used)| *used)
}

/// The backends a library decides on, which is for the program at the edge to do. Tests need one, so
/// dev-dependencies may.
fn named_backends(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    if EDGES.contains(&name) {
        return Vec::new();
    }
    let by_dependency = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
        .flat_map(|Dependency { name: used, features, optional, .. }| {
            // The runtime behind one of its own features is for that crate to name.
            let own = name == BACKEND_CRATE && *optional;
            let itself = used.strip_prefix("burn-").filter(|backend| is_backend(backend) && !own);
            let enabled = features.iter().map(String::as_str).filter(|feature| is_backend(feature));
            itself.into_iter().chain(enabled).map(move |backend| format!("{name} names the backend {backend} ({used})"))
        });
    let by_feature = package
        .features
        .iter()
        .filter(|(feature, _)| name != BACKEND_CRATE || !is_backend(feature))
        .flat_map(|(feature, enabled)| {
            let enabled = enabled.iter().filter(|enabled| is_backend(enabled.rsplit('/').next().unwrap_or(enabled)));
            enabled.map(move |enabled| format!("{name} names the backend {enabled} (its feature {feature})"))
        });
    by_dependency.chain(by_feature).collect()
}

fn is_backend(feature: &str) -> bool {
    BACKENDS.contains(&feature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The violations of a package of cargo's metadata, in its JSON.
    fn check(json: &str) -> Vec<String> {
        violations(&serde_json::from_str(json).unwrap())
    }

    fn depends(user: &str, used: &str) -> Vec<String> {
        check(&format!(r#"{{"name": "{user}", "dependencies": [{{"name": "{used}", "kind": null}}]}}"#))
    }

    #[test]
    fn lower_layers_and_other_peoples_crates_are_allowed() {
        for (user, used) in [
            ("ae-clip", "ae-tensor"),
            ("ae-guidance", "ae-tensor"),
            ("ae-pipeline", "ae-unet"),
            ("ae-pipeline", "ae-guidance"),
            ("ae-cli", "ae-tensor"),
            ("ae-tests", "ae-cli"),
            ("ae-vae", "burn"),
        ] {
            assert_eq!(depends(user, used), [""; 0], "{user} -> {used}");
        }
    }

    #[test]
    fn the_list_goes_from_the_bottom_to_the_top() {
        for (place, (user, used)) in ALLOWED.iter().enumerate() {
            let below: Vec<&str> = ALLOWED[..place].iter().map(|(name, _)| *name).collect();
            assert!(
                used.iter().all(|used| below.contains(used)),
                "{user} uses a crate that is not above it in the list"
            );
            assert!(used.is_sorted(), "{user}");
        }
    }

    #[test]
    fn every_edge_that_is_not_listed_is_refused() {
        for (user, used) in [
            ("ae-unet", "ae-clip"),
            ("ae-tensor", "ae-vae"),
            ("ae-pipeline", "ae-cli"),
            ("ae-vae", "ae-vae"),
            ("ae-scheduler", "ae-tensor"),
            ("ae-guidance", "ae-unet"),
            ("ae-eval", "ae-pipeline"),
            ("ae-server", "ae-tensor"),
            ("ae-pipeline", "attend-and-excite"),
            ("ae-cli", "xtask"),
        ] {
            assert_eq!(depends(user, used), [format!("{user} -> {used}: which is not in ALLOWED")]);
        }
    }

    #[test]
    fn a_dev_dependency_is_an_edge_too() {
        let dev = |user: &str, used: &str| {
            check(&format!(r#"{{"name": "{user}", "dependencies": [{{"name": "{used}", "kind": "dev"}}]}}"#))
        };
        assert_eq!(dev("ae-vae", "ae-scheduler"), ["ae-vae -> ae-scheduler: which is not in ALLOWED"]);
        assert_eq!(dev("ae-scheduler", "ae-tensor"), [""; 0]);
    }

    #[test]
    fn a_crate_nobody_placed_is_refused() {
        assert_eq!(depends("ae-new", "ae-pipeline"), ["ae-new has no place in the layers: add it to ALLOWED"]);
    }

    #[test]
    fn a_library_that_names_a_backend_is_refused() {
        for (json, expected) in [
            (
                r#"{"name": "ae-vae", "dependencies": [{"name": "ae-tensor", "kind": null, "features": ["cpu"]}]}"#,
                "ae-vae names the backend cpu (ae-tensor)",
            ),
            (
                r#"{"name": "ae-tensor", "dependencies": [{"name": "burn", "kind": null, "features": ["std", "cuda"]}]}"#,
                "ae-tensor names the backend cuda (burn)",
            ),
            (
                r#"{"name": "ae-tensor", "dependencies": [{"name": "burn-wgpu", "kind": null}]}"#,
                "ae-tensor names the backend wgpu (burn-wgpu)",
            ),
            (
                r#"{"name": "ae-vae", "dependencies": [{"name": "burn-cuda", "kind": null, "optional": true}]}"#,
                "ae-vae names the backend cuda (burn-cuda)",
            ),
            (
                r#"{"name": "ae-unet", "dependencies": [{"name": "burn-flex", "kind": null}]}"#,
                "ae-unet names the backend flex (burn-flex)",
            ),
            (
                r#"{"name": "ae-pipeline", "dependencies": [], "features": {"gpu": ["ae-tensor/vulkan"]}}"#,
                "ae-pipeline names the backend ae-tensor/vulkan (its feature gpu)",
            ),
            (
                r#"{"name": "ae-tensor", "dependencies": [], "features": {"default": ["cpu"]}}"#,
                "ae-tensor names the backend cpu (its feature default)",
            ),
        ] {
            assert_eq!(check(json), [expected]);
        }
    }

    #[test]
    fn tests_the_backend_features_and_the_edge_may_name_one() {
        for json in [
            r#"{"name": "ae-vae", "dependencies": [{"name": "ae-tensor", "kind": "dev", "features": ["cpu"]}]}"#,
            r#"{"name": "ae-tensor", "dependencies": [], "features": {"cpu": ["burn/flex", "burn/simd"], "default": []}}"#,
            r#"{"name": "ae-tensor", "dependencies": [{"name": "burn-wgpu", "kind": null, "optional": true}]}"#,
            r#"{"name": "ae-cli", "dependencies": [], "features": {"default": ["cpu"], "cpu": ["ae-tensor/cpu"]}}"#,
            r#"{"name": "attend-and-excite", "dependencies": [], "features": {"default": ["cpu"], "cpu": ["ae-tensor/cpu"]}}"#,
        ] {
            assert_eq!(check(json), [""; 0]);
        }
    }

    /// Calls `look` with the path and the text, without its tests, of every source file of the libraries.
    fn each_source(look: &mut dyn FnMut(&std::path::Path, &str)) {
        fn walk(folder: &std::path::Path, look: &mut dyn FnMut(&std::path::Path, &str)) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, look);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    look(&path, text.split("#[cfg(test)]").next().unwrap_or_default());
                }
            }
        }
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        for entry in std::fs::read_dir(crates).unwrap().map(Result::unwrap) {
            walk(&entry.path().join("src"), look);
        }
    }

    /// A pipe would be waited for without end, a device has no end, and a length may be a lie: ae-files knows.
    #[test]
    fn files_of_others_are_opened_in_one_place() {
        const OTHERS: [&str; 5] =
            ["fs::read(", "fs::read_to_string(", "File::open(", "image::open(", "ImageReader::open("];
        let mut found = Vec::new();
        each_source(&mut |path, code| {
            let used = OTHERS.iter().filter(|other| code.contains(*other));
            found.extend(used.map(|other| format!("{}: {other}", path.display())));
        });
        // Allowed in ae-files, in what is in a file that is only of tests, in what begins with a test, and where the system's own files tell
        // the version of a driver (/sys) or the memory in use (/proc).
        let allowed = ["/ae-files/", "testing.rs", "/tests/", "/device/adapter.rs", "/ae-server/src/metrics.rs"];
        found.retain(|file| !allowed.iter().any(|allowed| file.contains(allowed)));
        assert_eq!(found, [""; 0], "use ae_files::{{open_file, read_file, read_text}}");
    }

    /// Whoever shows an error with its causes would show one twice. The errors of ae-cli are shown alone.
    #[test]
    fn errors_say_their_cause_or_return_it() {
        let mut found = Vec::new();
        each_source(&mut |path, code| {
            let mut lines = code.lines().enumerate().peekable();
            while let Some((number, line)) = lines.next() {
                let next = lines.peek().map_or("", |(_, next)| next);
                let from = line.contains("{0}") && (next.contains("(#[from]") || next.contains("(#[source]"));
                if line.contains("{source") || (line.contains("error(") && from) {
                    found.push(format!("{}:{}", path.display(), number + 1));
                }
            }
        });
        found.retain(|place| !place.contains("/ae-cli/"));
        assert_eq!(found, [""; 0], "name the field `cause`, and leave out #[from]");
    }
}
