//! A single-file checkpoint, and what it leaves unsaid: its tokenizer, its sampler, and what its U-Net predicts.

use std::path::Path;

use ae_checkpoint::{Checkpoint, Family, SingleFile};
use ae_clip::{ClipTextModelConfig, ClipTokenizer};
use ae_scheduler::{PredictionType, SchedulerConfig};
use ae_tensor::Component;
use ae_unet::UNetConfig;
use ae_vae::VaeConfig;

use crate::LoadError;
use crate::model_files::ModelFiles;

/// One file in the original layout (CompVis, Stability AI).
pub(crate) struct SingleFileModel {
    name: String,
    networks: SingleFile,
    prediction: PredictionType,
    /// What had to be guessed.
    notice: Option<String>,
}

impl SingleFileModel {
    /// Opens a file; only the names and shapes are read.
    pub(crate) fn open(path: &Path, chosen: Option<PredictionType>) -> Result<Self, LoadError> {
        let checkpoint = Checkpoint::open(path)?;
        let networks = SingleFile::split(&checkpoint)?;
        let (prediction, notice) = match (networks.family, chosen) {
            (_, Some(chosen)) => (chosen, None),
            (Family::StableDiffusion2, None) => stable_diffusion_2(path, &checkpoint),
            _ => (PredictionType::Epsilon, None),
        };
        Ok(Self { name: path.display().to_string(), networks, prediction, notice })
    }
}

impl ModelFiles for SingleFileModel {
    fn family(&self) -> Result<Family, LoadError> {
        Ok(self.networks.family)
    }

    /// CLIP's: the file has none of its own.
    fn tokenizers(&self) -> Result<Vec<ClipTokenizer>, LoadError> {
        Ok(vec![match self.networks.family {
            Family::StableDiffusion1 => ClipTokenizer::stable_diffusion_1(),
            _ => ClipTokenizer::stable_diffusion_2(),
        }])
    }

    fn text_encoders(&self) -> Result<Vec<Component<ClipTextModelConfig>>, LoadError> {
        let weights = self.networks.text_encoder.clone();
        Ok(vec![Component { config: ClipTextModelConfig::from_weights(&weights, self.networks.family)?, weights }])
    }

    fn unet(&self) -> Result<Component<UNetConfig>, LoadError> {
        let weights = self.networks.unet.clone();
        let mut config = UNetConfig::from_weights(&weights, self.networks.family)?;
        // Stable Diffusion 2 was trained on 768 pixels where it predicts the velocity.
        if (self.networks.family, self.prediction) == (Family::StableDiffusion2, PredictionType::VPrediction) {
            config.sample_size = UNetConfig::stable_diffusion_2().sample_size;
        }
        Ok(Component { config, weights })
    }

    fn vae(&self) -> Result<Component<VaeConfig>, LoadError> {
        let weights = self.networks.vae.clone().ok_or_else(|| LoadError::NoVae { model: self.name.clone() })?;
        Ok(Component { config: VaeConfig::from_weights(&weights)?, weights })
    }

    /// Sampler and noise schedule of the folder that the generation has on the hub.
    fn scheduler(&self) -> Result<SchedulerConfig, LoadError> {
        let scheduler = match self.networks.family {
            Family::StableDiffusion1 => SchedulerConfig::stable_diffusion_1(),
            _ => SchedulerConfig::stable_diffusion_2(),
        };
        Ok(scheduler.with_prediction_type(self.prediction))
    }

    fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }
}

/// What the U-Net of a Stable Diffusion 2 file predicts: nothing in its tensors tells.
fn stable_diffusion_2(path: &Path, checkpoint: &Checkpoint) -> (PredictionType, Option<String>) {
    /// Training steps of `512-base-ema.ckpt`, by which diffusers' converter knows the model that predicts noise.
    const BASE_STEPS: &str = "875000";
    // The original repository's config, under the name of the checkpoint as AUTOMATIC1111's program has it.
    if let Ok(yaml) = ae_files::read_text(&path.with_extension("yaml"), 1 << 20) {
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
         If the images are noise, set the prediction type to epsilon",
        path.display()
    );
    (PredictionType::VPrediction, Some(notice))
}
