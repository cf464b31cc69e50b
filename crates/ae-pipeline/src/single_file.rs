//! What a single-file checkpoint leaves unsaid: its sampler, and what its U-Net predicts.

use std::path::Path;

use ae_checkpoint::{Checkpoint, Family, SingleFile};
use ae_scheduler::PredictionType;
use serde_json::{Value, json};

use crate::LoadError;

/// A single-file checkpoint as a model folder.
#[derive(Debug)]
pub(crate) struct SingleFileModel {
    pub(crate) networks: SingleFile,
    /// `unet/config.json`
    pub(crate) unet_config: String,
    /// `scheduler/scheduler_config.json`
    pub(crate) scheduler_config: String,
    /// What had to be guessed.
    pub(crate) notice: Option<String>,
}

impl SingleFileModel {
    pub(crate) fn open(path: &Path, chosen: Option<PredictionType>) -> Result<Self, LoadError> {
        let checkpoint = Checkpoint::open(path)?;
        let networks = SingleFile::split(&checkpoint)?;
        let (prediction, notice) = match (networks.family, chosen) {
            (_, Some(chosen)) => (chosen, None),
            (Family::StableDiffusion1, None) => (PredictionType::Epsilon, None),
            (Family::StableDiffusion2, None) => stable_diffusion_2(path, &checkpoint),
        };
        let unet_config = unet_config(&networks.unet.config, networks.family, prediction);
        let scheduler_config = scheduler_config(networks.family, prediction);
        Ok(Self { networks, unet_config, scheduler_config, notice })
    }
}

/// What the U-Net of a Stable Diffusion 2 file predicts: nothing in its tensors tells.
fn stable_diffusion_2(path: &Path, checkpoint: &Checkpoint) -> (PredictionType, Option<String>) {
    /// Training steps of `512-base-ema.ckpt`, by which diffusers' converter knows the model that predicts noise.
    const BASE_STEPS: &str = "875000";
    // The original repository's config, under the name of the checkpoint as AUTOMATIC1111's program has it.
    if let Ok(yaml) = std::fs::read_to_string(path.with_extension("yaml")) {
        let says_velocity = yaml.lines().any(|line| {
            let line: String = line.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'')).collect();
            line == "parameterization:v"
        });
        return (if says_velocity { PredictionType::VPrediction } else { PredictionType::Epsilon }, None);
    }
    if checkpoint.metadata().get("global_step").is_some_and(|steps| steps == BASE_STEPS) {
        return (PredictionType::Epsilon, None);
    }
    let notice = format!(
        "'{}' does not say what its U-Net predicts; v_prediction is assumed, as in Stable Diffusion 2.1 for 768 pixels. \
         If the pictures are noise, use --prediction-type epsilon",
        path.display()
    );
    (PredictionType::VPrediction, Some(notice))
}

/// The config with the size of pictures: Stable Diffusion 2 was trained on 768 pixels where it predicts the
/// velocity.
fn unet_config(text: &str, family: Family, prediction: PredictionType) -> String {
    let mut config: Value = serde_json::from_str(text).expect("a config just written");
    if family == Family::StableDiffusion2 && prediction == PredictionType::VPrediction {
        config["sample_size"] = json!(96);
    }
    config.to_string()
}

/// The samplers and the noise schedule that the folders of the two generations have on the hub.
fn scheduler_config(family: Family, prediction: PredictionType) -> String {
    let class_name = match family {
        Family::StableDiffusion1 => "PNDMScheduler",
        Family::StableDiffusion2 => "DDIMScheduler",
    };
    let config = json!({
        "_class_name": class_name,
        "num_train_timesteps": 1000,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "prediction_type": prediction.name(),
        "set_alpha_to_one": false,
        "skip_prk_steps": true,
        "steps_offset": 1,
        "clip_sample": false,
    });
    config.to_string()
}
