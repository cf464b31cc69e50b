//! From the command line to what the pipeline takes.

use ae_pipeline::{
    EmbeddingChoice, GaussianSmoothing, GuidanceSettings, LoadOptions, Method, Pipeline, Request, SubjectChoice,
    VaeTiling,
};

use crate::args::{GuidanceArgs, LoadArgs, SamplingArgs};

/// How a model is loaded, with textual inversions.
pub(crate) fn load_options(args: &LoadArgs, embeddings: &[EmbeddingChoice]) -> LoadOptions {
    let mut options = LoadOptions::from(args.dtype);
    options.vae.clone_from(&args.vae);
    options.loras.clone_from(&args.lora);
    options.embeddings = embeddings.to_vec();
    options.low_memory = args.low_memory;
    options.prediction_type = args.prediction_type;
    options
}

/// The request of one prompt: the command line over the model's defaults.
pub(crate) fn request(args: &SamplingArgs, pipeline: &Pipeline, prompt: &str, method: Method) -> Request {
    let defaults = pipeline.request(prompt);
    Request {
        clip_skip: args.clip_skip,
        vae_tiling: args.vae_tiling.then(VaeTiling::default),
        negative_prompt: args.negative_prompt.clone(),
        noise: args.rng,
        height: args.height,
        width: args.width,
        scheduler: args.scheduler,
        num_inference_steps: args.steps.unwrap_or(defaults.num_inference_steps),
        guidance_scale: args.guidance_scale.unwrap_or(defaults.guidance_scale),
        method,
        ..defaults
    }
}

/// Attend-and-Excite: the command line over the model's defaults.
pub(crate) fn attend_and_excite(args: &GuidanceArgs, pipeline: &Pipeline, subjects: SubjectChoice) -> Method {
    Method::AttendAndExcite {
        subjects,
        settings: guidance_settings(args, pipeline),
        attention_resolution: args.attention_res.map(|resolution| resolution.0),
        eot_normalization: args.eot_normalization.into(),
    }
}

/// Its settings.
pub(crate) fn guidance_settings(args: &GuidanceArgs, pipeline: &Pipeline) -> GuidanceSettings {
    let defaults = pipeline.defaults().guidance();
    let smoothing = GaussianSmoothing::default();
    GuidanceSettings {
        max_iter_to_alter: args.max_iter_to_alter,
        thresholds: args.thresholds.0.clone(),
        max_refinement_steps: args.max_refinement_steps,
        scale_factor: args.scale_factor.unwrap_or(defaults.scale_factor),
        scale_range: (args.scale_range.0, args.scale_range.1),
        attention_scale: args.attention_scale.unwrap_or(defaults.attention_scale),
        smoothing: (!args.no_smoothing).then_some(GaussianSmoothing {
            kernel_size: args.kernel_size.unwrap_or(smoothing.kernel_size),
            sigma: args.sigma.unwrap_or(smoothing.sigma),
        }),
    }
}
