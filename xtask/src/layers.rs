use crate::failure::Failure;
use crate::metadata::{Dependency, Package, packages};

/// The crates from the bottom to the top. A crate may depend on crates of lower layers only.
const LAYERS: [&[&str]; 9] = [
    &["ae-config", "ae-settings"],
    &["ae-checkpoint", "ae-figures", "ae-files", "ae-hub", "ae-kernels", "ae-phrases"],
    &["ae-tensor"],
    &["ae-clip", "ae-scheduler", "ae-unet", "ae-vae"],
    &["ae-guidance", "ae-vision"],
    &["ae-pipeline"],
    &["ae-eval", "ae-server"],
    &["attend-and-excite"],
    &["ae-cli"],
];

/// Crates that may use all others and that none may use.
const OUTSIDE: [&str; 2] = ["ae-tests", "xtask"];

/// Edges that the layers would allow, and why they must not be.
const FORBIDDEN: [(&str, &str, &str); 1] =
    [("ae-guidance", "ae-unet", "guidance works on any model of cross-attention, not on one U-Net")];

/// The crate whose features are the backends.
const BACKEND_CRATE: &str = "ae-tensor";
/// The crate that chooses one.
const EDGE: &str = "ae-cli";
/// The features, of burn and of `ae-tensor`, that bring a backend.
const BACKENDS: [&str; 11] =
    ["cpu", "cuda", "flex", "metal", "ndarray", "remote", "rocm", "tch", "vulkan", "webgpu", "wgpu"];

/// The crates that are published: all layers below the command line.
pub(crate) fn library_crates() -> impl Iterator<Item = &'static str> {
    LAYERS.into_iter().flatten().copied().filter(|name| *name != EDGE)
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
    if OUTSIDE.contains(&package.name.as_str()) {
        return Vec::new();
    }
    let Some(layer) = layer(&package.name) else {
        return vec![format!("{} has no place in the layers: add it to LAYERS", package.name)];
    };
    let edges = package.dependencies.iter().filter_map(|dependency| forbidden_edge(&package.name, layer, dependency));
    edges.chain(named_backends(package)).collect()
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Why a crate of the workspace must not be a dependency, dev-dependencies included.
fn forbidden_edge(user: &str, user_layer: usize, dependency: &Dependency) -> Option<String> {
    let used = dependency.name.as_str();
    let reason = if OUTSIDE.contains(&used) {
        "which is outside the layers"
    } else if let Some((.., reason)) = FORBIDDEN.iter().find(|(from, to, _)| (*from, *to) == (user, used)) {
        reason
    } else if layer(used).is_some_and(|used_layer| used_layer >= user_layer) {
        "which is not in a lower layer"
    } else {
        return None;
    };
    Some(format!("{user} -> {used}: {reason}"))
}

/// The backends a library decides on, which is for the program at the edge to do. Tests need one, so
/// dev-dependencies may.
fn named_backends(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    if name == EDGE {
        return Vec::new();
    }
    let by_dependency = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
        .flat_map(|Dependency { name: used, features, .. }| {
            let itself = used.strip_prefix("burn-").filter(|backend| is_backend(backend));
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
    fn siblings_and_higher_layers_are_refused() {
        for (user, used) in
            [("ae-unet", "ae-clip"), ("ae-tensor", "ae-vae"), ("ae-pipeline", "ae-cli"), ("ae-vae", "ae-vae")]
        {
            assert_eq!(depends(user, used), [format!("{user} -> {used}: which is not in a lower layer")]);
        }
        assert_eq!(depends("ae-cli", "xtask"), ["ae-cli -> xtask: which is outside the layers"]);
    }

    #[test]
    fn a_dev_dependency_is_an_edge_too() {
        let json = r#"{"name": "ae-vae", "dependencies": [{"name": "ae-scheduler", "kind": "dev"}]}"#;
        assert_eq!(check(json), ["ae-vae -> ae-scheduler: which is not in a lower layer"]);
    }

    #[test]
    fn guidance_must_not_know_the_unet() {
        let violations = depends("ae-guidance", "ae-unet");
        assert!(matches!(&violations[..], [one] if one.starts_with("ae-guidance -> ae-unet: guidance works on any")));
    }

    #[test]
    fn a_crate_nobody_placed_is_refused() {
        assert_eq!(depends("ae-new", "ae-pipeline"), ["ae-new has no place in the layers: add it to LAYERS"]);
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
            r#"{"name": "ae-cli", "dependencies": [], "features": {"default": ["cpu"], "cpu": ["ae-tensor/cpu"]}}"#,
        ] {
            assert_eq!(check(json), [""; 0]);
        }
    }
}
