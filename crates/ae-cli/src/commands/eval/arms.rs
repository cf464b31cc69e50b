use std::collections::BTreeMap;

use ae_eval::Prompt;
use ae_pipeline::{GuidanceSettings, Method, PhraseChoice, Pipeline, SubjectChoice};

use super::prompts::distinct;
use crate::args::{Ablation, EvalRunArgs, MethodName};
use crate::error::CliError;
use crate::requests::{attend_and_excite, guidance_settings, request};

/// A method under the name of its folder.
pub(super) struct Arm {
    pub(super) name: String,
    method: Method,
}

impl Arm {
    fn new(name: impl Into<String>, method: Method) -> Self {
        Self { name: name.into(), method }
    }

    /// The method with the subjects of a prompt.
    pub(super) fn method(&self, prompt: &Prompt) -> Method {
        let mut method = self.method.clone();
        if let Method::AttendAndExcite { subjects, .. } = &mut method {
            *subjects = match (&prompt.subjects, &prompt.token_indices) {
                (Some(words), _) => SubjectChoice::Words(words.clone()),
                (None, Some(indices)) => SubjectChoice::Indices(indices.clone()),
                (None, None) => SubjectChoice::Auto,
            };
        }
        method
    }
}

/// What the command line compares.
pub(super) fn arms(args: &EvalRunArgs, pipeline: &Pipeline) -> Result<Vec<Arm>, CliError> {
    let guided = attend_and_excite(&args.guidance, pipeline, SubjectChoice::Auto);
    if let Some(ablation) = args.ablation {
        return ablation_arms(ablation, args, pipeline, &guided);
    }
    let arm = |name| {
        let method = match name {
            MethodName::StableDiffusion => Method::StableDiffusion,
            MethodName::AttendAndExcite => guided.clone(),
            MethodName::StructureDiffusion => Method::StructureDiffusion { phrases: PhraseChoice::Auto },
            MethodName::ComposableDiffusion => Method::ComposableDiffusion,
        };
        Arm::new(method.name(), method)
    };
    Ok(distinct(args.methods.iter().copied()).into_iter().map(arm).collect())
}

/// Plain sampling, the method as the options say, and what the ablation makes of it.
fn ablation_arms(
    ablation: Ablation,
    args: &EvalRunArgs,
    pipeline: &Pipeline,
    guided: &Method,
) -> Result<Vec<Arm>, CliError> {
    let own = guidance_settings(&args.guidance, pipeline);
    let steps = args.sampling.steps.unwrap_or(pipeline.defaults().num_inference_steps);
    // With settings changed, or at another resolution.
    let changed = |name: String, change: &dyn Fn(&mut GuidanceSettings)| {
        let mut method = guided.clone();
        if let Method::AttendAndExcite { settings, .. } = &mut method {
            change(settings);
        }
        Arm::new(name, method)
    };
    let mut arms = vec![Arm::new("stable-diffusion", Method::StableDiffusion)];
    match ablation {
        Ablation::AlteredSteps => {
            let half = own.max_iter_to_alter;
            arms.push(changed(format!("first-{half}-steps"), &|_| {}));
            // PNDM has one more timestep than steps.
            arms.push(changed("all-steps".to_owned(), &|settings| settings.max_iter_to_alter = steps + 1));
        }
        Ablation::Smoothing => {
            arms.push(changed("smoothed".to_owned(), &|_| {}));
            arms.push(changed("not-smoothed".to_owned(), &|settings| settings.smoothing = None));
        }
        Ablation::Refinement => {
            arms.push(changed("refined".to_owned(), &|_| {}));
            arms.push(changed("not-refined".to_owned(), &|settings| settings.thresholds.clear()));
        }
        Ablation::Thresholds => {
            arms.push(changed("default".to_owned(), &|_| {}));
            for (step, threshold) in [(0, 0.05), (10, 0.5), (20, 0.8)] {
                let only = BTreeMap::from([(step, threshold)]);
                arms.push(changed(format!("only-{step}"), &|settings| settings.thresholds.clone_from(&only)));
            }
            let strict = BTreeMap::from([(0, 0.5), (5, 0.7), (10, 0.8), (15, 0.9), (20, 0.9)]);
            arms.push(changed("stricter".to_owned(), &|settings| settings.thresholds.clone_from(&strict)));
        }
        Ablation::ScaleFactor => {
            for factor in [0.25, 0.5, 1.0, 2.0, 4.0].map(|times| times * own.scale_factor) {
                arms.push(changed(format!("scale-{factor}"), &|settings| settings.scale_factor = factor));
            }
        }
        Ablation::AttentionScale => {
            let mut scales = vec![5.0, 15.0, 50.0, 100.0, own.attention_scale];
            scales.sort_by(f64::total_cmp);
            scales.dedup();
            for scale in scales {
                arms.push(changed(format!("attention-scale-{scale}"), &|settings| settings.attention_scale = scale));
            }
        }
        Ablation::AttentionResolution => {
            let request = request(&args.sampling, pipeline, "", Method::StableDiffusion);
            for resolution in pipeline.attention_resolutions(&request)? {
                let mut method = guided.clone();
                if let Method::AttendAndExcite { attention_resolution, .. } = &mut method {
                    *attention_resolution = Some(resolution);
                }
                arms.push(Arm::new(format!("maps-{}x{}", resolution[0], resolution[1]), method));
            }
        }
    }
    Ok(arms)
}
