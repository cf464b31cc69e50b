use ae_pipeline::{
    EotNormalization, GaussianSmoothing, GuidanceSettings, Method, Pipeline, Request, SchedulerKind, SubjectChoice,
};
use ae_server::{EngineError, GenerateRequest, GuidanceOptions};
use ae_tensor::NoiseKind;

/// What a request names, as the pipeline knows it.
pub(crate) struct Names {
    pub(crate) is_guided: bool,
    scheduler: Option<SchedulerKind>,
    noise: NoiseKind,
    eot_normalization: EotNormalization,
}

impl Names {
    /// The default first.
    pub(crate) const METHODS: [&str; 2] = ["attend-and-excite", "stable-diffusion"];

    pub(crate) fn parse(request: &GenerateRequest) -> Result<Self, EngineError> {
        let method = request.method.as_deref().unwrap_or(Self::METHODS[0]);
        if !Self::METHODS.contains(&method) {
            return Err(unknown("method", method, &Self::METHODS));
        }
        let scheduler = request.scheduler.as_deref().map(|name| {
            let known: Vec<_> = SchedulerKind::ALL.iter().map(|kind| kind.name()).collect();
            let mut kinds = SchedulerKind::ALL.iter().copied();
            kinds.find(|kind| kind.name() == name).ok_or_else(|| unknown("scheduler", name, &known))
        });
        let noise = request.rng.as_deref().map(|name| {
            let known: Vec<_> = NoiseKind::ALL.iter().map(|kind| kind.name()).collect();
            let mut kinds = NoiseKind::ALL.iter().copied();
            kinds.find(|kind| kind.name() == name).ok_or_else(|| unknown("rng", name, &known))
        });
        let eot = request.attend_and_excite.eot_normalization.as_deref().map(|name| {
            let all = [EotNormalization::Auto, EotNormalization::On, EotNormalization::Off];
            let known = all.map(EotNormalization::name);
            all.into_iter().find(|eot| eot.name() == name).ok_or_else(|| unknown("eot_normalization", name, &known))
        });
        Ok(Self {
            is_guided: method == Self::METHODS[0],
            scheduler: scheduler.transpose()?,
            noise: noise.transpose()?.unwrap_or_default(),
            eot_normalization: eot.transpose()?.unwrap_or_default(),
        })
    }
}

fn unknown(option: &str, name: &str, known: &[&str]) -> EngineError {
    let name: String = name.chars().take(40).collect();
    EngineError::Refused(format!("{option} is '{name}': expected one of {}", known.join(", ")))
}

/// Whose attention a request is about.
pub(crate) fn subjects(request: &GenerateRequest) -> SubjectChoice {
    match (&request.subjects, &request.token_indices) {
        (Some(words), _) => SubjectChoice::Words(words.clone()),
        (None, Some(indices)) => SubjectChoice::Indices(indices.clone()),
        (None, None) => SubjectChoice::Auto,
    }
}

/// A request of the API over the model's defaults.
pub(crate) fn translate(from: &GenerateRequest, pipeline: &Pipeline, seed: u64) -> Result<Request, EngineError> {
    let names = Names::parse(from)?;
    let mut request = pipeline.request(&from.prompt);
    request.negative_prompt.clone_from(&from.negative_prompt);
    request.prompt_weighting = from.prompt_weighting;
    request.clip_skip = from.clip_skip;
    request.seeds = vec![seed];
    request.noise = names.noise;
    request.height = from.height;
    request.width = from.width;
    request.scheduler = names.scheduler;
    request.num_inference_steps = from.steps.unwrap_or(request.num_inference_steps);
    request.guidance_scale = from.guidance_scale.unwrap_or(request.guidance_scale);
    request.attention_maps = true;
    request.method = if names.is_guided {
        let options = &from.attend_and_excite;
        Method::AttendAndExcite {
            subjects: subjects(from),
            settings: guidance(options, pipeline.defaults().guidance()),
            attention_resolution: options.attention_res,
            eot_normalization: names.eot_normalization,
        }
    } else {
        Method::StableDiffusion
    };
    Ok(request)
}

fn guidance(options: &GuidanceOptions, defaults: GuidanceSettings) -> GuidanceSettings {
    let smoothing = GaussianSmoothing::default();
    let smoothing = GaussianSmoothing {
        kernel_size: options.kernel_size.unwrap_or(smoothing.kernel_size),
        sigma: options.sigma.unwrap_or(smoothing.sigma),
    };
    GuidanceSettings {
        max_iter_to_alter: options.max_iter_to_alter.unwrap_or(defaults.max_iter_to_alter),
        thresholds: options.thresholds.clone().unwrap_or(defaults.thresholds),
        max_refinement_steps: options.max_refinement_steps.unwrap_or(defaults.max_refinement_steps),
        scale_factor: options.scale_factor.unwrap_or(defaults.scale_factor),
        scale_range: options.scale_range.unwrap_or(defaults.scale_range),
        attention_scale: options.attention_scale.unwrap_or(defaults.attention_scale),
        smoothing: options.smoothing.unwrap_or(true).then_some(smoothing),
    }
}
