use std::path::{Path, PathBuf};

/// A path below `tests/fixtures`.
pub fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// The embedded model's folder.
pub fn sprites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sprites")
}

/// The folder of the model a case names.
pub fn model(name: &str) -> PathBuf {
    if name == "sprites" { sprites() } else { fixtures("models").join(name) }
}
