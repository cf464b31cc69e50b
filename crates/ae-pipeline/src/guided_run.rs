use ae_checkpoint::Family;
use ae_clip::{Subject, TokenizedPrompt};
use ae_guidance::{GaussianSmoothing, Guidance, GuidanceSettings, Subjects};
use ae_settings::{AttendAndExcite, EotNormalization, Method, Settings};

use crate::attention::CrossAttentionLayers;
use crate::{Pipeline, PipelineError};

/// Attend-and-Excite, set up for one request.
#[derive(Clone, Debug)]
pub(crate) struct GuidedRun {
    pub(crate) guidance: Guidance,
    pub(crate) layers: CrossAttentionLayers,
}

impl GuidedRun {
    /// None for plain sampling.
    pub(crate) fn set_up(
        pipeline: &Pipeline,
        settings: &Settings,
        subjects: &[Subject],
        prompt: &TokenizedPrompt,
        latent_size: [usize; 2],
    ) -> Result<Option<Self>, PipelineError> {
        if settings.method != Method::AttendAndExcite {
            return Ok(None);
        }
        let own = &settings.attend_and_excite;
        let layers = CrossAttentionLayers::find(pipeline, latent_size, own.attention_res)?;
        let positions = subjects.iter().map(|subject| subject.positions.clone()).collect();
        let leaves_out_end = match own.eot_normalization {
            EotNormalization::On => true,
            EotNormalization::Off => false,
            _ => pipeline.family == Family::StableDiffusion2,
        };
        let eot = leaves_out_end.then(|| prompt.end());
        let tokens = Subjects::new(positions, pipeline.tokenizer.max_length(), eot)?;
        let guidance = Guidance::new(guidance_settings(own, settings.steps), tokens, layers.resolution)?;
        Ok(Some(Self { guidance, layers }))
    }
}

/// The parameters in a run of so many denoising steps.
fn guidance_settings(own: &AttendAndExcite, steps: usize) -> GuidanceSettings {
    let max_iter_to_alter = own.max_iter_to_alter.resolve(steps);
    GuidanceSettings {
        max_iter_to_alter,
        thresholds: own.thresholds.resolve(steps, max_iter_to_alter),
        max_refinement_steps: own.max_refinement_steps,
        scale_factor: own.scale_factor,
        scale_range: own.scale_range,
        attention_scale: own.attention_scale,
        smoothing: own.smoothing.then_some(GaussianSmoothing { kernel_size: own.kernel_size, sigma: own.sigma }),
    }
}
