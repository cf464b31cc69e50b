use ae_clip::{Subject, TokenizedPrompt};
use ae_guidance::{Guidance, Subjects};

use crate::attention::CrossAttentionLayers;
use crate::{Method, Pipeline, PipelineError, Request};

/// Attend-and-Excite, set up for one request.
pub(crate) struct GuidedRun {
    pub(crate) guidance: Guidance,
    pub(crate) layers: CrossAttentionLayers,
    pub(crate) subjects: Vec<Subject>,
    /// Steps that image-to-image leaves out: guidance counts them, since its thresholds belong to noise levels.
    pub(crate) first_step: usize,
}

impl GuidedRun {
    /// None for plain sampling.
    pub(crate) fn set_up(
        pipeline: &Pipeline,
        request: &Request,
        prompt: &TokenizedPrompt,
        latent_size: [usize; 2],
        first_step: usize,
    ) -> Result<Option<Self>, PipelineError> {
        let Method::AttendAndExcite { subjects, settings, attention_resolution, eot_normalization } = &request.method
        else {
            return Ok(None);
        };
        let subjects = subjects.resolve(prompt)?;
        let layers = CrossAttentionLayers::find(pipeline, latent_size, *attention_resolution)?;
        let positions = subjects.iter().map(|subject| subject.positions.clone()).collect();
        let eot = eot_normalization.is_on(pipeline.family).then(|| prompt.end());
        let tokens = Subjects::new(positions, pipeline.text_encoder().tokenizer.max_length(), eot)?;
        let guidance = Guidance::new(settings.clone(), tokens, layers.resolution)?;
        Ok(Some(Self { guidance, layers, subjects, first_step }))
    }
}
