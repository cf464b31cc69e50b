//! From the command line to what the pipeline takes.

use ae_pipeline::{
    EmbeddingChoice, GaussianSmoothing, GuidanceSettings, InitImage, LoadOptions, Method, Pipeline, Request,
    SubjectChoice, VaeTiling,
};
use image::RgbImage;

use crate::args::{GenerateArgs, LoadArgs, MethodName};

/// How a model is loaded, with textual inversions.
pub(crate) fn load_options(args: &LoadArgs, embeddings: &[EmbeddingChoice]) -> LoadOptions {
    LoadOptions {
        dtype: args.dtype,
        vae: args.vae.clone(),
        loras: args.lora.clone(),
        embeddings: embeddings.to_vec(),
        low_memory: args.low_memory,
        prediction_type: args.prediction_type,
    }
}

/// The request of one prompt: the command line over the model's defaults.
pub(super) fn request(
    args: &GenerateArgs,
    pipeline: &Pipeline,
    prompt: &str,
    subjects: SubjectChoice,
    init_image: Option<&RgbImage>,
) -> Request {
    let mut request = pipeline.request(prompt);
    request.prompt_weighting = args.prompts.prompt_weighting;
    request.clip_skip = args.clip_skip;
    request.vae_tiling = args.vae_tiling.then(VaeTiling::default);
    request.init_image = init_image.map(|image| InitImage { image: image.clone(), strength: args.strength });
    request.negative_prompt.clone_from(&args.negative_prompt);
    request.noise = args.rng;
    request.attention_maps = args.shows_steps();
    request.height = args.height;
    request.width = args.width;
    request.scheduler = args.scheduler;
    request.num_inference_steps = args.steps.unwrap_or(request.num_inference_steps);
    request.guidance_scale = args.guidance_scale.unwrap_or(request.guidance_scale);
    request.method = match args.method {
        MethodName::StableDiffusion => Method::StableDiffusion,
        MethodName::AttendAndExcite => {
            let guidance = &args.guidance;
            let defaults = pipeline.defaults().guidance();
            let smoothing = GaussianSmoothing::default();
            Method::AttendAndExcite {
                subjects,
                settings: GuidanceSettings {
                    max_iter_to_alter: guidance.max_iter_to_alter,
                    thresholds: guidance.thresholds.0.clone(),
                    max_refinement_steps: guidance.max_refinement_steps,
                    scale_factor: guidance.scale_factor.unwrap_or(defaults.scale_factor),
                    scale_range: (guidance.scale_range.0, guidance.scale_range.1),
                    attention_scale: guidance.attention_scale.unwrap_or(defaults.attention_scale),
                    smoothing: (!guidance.no_smoothing).then_some(GaussianSmoothing {
                        kernel_size: guidance.kernel_size.unwrap_or(smoothing.kernel_size),
                        sigma: guidance.sigma.unwrap_or(smoothing.sigma),
                    }),
                },
                attention_resolution: guidance.attention_res.map(|resolution| resolution.0),
                eot_normalization: guidance.eot_normalization.into(),
            }
        }
    };
    request
}
