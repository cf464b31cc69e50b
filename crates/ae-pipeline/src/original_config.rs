//! The YAML of the original repositories (CompVis, Stability AI), which lies beside a single file under its name.

use std::path::Path;

use ae_checkpoint::Family;
use ae_config::{ConfigError, Fields};
use ae_scheduler::{PredictionType, SchedulerConfig};
use ae_unet::UNetConfig;
use ae_vae::VaeConfig;
use serde_json::{Map, Value, json};

use crate::LoadError;

/// What such a file tells of what the weights do not.
///
/// What diffusers reads (`loaders/single_file_utils.py`) is honoured, and beside it the objective and the schedule of the
/// original's other spellings. Sizes are those of the weights.
#[derive(Debug)]
pub(crate) struct OriginalConfig {
    file: String,
    /// `model.params`.
    model: Fields,
}

/// Keys of `model.params` that are read.
const READ: [&str; 9] = [
    "parameterization",
    "denoiser_config",
    "timesteps",
    "linear_start",
    "linear_end",
    "beta_schedule",
    "scale_factor",
    "unet_config",
    "network_config",
];

/// Keys of `model.params` that say how the model was trained, or what the weights tell: no picture depends on them.
const WITHOUT_EFFECT: [&str; 41] = [
    "base_learning_rate",
    "channels",
    "ckpt_path",
    "clip_denoised",
    "compile_model",
    "concat_keys",
    "concat_mode",
    "cond_stage_config",
    "cond_stage_forward",
    "cond_stage_key",
    "cond_stage_trainable",
    "conditioner_config",
    "conditioning_key",
    "disable_first_stage_autocast",
    "en_and_decode_n_samples_a_time",
    "finetune_keys",
    "first_stage_config",
    "first_stage_key",
    "force_null_conditioning",
    "ignore_keys",
    "image_size",
    "input_key",
    "keep_finetune_dims",
    "l_simple_weight",
    "load_only_unet",
    "log_every_t",
    "logvar_init",
    "loss_fn_config",
    "loss_type",
    "masked_image_key",
    "monitor",
    "no_cond_log",
    "num_timesteps_cond",
    "optimizer_config",
    "original_elbo_weight",
    "sampler_config",
    "scale_by_std",
    "scheduler_config",
    "ucg_training",
    "use_ema",
    "v_posterior",
];

impl OriginalConfig {
    /// Reads the file beside a checkpoint; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is no YAML, or does not describe a model.
    pub(crate) fn beside(checkpoint: &Path) -> Result<Option<Self>, LoadError> {
        /// Bytes, far above any config of a model.
        const LARGEST: u64 = 1 << 20;
        let mut paths = ["yaml", "yml"].into_iter().map(|ending| checkpoint.with_extension(ending));
        let Some(path) = paths.find(|path| path != checkpoint && path.is_file()) else { return Ok(None) };
        let name = path.display().to_string();
        let text =
            ae_files::read_file(&path, LARGEST).map_err(|cause| LoadError::Read { file: name.clone(), cause })?;
        Ok(Some(Self::parse(name, &text)?))
    }

    /// Reads the bytes of a file in any of YAML's encodings. As in PyYAML, the last of equal keys counts.
    fn parse(file: String, bytes: &[u8]) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
            with_snippet: false,
        };
        let expected = "the YAML of an original repository's model; correct it, or move it away";
        let malformed =
            |error: String| ConfigError::new(&file, "", format!("malformed ({})", error.replace('\n', " ")), expected);
        let values: Value = serde_saphyr::from_reader_with_options(bytes, options)
            .map_err(|error: serde_saphyr::Error| malformed(error.to_string()))?;
        let Value::Object(values) = values else { return Err(malformed("no mapping of keys".to_owned())) };
        let fields = Fields::new(&file, borrowed(&values));
        let model = fields.part("model")?;
        let expected = "the parameters of a model, or another name for the file if it is of something else";
        model.check("params", model.get("params").is_some_and(Value::is_object), expected)?;
        Ok(Self { model: model.part("params")?, file })
    }

    /// What the U-Net predicts: noise, unless the file says otherwise, as in `ddpm.py` of the original.
    pub(crate) fn prediction(&self) -> Result<PredictionType, ConfigError> {
        let model = &self.model;
        if let Some(written) = model.or::<Option<String>>("parameterization", None)? {
            return match written.as_str() {
                "eps" => Ok(PredictionType::Epsilon),
                "v" => Ok(PredictionType::VPrediction),
                "x0" => Ok(PredictionType::Sample),
                _ => Err(model.error("parameterization", r#""eps", "v" or "x0""#)),
            };
        }
        // Stability AI's generative-models name a class instead.
        let scaling = model.part("denoiser_config")?.part("params")?.part("scaling_config")?;
        let Some(target) = scaling.or::<Option<String>>("target", None)? else { return Ok(PredictionType::Epsilon) };
        match target.rsplit('.').next() {
            Some("EpsScaling") => Ok(PredictionType::Epsilon),
            Some("VScaling" | "VScalingWithEDMcNoise") => Ok(PredictionType::VPrediction),
            _ => Err(scaling.error("target", "EpsScaling or VScaling")),
        }
    }

    /// The noise schedule of the generation with what the file says of it.
    pub(crate) fn schedule(&self, usual: &SchedulerConfig) -> Result<SchedulerConfig, ConfigError> {
        let model = &self.model;
        let mut fields = Vec::new();
        for (key, field) in [("linear_start", "beta_start"), ("linear_end", "beta_end")] {
            if let Some(beta) = model.or::<Option<f64>>(key, None)? {
                fields.push((field, json!(beta)));
            }
        }
        if let Some(steps) = model.or::<Option<usize>>("timesteps", None)? {
            fields.push(("num_train_timesteps", json!(steps)));
        }
        if let Some(schedule) = model.or::<Option<String>>("beta_schedule", None)? {
            // What the original calls linear is linear in the square roots.
            let name = match schedule.as_str() {
                "linear" => "scaled_linear",
                "sqrt_linear" => "linear",
                _ => return Err(model.error("beta_schedule", r#""linear" or "sqrt_linear""#)),
            };
            fields.push(("beta_schedule", json!(name)));
        }
        usual.clone().with_fields(&self.file, fields)
    }

    /// Sets the number of heads, which shapes do not tell.
    pub(crate) fn apply_to_unet(&self, config: UNetConfig) -> Result<UNetConfig, ConfigError> {
        let is_there = |part: &&str| self.model.get(part).is_some_and(|part| !part.is_null());
        let Some(part) = ["unet_config", "network_config"].into_iter().find(is_there) else { return Ok(config) };
        let params = self.model.part(part)?.part("params")?;
        // -1 is the original's word for "the other one".
        let number = |field| {
            let valid = |number: &Option<i64>| number.is_none_or(|number| number == -1 || number > 0);
            let number = params.checked(field, None, "a number of at least 1, or -1", valid)?;
            Ok(number.and_then(|number| usize::try_from(number).ok()))
        };
        let (heads, width) = (number("num_heads")?, number("num_head_channels")?);
        let heads = match (heads, width) {
            (_, Some(width)) => config.block_out_channels.iter().map(|channels| (channels / width).max(1)).collect(),
            (Some(heads), None) => json!(heads),
            (None, None) => return Ok(config),
        };
        let Ok(Value::Object(mut values)) = serde_json::to_value(&config) else { return Ok(config) };
        values.insert("attention_head_dim".to_owned(), heads);
        Fields::new(&self.file, borrowed(&values)).try_into()
    }

    /// Sets the scaling of the latents, which no tensor tells.
    pub(crate) fn apply_to_vae(&self, config: &mut VaeConfig) -> Result<(), ConfigError> {
        let valid = |factor: &Option<f64>| factor.is_none_or(|factor| factor.is_finite() && factor > 0.0);
        if let Some(factor) = self.model.checked("scale_factor", None, "a positive number", valid)? {
            config.scaling_factor = factor;
        }
        Ok(())
    }

    /// What the file says and is not done.
    pub(crate) fn notice(&self, family: Family) -> Option<String> {
        let usual = match family {
            Family::StableDiffusion1 => "last",
            _ => "penultimate",
        };
        let known = |key: &str| READ.contains(&key) || WITHOUT_EFFECT.contains(&key);
        let mut unused: Vec<String> = self.model.names().filter(|key| !known(key)).map(str::to_owned).collect();
        // As diffusers, which takes the text encoder of the generation.
        let text = self.model.get("cond_stage_config").and_then(|config| config.get("params"));
        let layer = text.and_then(|params| params.get("layer")).filter(|layer| *layer != usual && !layer.is_null());
        unused.extend(layer.map(|layer| format!("cond_stage_config.params.layer ({layer})")));
        if self.model.get("scale_factor").is_none() && self.model.get("scale_by_std") == Some(&json!(true)) {
            unused.push("scale_by_std".to_owned());
        }
        (!unused.is_empty())
            .then(|| format!("'{}' also sets {} of the model, which is not used", self.file, unused.join(", ")))
    }
}

fn borrowed(values: &Map<String, Value>) -> impl Iterator<Item = (&str, Value)> {
    values.iter().map(|(key, value)| (key.as_str(), value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: &str) -> Result<OriginalConfig, ConfigError> {
        OriginalConfig::parse("m.yaml".to_owned(), yaml.as_bytes())
    }

    fn model(params: &str) -> OriginalConfig {
        parse(&format!("model:\n  params:\n    use_ema: false\n{params}")).unwrap()
    }

    #[test]
    fn velocity_is_read_in_every_spelling() {
        let spellings = [
            "model:\n  params:\n    parameterization: \"v\"\n",
            "model:\n  params:\n    parameterization: 'v' # velocity\n",
            "model:\n  params:\n    parameterization   :   v\n",
            "model: {params: {parameterization: v}}",
            "{\"model\": {\"params\": {\"parameterization\": \"v\"}}}",
            "model:\r\n  params:\r\n    parameterization: v\r\n",
            "\u{feff}model:\n  params:\n    parameterization: v\n",
            "%YAML 1.2\n---\nmodel:\n  params:\n    ? parameterization\n    : v\n",
            "model:\n  params:\n    parameterization: |-\n      v\n",
            "model:\n  params:\n    \"parameterization\": !!str v\n",
            "base: &base {parameterization: v}\nmodel:\n  params:\n    <<: *base\n",
            "say: &v v\nmodel:\n  params:\n    parameterization: *v\n",
            "model:\n  params:\n    parameterization: eps\n    parameterization: v\n",
        ];
        for yaml in spellings {
            assert_eq!(parse(yaml).unwrap().prediction().unwrap(), PredictionType::VPrediction, "{yaml}");
        }
        let wide: Vec<u8> =
            std::iter::once(0xfeff).chain(spellings[0].encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let config = OriginalConfig::parse("m.yaml".to_owned(), &wide).unwrap();
        assert_eq!(config.prediction().unwrap(), PredictionType::VPrediction);
    }

    #[test]
    fn noise_is_predicted_unless_the_file_says_otherwise() {
        let cases = [
            ("", PredictionType::Epsilon),
            ("    parameterization: eps\n", PredictionType::Epsilon),
            ("    parameterization: null\n", PredictionType::Epsilon),
            ("    parameterization: x0\n", PredictionType::Sample),
            // A comment, and a key of another level.
            ("    # parameterization: v\n", PredictionType::Epsilon),
            ("    unet_config:\n      params:\n        parameterization: v\n", PredictionType::Epsilon),
            (
                "    denoiser_config: {params: {scaling_config: {target: sgm.modules.denoiser_scaling.VScaling}}}\n",
                PredictionType::VPrediction,
            ),
        ];
        for (params, expected) in cases {
            assert_eq!(model(params).prediction().unwrap(), expected, "{params}");
        }
        let error = model("    parameterization: w\n").prediction().unwrap_err().to_string();
        assert!(error.starts_with("model.params.parameterization is \"w\" in m.yaml; expected"), "{error}");
    }

    #[test]
    fn what_is_no_yaml_of_a_model_is_refused() {
        for (yaml, named) in [
            ("model: [", "m.yaml is malformed ("),
            ("- 1\n", "no mapping of keys"),
            ("", "no mapping of keys"),
            ("learning_rate: 1\n", "model.params is absent"),
            ("model:\n  params: 3\n", "model.params is 3"),
            ("model:\n\tparams: {}\n", "malformed"),
        ] {
            let error = parse(yaml).unwrap_err().to_string();
            assert!(error.contains(named) && error.lines().count() == 1, "{yaml}: {error}");
        }
    }

    #[test]
    fn schedule_heads_and_scale_are_taken() {
        let config = model(
            "    linear_start: 0.001\n    linear_end: 2.0e-2\n    timesteps: 500\n    beta_schedule: sqrt_linear\n    scale_factor: 0.5\n    \
             unet_config: {params: {num_heads: -1, num_head_channels: 64, model_channels: 320}}\n",
        );
        let schedule = config.schedule(&SchedulerConfig::stable_diffusion_1()).unwrap();
        let ddim = |config: &SchedulerConfig| {
            let built = config.build(ae_scheduler::SchedulerKind::Ddim, 2).unwrap();
            built.timesteps().to_vec()
        };
        assert_eq!(ddim(&schedule), [251.0, 1.0]);
        let mut vae = VaeConfig::stable_diffusion();
        config.apply_to_vae(&mut vae).unwrap();
        assert!((vae.scaling_factor - 0.5).abs() < 1e-12);
        let heads = |config: &OriginalConfig| config.apply_to_unet(UNetConfig::stable_diffusion_1());
        assert_eq!(heads(&config).unwrap().attention_head_dim, ae_unet::PerLevel::Each(vec![5, 10, 20, 20]));
        let four = model("    network_config: {params: {num_heads: 4}}\n");
        assert_eq!(heads(&four).unwrap().attention_head_dim, ae_unet::PerLevel::Same(4));
        assert_eq!(heads(&model("")).unwrap(), UNetConfig::stable_diffusion_1());
        let error = heads(&model("    unet_config: {params: {num_heads: 7}}\n")).unwrap_err().to_string();
        assert!(error.starts_with("attention_head_dim is 7 in m.yaml"), "{error}");
        let error = model("    beta_schedule: cosine\n").schedule(&SchedulerConfig::stable_diffusion_1()).unwrap_err();
        assert!(error.to_string().contains("model.params.beta_schedule is \"cosine\""), "{error}");
    }

    /// The keys of the constructors `DDPM` and `LatentDiffusion` (CompVis, `ddpm.py`), `DiffusionEngine` (Stability AI,
    /// `diffusion.py`), and one that neither has.
    #[test]
    fn every_documented_key_is_read_or_without_effect_or_named() {
        let named = ["cosine_s", "given_betas", "learn_logvar", "use_positional_encodings", "zero_terminal_snr"];
        for key in READ.iter().chain(&WITHOUT_EFFECT).chain(&named) {
            let notice = model(&format!("    {key}: 1\n")).notice(Family::StableDiffusion1);
            let expected =
                named.contains(key).then(|| format!("'m.yaml' also sets {key} of the model, which is not used"));
            assert_eq!(notice, expected, "{key}");
        }
        let layer = "    cond_stage_config: {params: {layer: penultimate}}\n";
        assert_eq!(model(layer).notice(Family::StableDiffusion2), None);
        let notice = model(layer).notice(Family::StableDiffusion1).unwrap();
        assert!(notice.contains("cond_stage_config.params.layer (\"penultimate\")"), "{notice}");
        assert!(model("    scale_by_std: true\n").notice(Family::StableDiffusion1).unwrap().contains("scale_by_std"));
    }
}
