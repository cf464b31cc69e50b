//! Fixtures as the tests read them. They are committed compressed where that saves much, and the small model of the kind of Stable
//! Diffusion 2 without weights: they are those of the other (`tests/reference/packing.py`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ae_files::write_file;
use flate2::read::GzDecoder;
use serde_json::Value;

/// The folder of whole files, which is brought up to date once per process.
static UNPACKED: LazyLock<PathBuf> = LazyLock::new(|| {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unpacked = tests.join("../target/fixtures");
    unpack(&tests.join("fixtures"), &unpacked).unwrap_or_else(|error| panic!("{}: {error}", unpacked.display()));
    unpacked
});

/// A path below `tests/fixtures`, of the whole file.
///
/// # Panics
///
/// When the fixtures cannot be unpacked.
pub fn fixtures(path: &str) -> PathBuf {
    UNPACKED.join(path)
}

/// The embedded model's folder.
pub fn sprites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sprites")
}

/// The folder of the model a case names.
pub fn model(name: &str) -> PathBuf {
    if name == "sprites" { sprites() } else { fixtures("models").join(name) }
}

/// Makes the small model for inpainting in a folder: sd1 with a U-Net of nine channels.
///
/// # Panics
///
/// When a file cannot be written.
pub fn inpainting_model(folder: &Path) {
    for (source, inside) in [(model("sd1"), ""), (fixtures("convenience/inpainting/unet"), "unet")] {
        for path in files(&source).expect("the files of a model") {
            let to = folder.join(inside).join(path.strip_prefix(&source).expect("a file in the folder"));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder of the model");
            fs::copy(&path, &to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
        }
    }
}

/// How a whole file is made of a committed one.
#[derive(Clone, Copy)]
enum Packing {
    Plain,
    Gzip,
    /// Weights of sd1, of which those of sd2 are made.
    Sd1Gzip,
}

impl Packing {
    fn whole(self, committed: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Plain => File::open(committed)?.read_to_end(&mut bytes)?,
            Self::Gzip | Self::Sd1Gzip => GzDecoder::new(File::open(committed)?).read_to_end(&mut bytes)?,
        };
        Ok(if matches!(self, Self::Sd1Gzip) { as_sd2(&bytes) } else { bytes })
    }
}

/// Makes a folder hold the whole files of the committed ones and no others.
fn unpack(committed: &Path, unpacked: &Path) -> io::Result<()> {
    fs::create_dir_all(unpacked)?;
    // Every test is a process of its own.
    let lock = File::create(unpacked.with_extension("lock"))?;
    lock.lock()?;
    let mut wanted = BTreeMap::new();
    for path in files(committed)? {
        let relative = path.strip_prefix(committed).expect("a file in the folder").to_owned();
        if relative.extension().is_none_or(|extension| extension != "gz") {
            wanted.insert(relative, (path, Packing::Plain));
            continue;
        }
        let name = relative.with_extension("");
        if let Ok(weights) = name.strip_prefix("models/sd1")
            && name.extension().is_some_and(|extension| extension == "safetensors")
        {
            wanted.insert(Path::new("models/sd2").join(weights), (path.clone(), Packing::Sd1Gzip));
        }
        wanted.insert(name, (path, Packing::Gzip));
    }
    for stale in files(unpacked)? {
        if !wanted.contains_key(stale.strip_prefix(unpacked).expect("a file in the folder")) {
            fs::remove_file(stale)?;
        }
    }
    for (name, (source, packing)) in wanted {
        let path = unpacked.join(name);
        let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
        if !path.exists() || changed(&path)? < changed(&source)? {
            let whole = packing.whole(&source)?;
            write_file(&path, |file| file.write_all(&whole))?;
        }
    }
    Ok(())
}

/// All files below a folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { found.extend(files(&entry.path())?) } else { found.push(entry.path()) }
    }
    Ok(found)
}

/// Weights of sd1 in the shapes of sd2: its `proj_in` and `proj_out` are linear layers, not convolutions of one pixel.
fn as_sd2(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk().expect("a safetensors file");
    let (header, data) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).expect("a short header"));
    let mut header: BTreeMap<String, Value> = serde_json::from_slice(header).expect("a header");
    for (name, entry) in &mut header {
        if (name.ends_with("proj_in.weight") || name.ends_with("proj_out.weight"))
            && let Some(Value::Array(shape)) = entry.get_mut("shape")
        {
            shape.truncate(2);
        }
    }
    let mut header = serde_json::to_vec(&header).expect("JSON");
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()
}
