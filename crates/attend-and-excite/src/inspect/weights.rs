//! A file with tensors.

use std::collections::BTreeMap;
use std::path::Path;

use ae_checkpoint::{Checkpoint, CheckpointKind, Embedding, Lora, SingleFile, StoredTensor};
use ae_pipeline::ModelSource;
use serde_json::Value;

use super::{Adapter, Inspection, Part, model};

/// The part of a training's metadata that counts the tags of its pictures.
const TAGS: &str = "ss_tag_frequency";
/// More groups of names than this tell nothing.
const MOST_GROUPS: usize = 64;

pub(super) fn look(path: &Path, inspection: &mut Inspection) {
    let checkpoint = match Checkpoint::open(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            kind_of_text(path).unwrap_or("a file without weights that can be read").clone_into(&mut inspection.kind);
            inspection.verdict = format!("cannot be used: {error}");
            return;
        }
    };
    let kind = CheckpointKind::of(&checkpoint);
    kind.description().clone_into(&mut inspection.kind);
    inspection.types = types(checkpoint.tensors().values());
    inspection.metadata = checkpoint.metadata().clone();
    inspection.training_tags = inspection.metadata.remove(TAGS).map(|tags| training_tags(&tags)).unwrap_or_default();
    let unusable = |error: &dyn std::error::Error| format!("cannot be used: {error}");
    match kind {
        CheckpointKind::StableDiffusion => return whole_model(path, &checkpoint, inspection),
        CheckpointKind::Lora | CheckpointKind::OtherAdapter => {
            let read = Lora::open(path).map(|lora| {
                inspection.adapter = Some(Adapter::of(&lora));
                inspection.notes.extend(lora.notes);
                let tokens: Vec<_> = lora.embeddings.iter().map(|bundled| format!("'{}'", bundled.token)).collect();
                let with = if tokens.is_empty() { String::new() } else { format!(", with {}", tokens.join(", ")) };
                format!("a LoRA: `--lora FILE` adds it to a model{with}")
            });
            inspection.verdict = read.unwrap_or_else(|error| unusable(&error));
        }
        CheckpointKind::Embedding => {
            let read = Embedding::open(path, None).map(|embeddings| {
                let said = embeddings.iter().map(|Embedding { token, vectors }| {
                    let (count, width) = (vectors.len(), vectors.first().map_or(0, Vec::len));
                    format!("the token '{token}' ({count} vector(s) of {width} numbers)")
                });
                format!("a textual inversion: `--embedding FILE` adds {}", said.collect::<Vec<_>>().join(", "))
            });
            inspection.verdict = read.unwrap_or_else(|error| unusable(&error));
        }
        CheckpointKind::Vae => {
            let read =
                SingleFile::vae_of(&checkpoint).map(|_| "an autoencoder: `--vae FILE` replaces a model's".to_owned());
            inspection.verdict = read.unwrap_or_else(|error| unusable(&error));
        }
        _ => {
            let error = SingleFile::split(&checkpoint).err();
            inspection.verdict = error.map_or_else(String::new, |error| unusable(&error));
        }
    }
    inspection.parts = groups(&checkpoint).collect();
    if inspection.parts.len() > MOST_GROUPS {
        inspection.parts = vec![part("tensors", checkpoint.tensors().values())];
    }
}

/// A checkpoint in the original layout: the networks, and the groups of tensors that are in none of them.
fn whole_model(path: &Path, checkpoint: &Checkpoint, inspection: &mut Inspection) {
    model::look(&ModelSource::File(path.to_owned()), inspection);
    CheckpointKind::StableDiffusion.description().clone_into(&mut inspection.kind);
    let names = |checkpoint: &Checkpoint| {
        let SingleFile { unet, text_encoder, vae, .. } = SingleFile::split(checkpoint).ok()?;
        let names = |network: &Checkpoint| network.tensors().keys().cloned().collect::<Vec<_>>();
        Some((names(&unet), names(&text_encoder), vae.as_ref().map(names)))
    };
    let all = names(checkpoint);
    let groups: Vec<_> = groups(checkpoint).collect();
    if groups.len() > MOST_GROUPS {
        inspection.notes.push(format!(
            "its tensors have {} kinds of names: which of them are not used is not looked for",
            groups.len()
        ));
        return;
    }
    // What can be left out without a change is not used, whatever its name.
    let is_ignored = |group: &&Part| all.is_some() && names(&checkpoint.clone().without(&group.name)) == all;
    let ignored = groups.iter().filter(is_ignored);
    inspection.ignored = ignored.map(|group| format!("{} ({} tensors)", group.name, group.tensors)).collect();
}

/// The tensors by the beginnings of their names, up to the first dot.
fn groups(checkpoint: &Checkpoint) -> impl Iterator<Item = Part> {
    let mut groups: BTreeMap<&str, Vec<&StoredTensor>> = BTreeMap::new();
    for (name, tensor) in checkpoint.tensors() {
        let end = name.find('.').map_or(name.len(), |dot| dot + 1);
        groups.entry(&name[..end]).or_default().push(tensor);
    }
    groups.into_iter().map(|(name, tensors)| part(name, tensors))
}

/// What some tensors are together.
pub(super) fn part<'a>(name: &str, tensors: impl IntoIterator<Item = &'a StoredTensor> + Clone) -> Part {
    Part {
        name: name.to_owned(),
        parameters: tensors.clone().into_iter().fold(0, |sum: usize, tensor| sum.saturating_add(tensor.num_elements())),
        tensors: tensors.clone().into_iter().count(),
        types: types(tensors).into_keys().collect(),
        ..Part::default()
    }
}

/// How many tensors there are of each type.
pub(super) fn types<'a>(tensors: impl IntoIterator<Item = &'a StoredTensor>) -> BTreeMap<String, usize> {
    let mut types = BTreeMap::new();
    for tensor in tensors {
        *types.entry(format!("{:?}", tensor.element()).to_lowercase()).or_default() += 1;
    }
    types
}

/// `{"FOLDER": {"TAG": COUNT}}`, as kohya's trainer writes it, summed over the folders.
fn training_tags(text: &str) -> Vec<(String, u64)> {
    let Ok(Value::Object(folders)) = serde_json::from_str(text) else { return Vec::new() };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (tag, count) in folders.iter().filter_map(|(_, tags)| tags.as_object()).flatten() {
        let sum = counts.entry(tag.trim().to_owned()).or_default();
        *sum = sum.saturating_add(count.as_u64().unwrap_or(0));
    }
    let mut tags: Vec<_> = counts.into_iter().collect();
    tags.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    tags
}

/// What a file of text is, by its ending.
fn kind_of_text(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "json" => Some("a JSON text"),
        "yaml" | "yml" => Some("a YAML text"),
        "txt" | "md" => Some("a text"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A safetensors file of tensors of one number each.
    fn file(names: &[&str], metadata: &Value) -> (tempfile::TempDir, std::path::PathBuf) {
        let mut header = serde_json::Map::new();
        for (index, name) in names.iter().enumerate() {
            let offsets = [index * 2, index * 2 + 2];
            header
                .insert((*name).to_owned(), serde_json::json!({"dtype": "F16", "shape": [1], "data_offsets": offsets}));
        }
        if !metadata.is_null() {
            header.insert("__metadata__".to_owned(), metadata.clone());
        }
        let header = Value::Object(header).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + 2 * names.len(), 0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn look_at(names: &[&str], metadata: &Value) -> Inspection {
        let (_folder, path) = file(names, metadata);
        crate::inspect(path.to_str().unwrap()).unwrap()
    }

    #[test]
    fn a_lora_has_the_tags_it_was_trained_with() {
        let tags = r#"{"10_a": {"cat": 2, "dog ": 5}, "1_b": {"cat": 4, "x": "?"}}"#;
        let metadata = serde_json::json!({"ss_tag_frequency": tags, "ss_network_dim": "8", "modelspec.title": "Ink"});
        let name = "lora_unet_mid_block_attentions_0_proj_in";
        let (down, up) = (format!("{name}.lora_down.weight"), format!("{name}.lora_up.weight"));
        let found = look_at(&[&down, &up], &metadata);
        assert_eq!(found.kind, "a LoRA");
        assert_eq!(found.training_tags, [("cat".to_owned(), 6), ("dog".to_owned(), 5), ("x".to_owned(), 0)]);
        assert_eq!(found.metadata["ss_network_dim"], "8");
        assert!(!found.metadata.contains_key(TAGS));
        assert_eq!(found.types["f16"], 2);
        let adapter = serde_json::json!(found.adapter);
        let expected =
            serde_json::json!({"networks": {"U-Net": 1}, "kinds": {"LoRA": 1}, "ranks": {"1": 1}, "alphas": {"1": 1}});
        assert_eq!(adapter, expected);
        assert_eq!(found.hashes["a1111_tensors"].len(), 12);
        let text = found.to_string();
        for part in [
            "  changes: U-Net (1)\n  kinds: LoRA (1)\n  ranks: 1 (1)\n  alphas: 1 (1)\n",
            "cat (6), dog (5)",
            "ss_network_dim: 8",
            "modelspec.title: Ink",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn models_that_cannot_be_drawn_with_are_described() {
        for (names, kind) in [
            (vec!["joint_blocks.0.x", "context_embedder.x"], "a Stable Diffusion 3 checkpoint"),
            (vec!["double_blocks.0.img_attn.x", "single_blocks.0.x"], "a Flux checkpoint"),
            (vec!["control_model.x", "model.diffusion_model.input_blocks.0.x"], "a ControlNet"),
            (vec!["layers.0.weight"], "no checkpoint of a known kind"),
        ] {
            let found = look_at(&names, &Value::Null);
            assert_eq!((found.kind.as_str(), found.parts.len()), (kind, names.len()));
            assert!(found.verdict.starts_with("cannot be used"), "{}", found.verdict);
            assert_eq!(found.family, None);
        }
    }

    #[test]
    fn what_no_network_takes_is_ignored() {
        let names = [
            "alphas_cumprod",
            "cond_stage_model.transformer.text_model.final_layer_norm.weight",
            "first_stage_model.quant_conv.weight",
            "model.diffusion_model.input_blocks.0.0.weight",
            "model.diffusion_model.out.2.weight",
            "model_ema.decay",
            "model_ema.x",
        ];
        let found = look_at(&names, &Value::Null);
        assert_eq!(found.kind, "a Stable Diffusion checkpoint");
        assert_eq!(found.ignored, ["alphas_cumprod (1 tensors)", "model_ema. (2 tensors)"]);
    }

    #[test]
    fn damaged_metadata_is_no_error() {
        for tags in ["", "[]", "{", r#"{"a": 3}"#, r#"{"a": {"b": -1}}"#] {
            let counts = training_tags(tags);
            assert!(counts.iter().all(|(_, count)| *count == 0), "{tags}: {counts:?}");
        }
    }

    #[test]
    fn foreign_texts_are_shown_without_control_characters() {
        let found = look_at(&["a\u{1b}[31m.x"], &serde_json::json!({"title\u{7}": "\u{1b}]0;x\u{7}"}));
        assert!(!found.to_string().contains(['\u{1b}', '\u{7}']));
    }
}
