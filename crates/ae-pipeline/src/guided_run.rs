use ae_clip::{Subject, TokenizedPrompt};
use ae_guidance::{Guidance, Subjects};
use ae_unet::UNet2DConditionModel;

use crate::attention::GuidedLayers;
use crate::{Method, Pipeline, PipelineError, Request};

/// Attend-and-Excite, set up for one request.
pub(crate) struct GuidedRun {
    pub(crate) guidance: Guidance,
    pub(crate) layers: GuidedLayers,
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
        let reduction = pipeline.defaults().attention_reduction;
        let resolution = attention_resolution.unwrap_or(latent_size.map(|side| side.div_ceil(reduction)));
        // The layout alone: parameters of a network that is not loaded take no memory.
        let layout = UNet2DConditionModel::new(&pipeline.unet_config, &pipeline.device);
        let layers = GuidedLayers::find(&layout, latent_size, resolution)?;
        let positions = subjects.iter().map(|subject| subject.positions.clone()).collect();
        let eot = eot_normalization.is_on(pipeline.family).then(|| prompt.end());
        let tokens = Subjects::new(positions, pipeline.tokenizer.max_length(), eot)?;
        let guidance = Guidance::new(settings.clone(), tokens, resolution)?;
        Ok(Some(Self { guidance, layers, subjects, first_step }))
    }
}
