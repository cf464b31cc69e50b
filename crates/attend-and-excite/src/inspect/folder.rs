//! A folder: a model, or files.

use std::fs;
use std::io;
use std::path::Path;

use ae_checkpoint::{Checkpoint, CheckpointKind, Lora, LoraFiles};
use ae_pipeline::ModelSource;

use super::{Inspection, Part, model, weights};

/// More files than this are not looked at one by one.
const MOST_FILES: usize = 1000;
/// What a model's folder is known by, and what is read of it.
const MODEL: [&str; 7] =
    ["model_index.json", "attend_and_excite.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae"];

pub(super) fn look(path: &Path, inspection: &mut Inspection) -> io::Result<()> {
    let mut names: Vec<String> =
        fs::read_dir(path)?.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    inspection.bytes = bytes(path, 0);
    if path.join("model_index.json").is_file() || path.join("unet").is_dir() {
        model::look(&ModelSource::folder(path), inspection);
        inspection.ignored = names.into_iter().filter(|name| !MODEL.contains(&name.as_str())).collect();
        return Ok(());
    }
    if let Ok(LoraFiles { weights, config, .. }) = Lora::files(path) {
        weights::look(&weights, inspection);
        let read = [Some(weights), config].into_iter().flatten();
        let read: Vec<_> = read.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        inspection.notes.push(format!("of the folder is read: {}", read.join(", ")));
        inspection.ignored = names.into_iter().filter(|name| !read.contains(name)).collect();
        return Ok(());
    }
    "a folder of files".clone_into(&mut inspection.kind);
    "is no model; each file can be looked at by itself".clone_into(&mut inspection.verdict);
    if names.len() > MOST_FILES {
        inspection.notes.push(format!("only the first {MOST_FILES} of {} files are listed", names.len()));
        names.truncate(MOST_FILES);
    }
    let files = names.into_iter().filter(|name| path.join(name).is_file());
    inspection.parts = files.map(|name| file(path, name)).collect();
    Ok(())
}

/// A file in a folder; of weights, what they are.
fn file(folder: &Path, name: String) -> Part {
    match Checkpoint::open(folder.join(&name)) {
        Ok(checkpoint) => {
            let kind = Some(CheckpointKind::of(&checkpoint).description().to_owned());
            Part { kind, ..weights::part(&name, checkpoint.tensors().values()) }
        }
        Err(_) => Part { name, ..Part::default() },
    }
}

/// The bytes of the files in a folder; links count as what they lead to.
fn bytes(folder: &Path, depth: usize) -> u64 {
    const DEEPEST: usize = 8;
    let size = |path: std::path::PathBuf| match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() && depth < DEEPEST => bytes(&path, depth + 1),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    };
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| size(entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_whole_model_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("unet")).unwrap();
        fs::create_dir_all(folder.path().join("safety_checker")).unwrap();
        fs::write(folder.path().join("README.md"), "read me").unwrap();
        let found = crate::inspect(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(found.kind, "a model in diffusers' layout");
        assert!(
            found.verdict.starts_with("cannot be drawn with") && found.verdict.contains("unet/config.json"),
            "{}",
            found.verdict
        );
        assert_eq!(found.ignored, ["README.md", "safety_checker"]);
        assert_eq!(found.bytes, 7);
    }

    #[test]
    fn a_folder_of_another_family_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let index = r#"{"_class_name": "StableDiffusionXLPipeline"}"#;
        fs::write(folder.path().join("model_index.json"), index).unwrap();
        let found = crate::inspect(folder.path().to_str().unwrap()).unwrap();
        assert!(found.verdict.contains("a Stable Diffusion XL model"), "{}", found.verdict);
    }

    #[test]
    fn a_folder_of_an_adapter_is_a_lora() {
        let folder = tempfile::tempdir().unwrap();
        let name = "base_model.model.mid_block.attentions.0.proj_in.lora_";
        let header = serde_json::json!({
            format!("{name}A.weight"): {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},
            format!("{name}B.weight"): {"dtype": "F16", "shape": [3, 2], "data_offsets": [12, 24]},
        })
        .to_string();
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 24]].concat();
        fs::write(folder.path().join("adapter_model.safetensors"), file).unwrap();
        fs::write(folder.path().join("adapter_config.json"), r#"{"r": 2, "lora_alpha": 3, "use_rslora": false}"#)
            .unwrap();
        fs::write(folder.path().join("README.md"), "read me").unwrap();
        let found = crate::inspect(folder.path().to_str().unwrap()).unwrap();
        assert_eq!((found.kind.as_str(), &*found.ignored), ("a LoRA", ["README.md".to_owned()].as_slice()));
        let adapter = found.adapter.unwrap();
        assert_eq!(adapter.alphas.keys().collect::<Vec<_>>(), ["3"]);
        assert_eq!(found.notes, ["of the folder is read: adapter_model.safetensors, adapter_config.json"]);
    }

    #[test]
    fn a_folder_of_files_is_a_list() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "x").unwrap();
        let empty = [&2_u64.to_le_bytes()[..], b"{}"].concat();
        fs::write(folder.path().join("b.safetensors"), empty).unwrap();
        let found = crate::inspect(folder.path().to_str().unwrap()).unwrap();
        let parts: Vec<_> = found.parts.iter().map(|part| (part.name.as_str(), part.kind.as_deref())).collect();
        assert_eq!(parts, [("a.txt", None), ("b.safetensors", Some("no checkpoint of a known kind"))]);
    }
}
