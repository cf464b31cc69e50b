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
use crate::original_config::OriginalConfig;

/// One file in the original layout (CompVis, Stability AI).
pub(crate) struct SingleFileModel {
    name: String,
    networks: SingleFile,
    /// The YAML beside the file.
    original: Option<OriginalConfig>,
    prediction: PredictionType,
    /// What had to be guessed, and what is not used.
    notice: Option<String>,
}

impl SingleFileModel {
    /// Opens a file; only the names and shapes are read. What the U-Net predicts is what was `chosen`, else what the YAML
    /// beside the file says, as in AUTOMATIC1111's program.
    pub(crate) fn open(path: &Path, chosen: Option<PredictionType>) -> Result<Self, LoadError> {
        let checkpoint = Checkpoint::open(path)?;
        let networks = SingleFile::split(&checkpoint)?;
        let original = OriginalConfig::beside(path)?;
        let unused = original.as_ref().and_then(|original| original.notice(networks.family));
        let (prediction, guess) = match (chosen, &original, networks.family) {
            (Some(chosen), ..) => (chosen, None),
            (None, Some(original), _) => (original.prediction()?, None),
            (None, None, Family::StableDiffusion2) => stable_diffusion_2(path, &checkpoint, &networks.unet),
            _ => (PredictionType::Epsilon, None),
        };
        let notices: Vec<String> = guess.into_iter().chain(unused).collect();
        let notice = (!notices.is_empty()).then(|| notices.join(". "));
        Ok(Self { name: path.display().to_string(), networks, original, prediction, notice })
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
        if let Some(original) = &self.original {
            config = original.apply_to_unet(config)?;
        }
        Ok(Component { config, weights })
    }

    fn vae(&self) -> Result<Component<VaeConfig>, LoadError> {
        let weights = self.networks.vae.clone().ok_or_else(|| LoadError::NoVae { model: self.name.clone() })?;
        let mut config = VaeConfig::from_weights(&weights)?;
        if let Some(original) = &self.original {
            original.apply_to_vae(&mut config)?;
        }
        Ok(Component { config, weights })
    }

    /// Sampler and noise schedule of the folder that the generation has on the hub.
    fn scheduler(&self) -> Result<SchedulerConfig, LoadError> {
        let scheduler = match self.networks.family {
            Family::StableDiffusion1 => SchedulerConfig::stable_diffusion_1(),
            _ => SchedulerConfig::stable_diffusion_2(),
        };
        let scheduler = match &self.original {
            Some(original) => original.schedule(&scheduler)?,
            None => scheduler,
        };
        Ok(scheduler.with_prediction_type(self.prediction))
    }

    fn notice(&self) -> Option<String> {
        self.notice.clone()
    }
}

/// What the U-Net of a Stable Diffusion 2 file predicts, which no tensor is there to tell.
///
/// Without the training steps of the base model it is ComfyUI's rule (`SD20.model_type` in `supported_models.py`), which was learnt from
/// files that are known: the biases before the last attention are spread wider where a model was trained for the velocity. It knows
/// SD-Turbo, which predicts noise.
fn stable_diffusion_2(path: &Path, checkpoint: &Checkpoint, unet: &Checkpoint) -> (PredictionType, Option<String>) {
    /// There is one such model, and it predicts noise. The latents of Stable Diffusion have 4 channels.
    const INPAINTING: usize = UNetConfig::inpainting_channels(4);
    /// Training steps of `512-base-ema.ckpt`, by which diffusers' converter knows the model that predicts noise.
    const BASE_STEPS: &str = "875000";
    if unet.get("conv_in.weight").is_some_and(|weight| weight.shape().get(1) == Some(&INPAINTING)) {
        return (PredictionType::Epsilon, None);
    }
    if checkpoint.metadata().get("global_step").is_some_and(|steps| steps == BASE_STEPS) {
        return (PredictionType::Epsilon, None);
    }
    let (prediction, other, reason) = match spread(checkpoint) {
        Some(spread) if spread > LARGEST_OF_NOISE => {
            let reason = format!("as its last biases are spread by {spread:.3}, above {LARGEST_OF_NOISE}");
            (PredictionType::VPrediction, PredictionType::Epsilon, reason)
        }
        Some(spread) => {
            let reason = format!("as its last biases are spread by {spread:.3}, at most {LARGEST_OF_NOISE}");
            (PredictionType::Epsilon, PredictionType::VPrediction, reason)
        }
        None => {
            let reason = "as in Stable Diffusion 2.1 for 768 pixels".to_owned();
            (PredictionType::VPrediction, PredictionType::Epsilon, reason)
        }
    };
    let notice = format!(
        "'{}' does not say what its U-Net predicts; {prediction} is assumed, {reason}. If the images are noise, set the prediction type \
         to {other}",
        path.display()
    );
    (prediction, Some(notice))
}

/// The largest spread where noise is predicted.
const LARGEST_OF_NOISE: f64 = 0.09;

/// The standard deviation of the biases by which velocity is told; none where there are no such numbers.
fn spread(checkpoint: &Checkpoint) -> Option<f64> {
    /// Far above the 320 of Stable Diffusion 2.
    const MOST: usize = 1 << 16;
    let name = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias";
    let biases = checkpoint.tensors().get(name)?;
    let count = Some(biases.num_elements()).filter(|count| (1..=MOST).contains(count))? as f64;
    let biases: Vec<f64> = biases.to_f32().ok()?.into_iter().map(f64::from).collect();
    let mean = biases.iter().sum::<f64>() / count;
    let variance = biases.iter().map(|bias| (bias - mean).powi(2)).sum::<f64>() / count;
    // Biases that are all the same were never trained.
    Some(variance.sqrt()).filter(|spread| spread.is_finite() && *spread > 1e-6)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    const SD1: &str = "cond_stage_model.transformer.text_model.final_layer_norm.bias";
    const SD2: &str = "cond_stage_model.model.ln_final.bias";
    const SD2_SGM: &str = "conditioner.embedders.0.model.ln_final.bias";

    /// Opens a file whose text encoder has a tensor of this name, with these files beside it.
    fn open(text: &str, beside: &[(&str, &str)], chosen: Option<PredictionType>) -> Result<SingleFileModel, LoadError> {
        open_with(4, text, beside, chosen)
    }

    /// The same of a U-Net that sees so many channels.
    fn open_with(
        channels: usize,
        text: &str,
        beside: &[(&str, &str)],
        chosen: Option<PredictionType>,
    ) -> Result<SingleFileModel, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let names = ["model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.out.2.weight", text];
        let zeros = vec![0; channels];
        let tensors = names.map(|name| (name, TensorView::new(Dtype::F8_E4M3, vec![1, channels], &zeros).unwrap()));
        fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        for (name, content) in beside {
            fs::write(folder.path().join(name), content).unwrap();
        }
        SingleFileModel::open(&path, chosen)
    }

    fn prediction(text: &str, beside: &[(&str, &str)]) -> (PredictionType, bool) {
        let model = open(text, beside, None).unwrap();
        let prediction = model.scheduler().unwrap();
        let same = format!("{prediction:?}").contains(&format!("prediction_type: {:?}", model.prediction));
        assert!(same, "the scheduler has another prediction");
        (model.prediction, model.notice().is_some())
    }

    #[test]
    fn the_yaml_beside_a_file_tells_what_it_predicts_whatever_its_family() {
        use PredictionType::{Epsilon, VPrediction};
        const V: &str = "model:\n  params:\n    parameterization: \"v\"\n";
        const EPS: &str = "model: {params: {linear_start: 0.00085}}";
        for text in [SD1, SD2, SD2_SGM] {
            assert_eq!(prediction(text, &[("model.yaml", V)]), (VPrediction, false));
            assert_eq!(prediction(text, &[("model.yml", V)]), (VPrediction, false));
            assert_eq!(prediction(text, &[("model.yaml", EPS), ("model.yml", V)]), (Epsilon, false));
            let chosen = open(text, &[("model.yaml", V)], Some(Epsilon)).unwrap();
            assert_eq!(chosen.prediction, Epsilon);
        }
        // The YAML of another file tells nothing of this one.
        assert_eq!(prediction(SD1, &[("other.yaml", V)]), (Epsilon, false));
        assert_eq!(prediction(SD2, &[("other.yaml", V)]), (VPrediction, true));
        assert_eq!(prediction(SD2_SGM, &[]), (VPrediction, true));
    }

    /// diffusers takes the noise schedule of `stabilityai/stable-diffusion-2-inpainting` for such a file.
    #[test]
    fn the_stable_diffusion_2_for_inpainting_predicts_noise() {
        for text in [SD2, SD2_SGM] {
            let model = open_with(9, text, &[], None).unwrap();
            assert_eq!((model.prediction, model.notice()), (PredictionType::Epsilon, None));
            let chosen = open_with(9, text, &[], Some(PredictionType::VPrediction)).unwrap();
            assert_eq!(chosen.prediction, PredictionType::VPrediction);
        }
    }

    // torch.std(torch.tensor([-0.1, 0.1]), unbiased=False) is 0.1, of [-0.05, 0.05] 0.05
    #[test]
    fn the_spread_of_the_last_biases_tells_velocity_from_noise() {
        use PredictionType::{Epsilon, VPrediction};
        const BIASES: &str = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sd_turbo.safetensors");
        let open = |biases: &[f32], channels: usize, text: &str| {
            let bytes: Vec<u8> = biases.iter().flat_map(|bias| bias.to_le_bytes()).collect();
            let (zeros, small) = (vec![0; channels], [0]);
            let tensors = [
                (BIASES, TensorView::new(Dtype::F32, vec![biases.len()], &bytes).unwrap()),
                (
                    "model.diffusion_model.input_blocks.0.0.weight",
                    TensorView::new(Dtype::F8_E4M3, vec![1, channels], &zeros).unwrap(),
                ),
                ("model.diffusion_model.out.2.weight", TensorView::new(Dtype::F8_E4M3, vec![1], &small).unwrap()),
                (text, TensorView::new(Dtype::F8_E4M3, vec![1], &small).unwrap()),
            ];
            fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
            let model = SingleFileModel::open(&path, None).unwrap();
            (model.prediction, model.notice().unwrap_or_default())
        };
        let (prediction, notice) = open(&[-0.1, 0.1], 4, SD2);
        assert_eq!(prediction, VPrediction);
        assert!(
            notice.contains("v_prediction is assumed, as its last biases are spread by 0.100, above 0.09"),
            "{notice}"
        );
        let (prediction, notice) = open(&[-0.05, 0.05], 4, SD2_SGM);
        assert_eq!(prediction, Epsilon);
        assert!(
            notice.contains("epsilon is assumed") && notice.ends_with("prediction type to v_prediction"),
            "{notice}"
        );
        // The mean is nothing, and a model for inpainting predicts noise.
        assert_eq!(open(&[0.95, 1.05], 4, SD2).0, Epsilon);
        assert_eq!(open(&[-0.1, 0.1], 9, SD2).0, Epsilon);
        // What is no number tells nothing; of Stable Diffusion 1 nothing is asked.
        assert_eq!(open(&[f32::NAN, 0.1], 4, SD2).0, VPrediction);
        assert_eq!(open(&[], 4, SD2).0, VPrediction);
        assert_eq!(open(&[0.1; 3], 4, SD2).0, VPrediction);
        assert_eq!(open(&[-0.1, 0.1], 4, SD1), (Epsilon, String::new()));
    }

    #[test]
    fn what_the_yaml_says_and_is_not_used_is_noted_and_what_is_no_yaml_is_refused() {
        let zsnr = "model: {params: {parameterization: v, zero_terminal_snr: true, use_ema: false}}";
        let notice = open(SD1, &[("model.yaml", zsnr)], None).unwrap().notice().unwrap();
        assert!(notice.contains("model.yaml' also sets zero_terminal_snr of the model, which is not used"), "{notice}");
        for (yaml, named) in [("model: [", "malformed"), ("pretrained_model: x\n", "model.params")] {
            let error = open(SD1, &[("model.yaml", yaml)], None).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("model.yaml"), "{error}");
        }
    }
}
