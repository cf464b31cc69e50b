//! diffusers' `scheduler_config.json`.

use ae_config::{ConfigError, Fields};
use serde::Deserialize;
use serde_json::Value;

use crate::ddim::ddim;
use crate::ddpm::ddpm;
use crate::dpm_solver::DpmSolverMultistep;
use crate::euler::Euler;
use crate::lcm::lcm;
use crate::lms::Lms;
use crate::pndm::Pndm;
use crate::schedule::BetaSchedule;
use crate::second_order::SecondOrder;
use crate::sigmas::FinalSigmas;
use crate::tcd::tcd;
use crate::unipc::UniPc;
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
    /// The same of [`with_timestep_spacing`](Self::with_timestep_spacing).
    spacing_requested: bool,
    /// Set by [`with_eta`](Self::with_eta): it stands in no file.
    pub(crate) eta: f64,
    /// Every field of the file, for the check of options that are not supported.
    pub(crate) fields: Fields,

    // Fields with the same default in every class, but for some of those below (`as_read_by`).
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

    // Fields of DDIM and its like.
    pub(crate) clip_sample: bool,
    pub(crate) clip_sample_range: f64,

    // Fields of the sigma-based samplers.
    pub(crate) sigmas: SigmaSpacing,
    pub(crate) sigma_min: Option<f64>,
    pub(crate) sigma_max: Option<f64>,
    pub(crate) final_sigmas_type: FinalSigmas,

    /// Of DDPM: `variance_type` is `fixed_large`.
    pub(crate) fixed_large: bool,

    // Fields of LCM and TCD.
    pub(crate) original_inference_steps: usize,
    pub(crate) timestep_scaling: f64,

    /// Of UniPC: `solver_type` is `bh1`.
    pub(crate) bh1: bool,

    // Fields of DPM-Solver++, the first one of UniPC too.
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

    /// The fields of a `scheduler_config.json` that no sampler knows. diffusers ignores them with a warning.
    pub fn ignored(fields: &Fields) -> Vec<String> {
        unsupported::ignored(fields)
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
        self.spacing_requested = true;
        self
    }

    /// Sets how much of the noise is drawn afresh in every step, from 0, the default, to 1: an argument of the steps of DDIM and
    /// TCD in diffusers. Above 0 [`build`](Self::build) refuses the samplers that have none.
    #[must_use]
    pub fn with_eta(mut self, eta: f64) -> Self {
        self.eta = eta;
        self
    }

    /// Sets what the model predicts, whatever the file says.
    #[must_use]
    pub fn with_prediction_type(mut self, prediction_type: PredictionType) -> Self {
        self.prediction_type = prediction_type;
        self.fields.set("prediction_type", prediction_type.name());
        self
    }

    /// Sets fields of the file, whatever it says; `source` is what errors call where they are from.
    ///
    /// # Errors
    ///
    /// When a field has the wrong type or a value outside its range.
    pub fn with_fields<'a>(
        mut self,
        source: &str,
        fields: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<Self, ConfigError> {
        for (field, value) in fields {
            self.fields.set(field, value);
        }
        self.fields.from_file(source).try_into()
    }

    /// The config as diffusers' `StableDiffusionPipeline` uses it: latents are never clipped, and the
    /// timesteps are offset by one, whatever an outdated file says or leaves unsaid.
    #[must_use]
    pub fn for_latent_diffusion(mut self) -> Self {
        self.clip_sample = false;
        self.steps_offset = 1;
        self
    }

    /// The text of a `scheduler_config.json` that is read as this config: every field of the file it was read from, with what was set.
    pub fn to_json(&self) -> String {
        let fields = self.fields.names().filter_map(|name| Some((name.to_owned(), self.fields.get(name)?.clone())));
        format!("{:#}", Value::Object(fields.collect()))
    }

    /// What the U-Net predicts.
    pub fn prediction_type(&self) -> PredictionType {
        self.prediction_type
    }

    /// How the timesteps are spread, if the file or [`with_timestep_spacing`](Self::with_timestep_spacing) says so; else as the sampler's
    /// class does.
    pub fn timestep_spacing(&self) -> Option<Spacing> {
        self.timestep_spacing
    }

    /// The sampler that the model's folder asks for (`_class_name`).
    ///
    /// # Errors
    ///
    /// [`SchedulerError::MissingClass`] or [`SchedulerError::UnknownClass`]. The config can still be
    /// used with a sampler of the caller's choice.
    pub fn kind(&self) -> Result<SchedulerKind, SchedulerError> {
        let class_name = self.class_name.as_ref().ok_or(SchedulerError::MissingClass)?;
        let kinds = SchedulerKind::ALL.iter().copied();
        let mut kinds = kinds.filter(|kind| kind.class_name() == class_name && self.has_algorithm_of(*kind));
        kinds.next().ok_or_else(|| {
            let reason = class_name.parse::<SchedulerKind>().err().and_then(|error| error.reason);
            SchedulerError::UnknownClass { class_name: class_name.clone(), reason }
        })
    }

    /// Whether the file's `algorithm_type`, by which one class is two samplers, is that of `kind`.
    fn has_algorithm_of(&self, kind: SchedulerKind) -> bool {
        let is_stochastic = self.fields.get("algorithm_type").is_some_and(|value| value == "sde-dpmsolver++");
        match kind {
            SchedulerKind::DpmSolverMultistep => !is_stochastic,
            SchedulerKind::DpmSolverMultistepSde => is_stochastic,
            _ => true,
        }
    }

    /// Builds a sampler for `num_inference_steps` steps, diffusers' `set_timesteps`.
    ///
    /// # Errors
    ///
    /// [`SchedulerError::ZeroSteps`], [`SchedulerError::TooManySteps`] and
    /// [`SchedulerError::TimestepOutOfRange`] and [`SchedulerError::TooManyDistilledSteps`] for the number of steps; [`SchedulerError::Unsupported`]
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
        let config = &self.as_read_by(kind);
        config.check_requested(self, kind)?;
        Ok(match kind {
            SchedulerKind::Pndm => Box::new(Pndm::new(config, num_inference_steps, first)?),
            SchedulerKind::Ddim => Box::new(ddim(config, num_inference_steps, first)?),
            SchedulerKind::Ddpm => Box::new(ddpm(config, num_inference_steps, first)?),
            SchedulerKind::Lcm => Box::new(lcm(config, num_inference_steps, first)?),
            SchedulerKind::Tcd => Box::new(tcd(config, num_inference_steps, first)?),
            SchedulerKind::Euler | SchedulerKind::EulerAncestral => {
                Box::new(Euler::new(config, kind, num_inference_steps, first)?)
            }
            SchedulerKind::Heun | SchedulerKind::Kdpm2 | SchedulerKind::Kdpm2Ancestral => {
                Box::new(SecondOrder::new(config, kind, num_inference_steps, first)?)
            }
            SchedulerKind::Lms => Box::new(Lms::new(config, num_inference_steps, first)?),
            SchedulerKind::DpmSolverMultistep | SchedulerKind::DpmSolverMultistepSde => {
                Box::new(DpmSolverMultistep::new(config, kind, num_inference_steps, first)?)
            }
            SchedulerKind::UniPc => Box::new(UniPc::new(config, num_inference_steps, first)?),
        })
    }

    /// The config with the defaults of a sampler's class, and without the fields that the class does not know.
    fn as_read_by(&self, kind: SchedulerKind) -> Self {
        use SchedulerKind::{Ddim, Ddpm, EulerAncestral, Heun, Kdpm2, Kdpm2Ancestral, Lcm, Lms, Pndm, Tcd};
        let mut config = self.clone();
        let is_absent = |field| self.fields.get(field).is_none();
        if matches!(kind, Heun | Kdpm2 | Kdpm2Ancestral | Lcm | Tcd) {
            config.beta_start = if is_absent("beta_start") { 0.00085 } else { config.beta_start };
            config.beta_end = if is_absent("beta_end") { 0.012 } else { config.beta_end };
        }
        if matches!(kind, Lcm | Tcd) && is_absent("beta_schedule") {
            config.beta_schedule = BetaSchedule::ScaledLinear;
        }
        let clips = match kind {
            Ddim | Ddpm => true,
            Heun | Lcm => !is_absent("clip_sample"),
            _ => false,
        };
        config.clip_sample &= clips;
        if !kind.has_sigmas(config.sigmas) {
            config.sigmas = SigmaSpacing::Normal;
        }
        if matches!(kind, EulerAncestral | Heun | Lms | Kdpm2 | Kdpm2Ancestral) {
            config.final_sigmas_type = FinalSigmas::Zero;
        }
        if matches!(kind, Pndm | Heun | Lms | Kdpm2 | Kdpm2Ancestral) {
            config.rescale_betas_zero_snr = false;
        }
        if kind == Lms && config.sigmas == SigmaSpacing::Karras {
            (config.sigma_min, config.sigma_max) = (None, None);
        }
        config
    }

    /// Refuses what was asked for, by the caller of `given` or by clipping, and what `kind` lacks.
    fn check_requested(&self, given: &Self, kind: SchedulerKind) -> Result<(), SchedulerError> {
        let refuse = |option, value, supported| Err(SchedulerError::Unsupported { kind, option, value, supported });
        if given.sigmas_requested && !kind.has_sigmas(given.sigmas) {
            return refuse("sigmas", format!("\"{}\"", given.sigmas), "nothing");
        }
        if given.spacing_requested && !kind.has_timestep_spacing() {
            let spacing = given.timestep_spacing.map(Spacing::name).unwrap_or_default();
            return refuse("timestep_spacing", format!("\"{spacing}\""), "nothing");
        }
        if !(0.0..=1.0).contains(&given.eta) {
            return refuse("eta", given.eta.to_string(), "a number from 0 to 1");
        }
        if given.eta > 0.0 && !matches!(kind, SchedulerKind::Ddim | SchedulerKind::Tcd) {
            return refuse("eta", given.eta.to_string(), "0");
        }
        if self.clip_sample && kind == SchedulerKind::Heun {
            return refuse("clip_sample", "true".to_owned(), "false");
        }
        Ok(())
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
            spacing_requested: false,
            eta: 0.0,
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
            sigmas: match (
                fields.or("use_karras_sigmas", false)?,
                fields.or("use_exponential_sigmas", false)?,
                fields.or("use_beta_sigmas", false)?,
            ) {
                (true, _, _) => SigmaSpacing::Karras,
                (false, true, _) => SigmaSpacing::Exponential,
                (false, false, true) => SigmaSpacing::Beta,
                (false, false, false) => SigmaSpacing::Normal,
            },
            fixed_large: fields.get("variance_type").is_some_and(|value| value == "fixed_large"),
            original_inference_steps: fields.checked(
                "original_inference_steps",
                50,
                "a number of at least 1",
                |&steps| steps > 0,
            )?,
            timestep_scaling: fields.checked("timestep_scaling", 10.0, "a positive number", |&scale| scale > 0.0)?,
            bh1: fields.get("solver_type").is_some_and(|value| value == "bh1"),
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
    fn the_text_of_a_config_has_every_field_and_what_was_set() {
        let text =
            r#"{"_class_name": "DDIMScheduler", "beta_end": 0.012, "thresholding": false, "trained_betas": null}"#;
        let config = SchedulerConfig::from_json(text).unwrap().with_prediction_type(PredictionType::VPrediction);
        let written: Value = serde_json::from_str(&config.to_json()).unwrap();
        let mut expected: Value = serde_json::from_str(text).unwrap();
        expected["prediction_type"] = "v_prediction".into();
        assert_eq!(written, expected);
        let again = SchedulerConfig::from_json(&config.to_json()).unwrap();
        assert_eq!((again.kind(), again.prediction_type()), (Ok(SchedulerKind::Ddim), PredictionType::VPrediction));
        assert_eq!(again.to_json(), config.to_json());
    }

    #[test]
    fn the_class_name_chooses_the_sampler() {
        for &kind in SchedulerKind::ALL {
            let is_sde = kind == SchedulerKind::DpmSolverMultistepSde;
            let algorithm = if is_sde { r#", "algorithm_type": "sde-dpmsolver++""# } else { "" };
            let json = format!(r#"{{"_class_name": "{}"{algorithm}}}"#, kind.class_name());
            assert_eq!(SchedulerConfig::from_json(&json).unwrap().kind(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_class_can_be_replaced() {
        let config = SchedulerConfig::from_json(r#"{"_class_name": "KarrasVeScheduler"}"#).unwrap();
        assert_eq!(
            config.kind().unwrap_err().to_string(),
            "`KarrasVeScheduler` is not supported: choose another scheduler for this model (pndm, ddim, ddpm, euler, euler-a, \
             heun, lms, dpm2, dpm2-a, dpmpp-2m, dpmpp-2m-sde, unipc, lcm, tcd)"
        );
        let sde =
            SchedulerConfig::from_json(r#"{"_class_name": "DPMSolverSDEScheduler"}"#).unwrap().kind().unwrap_err();
        assert!(sde.to_string().contains("is not supported (its noise comes from a Brownian tree"), "{sde}");
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
                let scheduler = match config.build(kind, steps) {
                    Ok(scheduler) => scheduler,
                    Err(SchedulerError::TooManyDistilledSteps { .. }) if steps > 50 => continue,
                    Err(error) => panic!("{kind}, {spacing}, {steps}: {error}"),
                };
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
            let on_request = on_request.with_timestep_spacing(*spacing).build(kind, 7);
            if !kind.has_timestep_spacing() {
                assert!(matches!(on_request, Err(SchedulerError::Unsupported { option: "timestep_spacing", .. })));
                assert_eq!(of_file.build(kind, 7).unwrap().timesteps()[0], 999.0, "ignored as by diffusers");
                continue;
            }
            let on_request = on_request.unwrap();
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
            (SchedulerKind::Euler, SigmaSpacing::Beta, true),
            (SchedulerKind::Lms, SigmaSpacing::Karras, true),
            (SchedulerKind::UniPc, SigmaSpacing::Exponential, true),
            (SchedulerKind::Heun, SigmaSpacing::Beta, true),
            (SchedulerKind::Ddpm, SigmaSpacing::Karras, false),
            (SchedulerKind::Lcm, SigmaSpacing::Normal, false),
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

    #[test]
    fn eta_needs_a_sampler_that_has_it() {
        let config = SchedulerConfig::from_json(r#"{"skip_prk_steps": true, "clip_sample": false}"#).unwrap();
        for &kind in SchedulerKind::ALL {
            let built = config.clone().with_eta(0.5).build(kind, 10);
            assert_eq!(built.is_ok(), matches!(kind, SchedulerKind::Ddim | SchedulerKind::Tcd), "{kind}");
            assert!(config.clone().with_eta(0.0).build(kind, 10).is_ok(), "{kind}");
        }
        for eta in [-0.1, 1.5, f64::NAN] {
            assert!(config.clone().with_eta(eta).build(SchedulerKind::Ddim, 10).is_err(), "{eta}");
        }
    }

    #[test]
    fn distilled_models_take_no_more_steps_than_they_know() {
        let config = SchedulerConfig::from_json(r#"{"original_inference_steps": 40}"#).unwrap();
        assert_eq!(config.build(SchedulerKind::Lcm, 4).unwrap().timesteps(), [999., 749., 499., 249.]);
        assert_eq!(
            config.build(SchedulerKind::Tcd, 41).unwrap_err().to_string(),
            "tcd takes at most the 40 steps of `original_inference_steps`: use fewer than 41, or another scheduler"
        );
    }
}
