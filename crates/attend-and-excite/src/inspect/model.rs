//! A model that can be drawn with, or nearly.

use ae_checkpoint::Checkpoint;
use ae_pipeline::{Family, KnownPreset, LoadError, ModelFiles, ModelSource, check_model, open_model};
use serde_json::Value;

use super::{Inspection, Part, weights};
use crate::FileHashes;

/// The name of a U-Net that also sees a mask.
const INPAINTING: &str = "U-Net for inpainting";

/// Looks at the networks of a model, its sampler and its settings.
pub(super) fn look(source: &ModelSource, inspection: &mut Inspection) {
    "a model in diffusers' layout".clone_into(&mut inspection.kind);
    if let ModelSource::Embedded(model) = source {
        "the model compiled in".clone_into(&mut inspection.kind);
        inspection.bytes = model.files.iter().map(|(_, content)| content.len() as u64).sum();
    }
    let opened = open_model(source, false, None, None);
    let checked = match opened {
        Ok(files) => {
            describe(&*files, inspection);
            check_model(source, &*files)
        }
        Err(error) => Err(error),
    };
    let can = if inspection.parts.iter().any(|part| part.name == INPAINTING) {
        "can be drawn with; made to draw a part of a picture anew (`--init-image` with `--mask`)"
    } else {
        "can be drawn with"
    };
    inspection.verdict = checked.map_or_else(|error| format!("cannot be drawn with: {error}"), |()| can.to_owned());
}

/// What can be told of each part; what cannot is left to the verdict.
fn describe(files: &dyn ModelFiles, inspection: &mut Inspection) {
    inspection.family = files.family().ok().map(|family| {
        match family {
            Family::StableDiffusion1 => "Stable Diffusion 1",
            Family::StableDiffusion2 => "Stable Diffusion 2",
            _ => "another",
        }
        .to_owned()
    });
    let networks = [
        ("text encoder", files.text_encoders().map(|encoders| encoders.into_iter().map(|part| part.weights).collect())),
        (unet_name(files), files.unet().map(|part| vec![part.weights])),
        ("autoencoder", files.vae().map(|part| vec![part.weights])),
    ];
    for (name, weights) in networks {
        let weights: Result<Vec<Checkpoint>, LoadError> = weights;
        inspection.parts.extend(weights.into_iter().flatten().map(|weights| network(name, &weights)));
    }
    let mut default = |name, value: Option<Value>| inspection.defaults.extend(value.map(|value| (name, value)));
    let json = |value: &dyn std::fmt::Display| Some(Value::from(value.to_string()));
    if let Ok(scheduler) = files.scheduler() {
        default("sampler", scheduler.kind().ok().and_then(|kind| json(&kind)));
        default("prediction_type", json(&scheduler.prediction_type()));
    }
    if let (Ok(unet), Ok(vae)) = (files.unet(), files.vae()) {
        let [height, width] = unet.config.sample_size.map(|side| side.saturating_mul(vae.config.scale()));
        default("width", Some(width.into()));
        default("height", Some(height.into()));
    }
    if let (Ok(unet), Ok(scheduler), Ok(family)) = (files.unet(), files.scheduler(), files.family()) {
        let known = KnownPreset::by_configs(&unet.config, &scheduler, family);
        default("preset", known.and_then(|known| json(&format!("{}, because {}", known.preset, known.reason))));
    }
    if let Ok(defaults) = files.defaults() {
        default("steps", defaults.settings.steps.map(Value::from));
        default("guidance_scale", defaults.settings.guidance_scale.map(Value::from));
    }
    inspection.notes.extend(files.notice());
}

/// What the U-Net is called: one for inpainting sees a mask and the latents of an image beside its own.
fn unet_name(files: &dyn ModelFiles) -> &'static str {
    if files.unet().is_ok_and(|unet| unet.config.is_inpainting()) { INPAINTING } else { "U-Net" }
}

fn network(name: &str, weights: &Checkpoint) -> Part {
    let hashes = FileHashes::from_env();
    let hash = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Some((name, hashes.sha256(path).ok()?))
    };
    Part { files: weights.files().iter().filter_map(hash).collect(), ..weights::part(name, weights.tensors().values()) }
}
