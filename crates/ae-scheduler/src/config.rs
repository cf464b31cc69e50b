//! diffusers' `scheduler_config.json`.

use ae_config::{ConfigError, Fields};
use serde::Deserialize;
use serde_json::Value;

use crate::ddim::Ddim;
use crate::dpm_solver::DpmSolverMultistep;
use crate::euler::Euler;
use crate::pndm::Pndm;
use crate::schedule::BetaSchedule;
use crate::sigmas::FinalSigmas;
use crate::{PredictionType, Scheduler, SchedulerError, SchedulerKind, unsupported};
use ae_settings::{SigmaSpacing, TimestepSpacing as Spacing};

/// Largest `num_train_timesteps` accepted: a thousand times the usual one.
const MAX_TRAIN_TIMESTEPS: usize = 1_000_000;

/// The noise schedule a model was trained with, and options of its samplers.
///
/// Read from diffusers' `scheduler_config.json`. Any sampler can be [built](Self::build) from it,
/// with the meaning of diffusers' `OtherScheduler.from_config(config)`: fields that the sampler's
/// class knows carry over, fields that are absent take *that class's* defaults, others are ignored.
/// One departure: where the file of another class does not mention `skip_prk_steps`, PNDM skips the
/// Runge-Kutta steps, as it does in every Stable Diffusion model.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Fields")]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the file")]
pub struct SchedulerConfig {
    class_name: Option<String>,
    /// Set by [`with_sigmas`](Self::with_sigmas): unlike the file's fields it must not be ignored.
    sigmas_requested: bool,
    /// Every field of the file, for the check of options that are not supported.
    pub(crate) fields: Fields,

    // Fields with the same default in every class.
    pub(crate) num_train_timesteps: usize,
    pub(crate) beta_start: f64,
    pub(crate) beta_end: f64,
    pub(crate) beta_schedule: BetaSchedule,
    pub(crate) prediction_type: PredictionType,
    pub(crate) steps_offset: usize,
    pub(crate) rescale_betas_zero_snr: bool,

    // Fields whose default depends on the class.
    pub(crate) timestep_spacing: Option<Spacing>,
    pub(crate) set_alpha_to_one: Option<bool>,

    // Fields of DDIM.
    pub(crate) clip_sample: bool,
    pub(crate) clip_sample_range: f64,

    // Fields of the sigma-based samplers.
    pub(crate) sigmas: SigmaSpacing,
    pub(crate) sigma_min: Option<f64>,
    pub(crate) sigma_max: Option<f64>,
    pub(crate) final_sigmas_type: FinalSigmas,

    // Fields of DPM-Solver++.
    pub(crate) lower_order_final: bool,
    pub(crate) euler_at_final: bool,
    pub(crate) lambda_min_clipped: f64,
}

impl SchedulerConfig {
    /// Reads the text of a `scheduler_config.json`.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object, or a field has the wrong type or a value outside its range.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        Fields::read("the scheduler config", json)?.try_into()
    }

    /// The noise schedule of Stable Diffusion 1 with the sampler of its folder, PNDM.
    pub fn stable_diffusion_1() -> Self {
        Self::stable_diffusion(SchedulerKind::Pndm)
    }

    /// The noise schedule of Stable Diffusion 2 with the sampler of its folder, DDIM, and the prediction of its base model; for
    /// the model of 768 pixels add [`PredictionType::VPrediction`].
    pub fn stable_diffusion_2() -> Self {
        Self::stable_diffusion(SchedulerKind::Ddim)
    }

    fn stable_diffusion(kind: SchedulerKind) -> Self {
        let fields = [
            ("_class_name", kind.class_name().into()),
            ("beta_schedule", "scaled_linear".into()),
            ("beta_start", 0.00085.into()),
            ("beta_end", 0.012.into()),
            ("set_alpha_to_one", false.into()),
            ("skip_prk_steps", true.into()),
            ("steps_offset", 1.into()),
            ("clip_sample", false.into()),
        ];
        Fields::new("a known schedule", fields).try_into().expect("a schedule that exists")
    }

    /// Sets how the noise levels are spread, whatever the file says.
    ///
    /// Then [`build`](Self::build) refuses the samplers that have no such option.
    #[must_use]
    pub fn with_sigmas(mut self, sigmas: SigmaSpacing) -> Self {
        self.sigmas = sigmas;
        self.sigmas_requested = true;
        self
    }

    /// Sets how the timesteps are spread, whatever `timestep_spacing` of the file says.
    #[must_use]
    pub fn with_timestep_spacing(mut self, spacing: Spacing) -> Self {
        self.timestep_spacing = Some(spacing);
        self
    }

    /// Sets what the model predicts, whatever the file says.
    #[must_use]
    pub fn with_prediction_type(mut self, prediction_type: PredictionType) -> Self {
        self.prediction_type = prediction_type;
        self.fields.set("prediction_type", prediction_type.name());
        self
    }

    /// The config as diffusers' `StableDiffusionPipeline` uses it: latents are never clipped, and the
    /// timesteps are offset by one, whatever an outdated file says or leaves unsaid.
    #[must_use]
    pub fn for_latent_diffusion(mut self) -> Self {
        self.clip_sample = false;
        self.steps_offset = 1;
        self
    }

    /// What the U-Net predicts.
    pub fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }

    /// The sampler that the model's folder asks for (`_class_name`).
    ///
    /// # Errors
    ///
    /// [`SchedulerError::MissingClass`] or [`SchedulerError::UnknownClass`]. The config can still be
    /// used with a sampler of the caller's choice.
    pub fn kind(&self) -> Result<SchedulerKind, SchedulerError> {
        let class_name = self.class_name.as_ref().ok_or(SchedulerError::MissingClass)?;
        let mut kinds = SchedulerKind::ALL.iter().copied();
        kinds
            .find(|kind| kind.class_name() == class_name)
            .ok_or_else(|| SchedulerError::UnknownClass { class_name: class_name.clone() })
    }

    /// Builds a sampler for `num_inference_steps` steps, diffusers' `set_timesteps`.
    ///
    /// # Errors
    ///
    /// [`SchedulerError::ZeroSteps`], [`SchedulerError::TooManySteps`] and
    /// [`SchedulerError::TimestepOutOfRange`] for the number of steps; [`SchedulerError::Unsupported`]
    /// for an option that this sampler's class knows and that is not implemented;
    /// [`SchedulerError::Degenerate`] where diffusers would compute infinities.
    pub fn build(&self, kind: SchedulerKind, num_inference_steps: usize) -> Result<Box<dyn Scheduler>, SchedulerError> {
        self.build_from(kind, num_inference_steps, 0)
    }

    /// Builds a sampler for the same schedule without its first `first` timesteps: image-to-image, as
    /// `StableDiffusionImg2ImgPipeline.get_timesteps` does. The steps of the result count from 0, and a
    /// multistep sampler begins with the first-order steps of a new run.
    ///
    /// # Errors
    ///
    /// Those of [`Self::build`], and [`SchedulerError::NoStepsLeft`].
    pub fn build_from(
        &self,
        kind: SchedulerKind,
        num_inference_steps: usize,
        first: usize,
    ) -> Result<Box<dyn Scheduler>, SchedulerError> {
        let num_train_timesteps = self.num_train_timesteps;
        if num_inference_steps == 0 {
            return Err(SchedulerError::ZeroSteps);
        }
        if num_inference_steps > num_train_timesteps {
            return Err(SchedulerError::TooManySteps { steps: num_inference_steps, num_train_timesteps });
        }
        if first >= num_inference_steps {
            return Err(SchedulerError::NoStepsLeft { steps: num_inference_steps, first });
        }
        unsupported::check(&self.fields, kind)?;
        if self.sigmas_requested && !has_sigmas(kind, self.sigmas) {
            let (value, supported) = (format!("\"{}\"", self.sigmas), "nothing");
            return Err(SchedulerError::Unsupported { kind, option: "sigmas", value, supported });
        }
        Ok(match kind {
            SchedulerKind::Pndm => Box::new(Pndm::new(self, num_inference_steps, first)?),
            SchedulerKind::Ddim => Box::new(Ddim::new(self, num_inference_steps, first)?),
            SchedulerKind::Euler => Box::new(Euler::new(self, num_inference_steps, first)?),
            SchedulerKind::EulerAncestral => Box::new(Euler::ancestral(self, num_inference_steps, first)?),
            SchedulerKind::DpmSolverMultistep => Box::new(DpmSolverMultistep::new(self, num_inference_steps, first)?),
        })
    }
}

impl TryFrom<Fields> for SchedulerConfig {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        let sigma = |field| {
            let positive = |sigma: &Option<f64>| sigma.is_none_or(|sigma| sigma > 0.0);
            fields.checked(field, None, "a positive number", positive)
        };
        Ok(Self {
            class_name: fields.or("_class_name", None)?,
            sigmas_requested: false,
            num_train_timesteps: fields.checked(
                "num_train_timesteps",
                1000,
                format_args!("2..={MAX_TRAIN_TIMESTEPS}"),
                |number| (2..=MAX_TRAIN_TIMESTEPS).contains(number),
            )?,
            beta_start: fields
                .checked("beta_start", 0.0001, "a number of at least 0, below 1", |beta| (0.0..1.0).contains(beta))?,
            beta_end: fields.checked("beta_end", 0.02, "a number between 0 and 1", |&beta| beta > 0.0 && beta < 1.0)?,
            beta_schedule: fields.or("beta_schedule", BetaSchedule::Linear)?,
            prediction_type: fields.or("prediction_type", PredictionType::Epsilon)?,
            steps_offset: fields.or("steps_offset", 0)?,
            rescale_betas_zero_snr: fields.or("rescale_betas_zero_snr", false)?,
            timestep_spacing: fields.optional("timestep_spacing")?,
            set_alpha_to_one: fields.optional("set_alpha_to_one")?,
            clip_sample: fields.or("clip_sample", true)?,
            clip_sample_range: fields.checked("clip_sample_range", 1.0, "a positive number", |&range| range > 0.0)?,
            // diffusers looks at the fields in this order.
            sigmas: match (fields.or("use_karras_sigmas", false)?, fields.or("use_exponential_sigmas", false)?) {
                (true, _) => SigmaSpacing::Karras,
                (false, true) => SigmaSpacing::Exponential,
                (false, false) => SigmaSpacing::Normal,
            },
            sigma_min: sigma("sigma_min")?,
            sigma_max: sigma("sigma_max")?,
            final_sigmas_type: fields.or("final_sigmas_type", FinalSigmas::Zero)?,
            lower_order_final: fields.or("lower_order_final", true)?,
            euler_at_final: fields.or("euler_at_final", false)?,
            lambda_min_clipped: match fields.get("lambda_min_clipped") {
                Some(Value::String(value)) if value == "-Infinity" => f64::NEG_INFINITY,
                _ => fields.or("lambda_min_clipped", f64::NEG_INFINITY)?,
            },
            fields,
        })
    }
}

/// Whether a sampler's diffusers class has noise levels that can be spread like this.
fn has_sigmas(kind: SchedulerKind, sigmas: SigmaSpacing) -> bool {
    match kind {
        SchedulerKind::Pndm | SchedulerKind::Ddim => false,
        SchedulerKind::EulerAncestral => sigmas == SigmaSpacing::Normal,
        SchedulerKind::Euler | SchedulerKind::DpmSolverMultistep => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        SchedulerConfig::from_json(json).expect_err("an invalid config").to_string()
    }

    fn build_error(json: &str, kind: SchedulerKind, steps: usize) -> SchedulerError {
        let config = SchedulerConfig::from_json(json).expect("a valid config");
        config.build(kind, steps).map(|_| ()).expect_err("an unusable config")
    }

    #[test]
    fn the_class_name_chooses_the_sampler() {
        for &kind in SchedulerKind::ALL {
            let json = format!(r#"{{"_class_name": "{}"}}"#, kind.class_name());
            assert_eq!(SchedulerConfig::from_json(&json).unwrap().kind(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_class_can_be_replaced() {
        let config = SchedulerConfig::from_json(r#"{"_class_name": "UniPCMultistepScheduler"}"#).unwrap();
        assert_eq!(
            config.kind().unwrap_err().to_string(),
            "`UniPCMultistepScheduler` is not supported: choose another scheduler for this model \
             (pndm, ddim, euler, euler-a, dpmpp-2m)"
        );
        assert_eq!(config.build(SchedulerKind::Ddim, 4).unwrap().timesteps(), [750., 500., 250., 0.]);
        let config = SchedulerConfig::from_json("{}").unwrap();
        assert_eq!(config.kind(), Err(SchedulerError::MissingClass));
    }

    #[test]
    fn a_chosen_prediction_is_checked_in_place_of_the_files() {
        let config = SchedulerConfig::stable_diffusion_1();
        let refused = config.clone().with_prediction_type(PredictionType::Sample).build(SchedulerKind::Pndm, 10);
        assert!(refused.unwrap_err().to_string().starts_with("pndm does not support `prediction_type` = \"sample\""));
        let file = SchedulerConfig::from_json(r#"{"prediction_type": "sample", "skip_prk_steps": true}"#).unwrap();
        assert!(file.build(SchedulerKind::Pndm, 10).is_err());
        assert!(file.with_prediction_type(PredictionType::Epsilon).build(SchedulerKind::Pndm, 10).is_ok());
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(
            error(r#"{"beta_start": "small"}"#),
            "beta_start is \"small\" in the scheduler config; expected a number of at least 0, below 1"
        );
        assert_eq!(
            error(r#"{"beta_end": 0}"#),
            "beta_end is 0 in the scheduler config; expected a number between 0 and 1"
        );
        assert_eq!(
            error(r#"{"beta_schedule": "sigmoid"}"#),
            "beta_schedule is \"sigmoid\" in the scheduler config; expected one of `linear`, `scaled_linear`, \
             `squaredcos_cap_v2`"
        );
        for (json, field) in [
            (r#"{"beta_start": NaN}"#, "beta_start"),
            (r#"{"beta_start": -0.1}"#, "beta_start"),
            (r#"{"beta_end": 1.5}"#, "beta_end"),
            (r#"{"beta_end": null}"#, "beta_end"),
            (r#"{"num_train_timesteps": 0}"#, "num_train_timesteps"),
            (r#"{"num_train_timesteps": 1000000000000}"#, "num_train_timesteps"),
            (r#"{"num_train_timesteps": 1000.5}"#, "num_train_timesteps"),
            (r#"{"steps_offset": -1}"#, "steps_offset"),
            (r#"{"prediction_type": "flow_prediction"}"#, "prediction_type"),
            (r#"{"timestep_spacing": null}"#, "timestep_spacing"),
            (r#"{"clip_sample_range": 0}"#, "clip_sample_range"),
            (r#"{"sigma_max": -1.0}"#, "sigma_max"),
            (r#"{"lambda_min_clipped": Infinity}"#, "lambda_min_clipped"),
            (r#"{"_class_name": 3}"#, "_class_name"),
        ] {
            let error = error(json);
            let found = json.split(": ").nth(1).unwrap().trim_end_matches('}').trim_matches('"');
            assert!(error.starts_with(&format!("{field} is ")) && error.contains(found), "{json}: {error}");
        }
    }

    #[test]
    fn text_that_is_no_json_object_is_an_error() {
        for json in ["", "[]", "{", "null", "\u{0}"] {
            assert!(error(json).starts_with("the scheduler config is malformed ("), "{}", error(json));
        }
    }

    #[test]
    fn a_clip_that_leaves_no_timestep_is_an_error() {
        assert_eq!(
            build_error(r#"{"lambda_min_clipped": 100}"#, SchedulerKind::DpmSolverMultistep, 10).to_string(),
            "lambda_min_clipped is 100 in the scheduler config; expected a value that leaves a timestep, such as -5.1"
        );
    }

    #[test]
    fn every_number_of_steps_builds_or_is_refused() {
        for spacing in ["leading", "linspace", "trailing"] {
            let json = format!(r#"{{"skip_prk_steps": true, "timestep_spacing": "{spacing}"}}"#);
            let config = SchedulerConfig::from_json(&json).unwrap();
            for (kind, steps) in SchedulerKind::ALL.iter().flat_map(|&kind| (1..=150).map(move |n| (kind, n))) {
                let scheduler = config.build(kind, steps).unwrap();
                let timesteps = scheduler.timesteps();
                assert_eq!(timesteps.len(), steps + usize::from(kind == SchedulerKind::Pndm && steps > 1));
                assert!(timesteps.is_sorted_by(|a, b| a >= b), "{kind}, {spacing}, {steps}: {timesteps:?}");
                assert!(timesteps.iter().all(|timestep| (0.0..=999.0).contains(timestep)));
                assert!(scheduler.init_noise_sigma().is_finite());
            }
        }
    }

    #[test]
    fn python_minus_infinity_is_read() {
        let config = SchedulerConfig::from_json(r#"{"lambda_min_clipped": -Infinity}"#).unwrap();
        assert!(config.build(SchedulerKind::DpmSolverMultistep, 10).is_ok());
    }

    #[test]
    fn the_number_of_steps_is_checked() {
        for &kind in SchedulerKind::ALL {
            let json = r#"{"skip_prk_steps": true}"#;
            assert_eq!(build_error(json, kind, 0), SchedulerError::ZeroSteps);
            assert_eq!(
                build_error(json, kind, 1001).to_string(),
                "1001 inference steps exceed the 1000 training timesteps: use at most 1000"
            );
        }
    }

    #[test]
    fn an_offset_past_the_trained_range_is_an_error() {
        let json = r#"{"steps_offset": 1, "timestep_spacing": "leading"}"#;
        assert_eq!(
            build_error(json, SchedulerKind::Ddim, 1000).to_string(),
            "1000 inference steps reach timestep 1000, outside the trained range 0..=999: use fewer \
             steps or a smaller `steps_offset`"
        );
    }

    #[test]
    fn infinite_updates_are_an_error() {
        let zero_snr = r#"{"rescale_betas_zero_snr": true, "timestep_spacing": "trailing", "clip_sample": false}"#;
        assert_eq!(
            build_error(zero_snr, SchedulerKind::Ddim, 10),
            SchedulerError::Degenerate { kind: SchedulerKind::Ddim, step: 0, steps: 10 }
        );
        // beta_start = 0 leaves no noise at timestep 0.
        assert!(matches!(
            build_error(r#"{"beta_start": 0}"#, SchedulerKind::Euler, 10),
            SchedulerError::Degenerate { step: 9, .. }
        ));
        // 1001 rounded points on 0..=999 repeat one.
        assert!(matches!(
            build_error("{}", SchedulerKind::DpmSolverMultistep, 1000),
            SchedulerError::Degenerate { .. }
        ));
    }

    #[test]
    fn a_spacing_on_request_is_as_in_the_file() {
        for (&kind, spacing) in SchedulerKind::ALL.iter().zip(Spacing::ALL.iter().cycle()) {
            let json = format!(r#"{{"skip_prk_steps": true, "steps_offset": 1, "timestep_spacing": "{spacing}"}}"#);
            let of_file = SchedulerConfig::from_json(&json).unwrap();
            let on_request = SchedulerConfig::from_json(r#"{"skip_prk_steps": true, "steps_offset": 1}"#).unwrap();
            let on_request = on_request.with_timestep_spacing(*spacing).build(kind, 7).unwrap();
            assert_eq!(on_request.timesteps(), of_file.build(kind, 7).unwrap().timesteps(), "{kind}, {spacing}");
        }
    }

    #[test]
    fn sigmas_on_request_need_a_sampler_that_has_them() {
        for (kind, sigmas, has) in [
            (SchedulerKind::Ddim, SigmaSpacing::Karras, false),
            (SchedulerKind::Pndm, SigmaSpacing::Normal, false),
            (SchedulerKind::EulerAncestral, SigmaSpacing::Exponential, false),
            (SchedulerKind::EulerAncestral, SigmaSpacing::Normal, true),
            (SchedulerKind::Euler, SigmaSpacing::Exponential, true),
            (SchedulerKind::DpmSolverMultistep, SigmaSpacing::Karras, true),
        ] {
            let config = SchedulerConfig::from_json(r#"{"skip_prk_steps": true}"#).unwrap().with_sigmas(sigmas);
            assert_eq!(config.build(kind, 10).is_ok(), has, "{kind}, {sigmas}");
        }
        let config = SchedulerConfig::from_json("{}").unwrap().with_sigmas(SigmaSpacing::Karras);
        assert_eq!(
            config.build(SchedulerKind::Ddim, 10).unwrap_err().to_string(),
            "ddim does not support `sigmas` = \"karras\": set it to nothing, or choose another scheduler"
        );
        // diffusers' classes without the option ignore the field of a file.
        let file = SchedulerConfig::from_json(r#"{"use_karras_sigmas": true}"#).unwrap();
        assert!(file.build(SchedulerKind::Ddim, 10).is_ok());
    }
}
