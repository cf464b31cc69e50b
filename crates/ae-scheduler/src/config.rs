//! diffusers' `scheduler_config.json`.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ddim::Ddim;
use crate::dpm_solver::DpmSolverMultistep;
use crate::euler::Euler;
use crate::pndm::Pndm;
use crate::schedule::BetaSchedule;
use crate::sigmas::FinalSigmas;
use crate::timesteps::Spacing;
use crate::{PredictionType, Scheduler, SchedulerError, SchedulerKind, unsupported};

/// Largest `num_train_timesteps` that is taken for serious: a thousand times the usual one.
const MAX_TRAIN_TIMESTEPS: usize = 1_000_000;

/// The noise schedule a model was trained with, and options of its samplers.
///
/// Read from diffusers' `scheduler_config.json`. Any sampler can be [built](Self::build) from it,
/// with the meaning of diffusers' `OtherScheduler.from_config(config)`: fields that the sampler's
/// class knows carry over, fields that are absent take *that class's* defaults, others are ignored.
/// One departure: where the file of another class does not mention `skip_prk_steps`, PNDM skips the
/// Runge-Kutta steps, as it does in every Stable Diffusion model.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the file")]
pub struct SchedulerConfig {
    class_name: Option<String>,
    /// `with_karras_sigmas(true)`: unlike the file's field it must not be ignored.
    karras_requested: bool,
    /// Every field of the file, for the check of options that are not supported.
    pub(crate) fields: Map<String, Value>,

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
    pub(crate) use_karras_sigmas: bool,
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
    /// [`SchedulerError::Json`] if the text is not a JSON object, [`SchedulerError::Field`] if a
    /// field has the wrong type or a value outside its range.
    pub fn from_json(json: &str) -> Result<Self, SchedulerError> {
        let fields: Map<String, Value> = serde_json::from_str(&quote_non_finite(json))
            .map_err(|error| SchedulerError::Json { reason: error.to_string() })?;
        let get = Reader(&fields);
        let config = Self {
            class_name: get.or("_class_name", None)?,
            karras_requested: false,
            num_train_timesteps: get.or("num_train_timesteps", 1000)?,
            beta_start: get.or("beta_start", 0.0001)?,
            beta_end: get.or("beta_end", 0.02)?,
            beta_schedule: get.or("beta_schedule", BetaSchedule::Linear)?,
            prediction_type: get.or("prediction_type", PredictionType::Epsilon)?,
            steps_offset: get.or("steps_offset", 0)?,
            rescale_betas_zero_snr: get.or("rescale_betas_zero_snr", false)?,
            timestep_spacing: get.optional("timestep_spacing")?,
            set_alpha_to_one: get.optional("set_alpha_to_one")?,
            clip_sample: get.or("clip_sample", true)?,
            clip_sample_range: get.or("clip_sample_range", 1.0)?,
            use_karras_sigmas: get.or("use_karras_sigmas", false)?,
            sigma_min: get.or("sigma_min", None)?,
            sigma_max: get.or("sigma_max", None)?,
            final_sigmas_type: get.or("final_sigmas_type", FinalSigmas::Zero)?,
            lower_order_final: get.or("lower_order_final", true)?,
            euler_at_final: get.or("euler_at_final", false)?,
            lambda_min_clipped: get.lambda_min_clipped()?,
            fields,
        };
        config.check_ranges()?;
        Ok(config)
    }

    /// Chooses Karras et al.'s noise levels (2022, equation 5) for [`SchedulerKind::Euler`] and
    /// [`SchedulerKind::DpmSolverMultistep`], whatever `use_karras_sigmas` of the file says.
    ///
    /// Once switched on here, [`build`](Self::build) refuses the samplers that have no such option.
    #[must_use]
    pub fn with_karras_sigmas(mut self, on: bool) -> Self {
        self.use_karras_sigmas = on;
        self.karras_requested = on;
        self
    }

    /// Sets what the model predicts, whatever the file says.
    #[must_use]
    pub fn with_prediction_type(mut self, prediction_type: PredictionType) -> Self {
        self.prediction_type = prediction_type;
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

    /// The sampler that the model's folder asks for (`_class_name`).
    ///
    /// # Errors
    ///
    /// [`SchedulerError::MissingClass`] or [`SchedulerError::UnknownClass`]. The config can still be
    /// used with a sampler of the caller's choice.
    pub fn kind(&self) -> Result<SchedulerKind, SchedulerError> {
        let class_name = self.class_name.as_ref().ok_or(SchedulerError::MissingClass)?;
        SchedulerKind::ALL
            .iter()
            .copied()
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
        let has_karras = matches!(kind, SchedulerKind::Euler | SchedulerKind::DpmSolverMultistep);
        if self.karras_requested && !has_karras {
            return Err(SchedulerError::Unsupported {
                kind,
                option: "use_karras_sigmas",
                value: "true".to_owned(),
                supported: "false",
            });
        }
        Ok(match kind {
            SchedulerKind::Pndm => Box::new(Pndm::new(self, num_inference_steps, first)?),
            SchedulerKind::Ddim => Box::new(Ddim::new(self, num_inference_steps, first)?),
            SchedulerKind::Euler => Box::new(Euler::new(self, num_inference_steps, first)?),
            SchedulerKind::EulerAncestral => Box::new(Euler::ancestral(self, num_inference_steps, first)?),
            SchedulerKind::DpmSolverMultistep => Box::new(DpmSolverMultistep::new(self, num_inference_steps, first)?),
        })
    }

    /// The ranges outside of which the formulas make no sense.
    fn check_ranges(&self) -> Result<(), SchedulerError> {
        let positive = |value: Option<f64>| value.is_none_or(|value| value > 0.0);
        let checks = [
            (
                "num_train_timesteps",
                (2..=MAX_TRAIN_TIMESTEPS).contains(&self.num_train_timesteps),
                "expected 2 to 1000000",
            ),
            ("beta_start", (0.0..1.0).contains(&self.beta_start), "expected at least 0, below 1"),
            ("beta_end", self.beta_end > 0.0 && self.beta_end < 1.0, "expected a number between 0 and 1"),
            ("clip_sample_range", self.clip_sample_range > 0.0, "expected a positive number"),
            ("sigma_min", positive(self.sigma_min), "expected a positive number"),
            ("sigma_max", positive(self.sigma_max), "expected a positive number"),
        ];
        match checks.into_iter().find(|(_, valid, _)| !valid) {
            None => Ok(()),
            Some((field, _, expected)) => {
                Err(SchedulerError::Field { field, reason: format!("{expected}, got {}", self.fields[field]) })
            }
        }
    }
}

/// Typed access to the fields, with errors that name the field (serde_json's name the line).
struct Reader<'a>(&'a Map<String, Value>);

impl<'a> Reader<'a> {
    fn or<T: Deserialize<'a>>(&self, field: &'static str, default: T) -> Result<T, SchedulerError> {
        Ok(self.optional(field)?.unwrap_or(default))
    }

    /// `None` where the field is absent. A null is a value like any other, which `T` must know.
    fn optional<T: Deserialize<'a>>(&self, field: &'static str) -> Result<Option<T>, SchedulerError> {
        self.0
            .get(field)
            .map(|value| {
                T::deserialize(value).map_err(|error| SchedulerError::Field { field, reason: error.to_string() })
            })
            .transpose()
    }

    fn lambda_min_clipped(&self) -> Result<f64, SchedulerError> {
        let field = "lambda_min_clipped";
        match self.0.get(field) {
            Some(Value::String(value)) if value == "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => self.or(field, f64::NEG_INFINITY),
        }
    }
}

/// Python writes minus infinity, the default of `lambda_min_clipped`, as a bare `-Infinity`, which
/// JSON has no notion of. As strings such values reach the field's own check.
fn quote_non_finite(json: &str) -> String {
    ["-Infinity", "Infinity", "NaN"]
        .into_iter()
        .fold(json.to_owned(), |json, value| json.replace(&format!(": {value}"), &format!(": \"{value}\"")))
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
    fn errors_name_the_field() {
        assert_eq!(
            error(r#"{"beta_start": "small"}"#),
            "`beta_start` of the scheduler config: invalid type: string \"small\", expected f64"
        );
        assert_eq!(
            error(r#"{"beta_end": 0}"#),
            "`beta_end` of the scheduler config: expected a number between 0 and 1, got 0"
        );
        assert_eq!(
            error(r#"{"beta_schedule": "sigmoid"}"#),
            "`beta_schedule` of the scheduler config: unknown variant `sigmoid`, expected one of \
             `linear`, `scaled_linear`, `squaredcos_cap_v2`"
        );
        for (json, field) in [
            (r#"{"beta_start": NaN}"#, "beta_start"),
            (r#"{"beta_start": -0.1}"#, "beta_start"),
            (r#"{"beta_end": 1.5}"#, "beta_end"),
            (r#"{"beta_end": null}"#, "beta_end"),
            (r#"{"num_train_timesteps": 0}"#, "num_train_timesteps"),
            (r#"{"num_train_timesteps": 1000000000000}"#, "num_train_timesteps"),
            (r#"{"num_train_timesteps": 1e3}"#, "num_train_timesteps"),
            (r#"{"steps_offset": -1}"#, "steps_offset"),
            (r#"{"prediction_type": "flow_prediction"}"#, "prediction_type"),
            (r#"{"timestep_spacing": null}"#, "timestep_spacing"),
            (r#"{"clip_sample_range": 0}"#, "clip_sample_range"),
            (r#"{"sigma_max": -1.0}"#, "sigma_max"),
            (r#"{"lambda_min_clipped": Infinity}"#, "lambda_min_clipped"),
            (r#"{"_class_name": 3}"#, "_class_name"),
        ] {
            assert!(error(json).starts_with(&format!("`{field}` ")), "{json}: {}", error(json));
        }
    }

    #[test]
    fn text_that_is_no_json_object_is_an_error() {
        for json in ["", "[]", "{", "null", "\u{0}"] {
            assert!(error(json).starts_with("the scheduler config is not a JSON object: "));
        }
    }

    #[test]
    fn a_clip_that_leaves_no_timestep_is_an_error() {
        assert_eq!(
            build_error(r#"{"lambda_min_clipped": 100}"#, SchedulerKind::DpmSolverMultistep, 10).to_string(),
            "`lambda_min_clipped` of the scheduler config: 100 leaves no timestep: use -5.1"
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
    fn karras_sigmas_on_request_need_a_sampler_that_has_them() {
        let config = SchedulerConfig::from_json("{}").unwrap().with_karras_sigmas(true);
        assert_eq!(
            config.build(SchedulerKind::Ddim, 10).unwrap_err().to_string(),
            "ddim does not support `use_karras_sigmas` = true: set it to false, or choose another \
             scheduler"
        );
        // From the file, diffusers' from_config drops it.
        let file = SchedulerConfig::from_json(r#"{"use_karras_sigmas": true}"#).unwrap();
        assert!(file.build(SchedulerKind::Ddim, 10).is_ok());
    }
}
