use ae_pipeline::{
    EotNormalization, GaussianSmoothing, GuidanceSettings, LoadOptions, Method, PhraseChoice, Pipeline, Request,
    SchedulerKind, SubjectChoice, VaeTiling,
};
use ae_server::EngineError;
use ae_settings::{EmbeddingRef, FileRef, LoraRef, Overrides, Settings, SettingsError, StepIndex, Thresholds};
use ae_tensor::NoiseKind;
use serde_json::Value;

/// The method of a request, and what it says of the subjects.
pub(crate) fn subjects(given: &Overrides) -> SubjectChoice {
    match (&given.subjects, &given.token_indices) {
        (Some(words), _) => SubjectChoice::Words(words.clone()),
        (None, Some(indices)) => SubjectChoice::Indices(indices.clone()),
        (None, None) => SubjectChoice::Auto,
    }
}

/// What every model is loaded with.
pub(crate) fn loaded(options: &LoadOptions) -> Overrides {
    let file = |path: &std::path::Path| FileRef::new(path.display().to_string());
    let lora =
        |lora: &ae_pipeline::LoraChoice| LoraRef { name: file(&lora.path).name, sha256: None, strength: lora.strength };
    let embedding = |embedding: &ae_pipeline::EmbeddingChoice| EmbeddingRef {
        name: file(&embedding.path).name,
        sha256: None,
        token: embedding.token.clone(),
    };
    let mut loaded = Overrides::default();
    loaded.dtype = options.dtype.to_string().parse().ok();
    loaded.vae = options.vae.as_deref().map(file);
    loaded.loras = Some(options.loras.iter().map(lora).collect());
    loaded.embeddings = Some(options.embeddings.iter().map(embedding).collect());
    loaded.prediction_type = options.prediction_type.and_then(|kind| kind.to_string().parse().ok());
    loaded
}

/// What suits a model.
pub(crate) fn defaults(pipeline: &Pipeline) -> Overrides {
    let ([height, width], model) = (pipeline.default_size(), pipeline.defaults());
    let mut defaults = Overrides::default();
    (defaults.height, defaults.width) = (Some(height), Some(width));
    defaults.steps = Some(model.num_inference_steps);
    defaults.guidance_scale = Some(model.guidance_scale);
    defaults.scheduler = pipeline.default_scheduler().ok().and_then(|kind| kind.name().parse().ok());
    defaults.attend_and_excite.scale_factor = Some(model.scale_factor);
    defaults.attend_and_excite.attention_scale = Some(model.attention_scale);
    defaults
}

/// Refuses what a request asks for and the studio cannot do.
pub(crate) fn check(given: &Overrides, loaded: &Overrides) -> Result<(), EngineError> {
    let refuse = |field: &str, reason: &str| Err(EngineError::refused(field, format!("{field} {reason}")));
    if given.init_image.is_some() {
        return refuse("init_image", "is given: the studio draws without an initial image");
    }
    for (field, is_given) in
        [("timestep_spacing", given.timestep_spacing.is_some()), ("sigmas", given.sigmas.is_some())]
    {
        if is_given {
            return refuse(field, "is given: the studio samples as the model says; leave it out");
        }
    }
    let (given, loaded) = (given.to_json(), loaded.to_json());
    for field in ["dtype", "vae", "loras", "embeddings", "prediction_type"] {
        let Some(given) = given.get(field) else { continue };
        let loaded = loaded.get(field).unwrap_or(&Value::Null);
        if base_names(given) != base_names(loaded) {
            return refuse(field, &format!("is {given}: the studio was started with {loaded}"));
        }
    }
    Ok(())
}

/// Files by their base names alone.
fn base_names(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(base_names).collect(),
        Value::Object(file) => {
            let mut file = file.clone();
            file.remove("sha256");
            let name = file.get("name").and_then(Value::as_str).map(|name| FileRef::new(name).base_name().to_owned());
            file.insert("name".to_owned(), Value::from(name));
            Value::Object(file)
        }
        other => other.clone(),
    }
}

/// A request with the numbers of its steps in place of shares, as the pipeline takes them.
pub(crate) fn with_counted_steps(given: &Overrides, pipeline: &Pipeline) -> Result<Overrides, SettingsError> {
    let settings = Settings::combine([&defaults(pipeline), given])?;
    let guidance = &settings.attend_and_excite;
    let altered = guidance.max_iter_to_alter.resolve(settings.steps);
    let thresholds = guidance.thresholds.resolve(settings.steps, altered);
    let mut counted = given.clone();
    if settings.method == ae_settings::Method::AttendAndExcite {
        let step = |(step, threshold)| (StepIndex::Steps(step), threshold);
        counted.attend_and_excite.max_iter_to_alter = Some(StepIndex::Steps(altered));
        counted.attend_and_excite.thresholds = Some(Thresholds::new(thresholds.into_iter().map(step)));
    }
    Ok(counted)
}

/// A request of the API, with counted steps, over the model's defaults.
pub(crate) fn translate(given: &Overrides, pipeline: &Pipeline, seed: u64) -> Result<Request, SettingsError> {
    let settings = Settings::combine([&defaults(pipeline), given])?;
    let guidance = &settings.attend_and_excite;
    let altered = guidance.max_iter_to_alter.resolve(settings.steps);
    let method = match settings.method {
        ae_settings::Method::AttendAndExcite => Method::AttendAndExcite {
            subjects: subjects(given),
            settings: GuidanceSettings {
                max_iter_to_alter: altered,
                thresholds: guidance.thresholds.resolve(settings.steps, altered),
                max_refinement_steps: guidance.max_refinement_steps,
                scale_factor: guidance.scale_factor,
                scale_range: guidance.scale_range,
                attention_scale: guidance.attention_scale,
                smoothing: guidance
                    .smoothing
                    .then_some(GaussianSmoothing { kernel_size: guidance.kernel_size, sigma: guidance.sigma }),
            },
            attention_resolution: guidance.attention_res,
            eot_normalization: match guidance.eot_normalization {
                ae_settings::EotNormalization::On => EotNormalization::On,
                ae_settings::EotNormalization::Off => EotNormalization::Off,
                _ => EotNormalization::Auto,
            },
        },
        ae_settings::Method::StructureDiffusion => Method::StructureDiffusion {
            phrases: settings.phrases.clone().map_or(PhraseChoice::Auto, PhraseChoice::Phrases),
        },
        ae_settings::Method::ComposableDiffusion => Method::ComposableDiffusion,
        _ => Method::StableDiffusion,
    };
    let scheduler =
        |kind: ae_settings::SchedulerKind| SchedulerKind::ALL.into_iter().find(|own| own.name() == kind.name());
    Ok(Request {
        negative_prompt: settings.negative_prompt.clone(),
        prompt_weighting: settings.prompt_weighting,
        clip_skip: settings.clip_skip,
        vae_tiling: settings.vae_tiling.then(VaeTiling::default),
        seeds: vec![seed],
        noise: NoiseKind::ALL.into_iter().find(|kind| kind.name() == settings.rng.name()).unwrap_or_default(),
        height: given.height,
        width: given.width,
        num_inference_steps: settings.steps,
        guidance_scale: settings.guidance_scale,
        scheduler: given.scheduler.and_then(scheduler),
        method,
        attention_maps: true,
        ..pipeline.request(&settings.prompt)
    })
}
