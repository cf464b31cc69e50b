use std::convert::Infallible;

use ae_guidance::GuidanceError;
use ae_settings::FloatType;
use ae_tensor::compute_on;
use ae_unet::AttentionProcessor;

use crate::inpainting::Inpainting;
use crate::run::{Observer, Run};
use crate::{Output, Picture, Pipeline, PipelineError, Prepared, Request, Trace};

/// A processor of the attention in the noise predictions of a run. Since it cannot end a pass, every prediction is a whole one.
pub type Processor<'a> = dyn AttentionProcessor<Break = Infallible> + Send + 'a;

impl Pipeline {
    /// Draws one image per seed: [`prepare`](Self::prepare), then [`draw`](Self::draw).
    ///
    /// # Errors
    ///
    /// Those of both.
    pub fn generate(&self, request: &Request, observe: &mut Observer<'_>) -> Result<Output, PipelineError> {
        self.generate_with(request, &mut (), observe)
    }

    /// Draws one image per seed with a processor of the attention: [`prepare`](Self::prepare), then
    /// [`draw_with`](Self::draw_with).
    ///
    /// # Errors
    ///
    /// Those of both.
    pub fn generate_with(
        &self,
        request: &Request,
        processor: &mut Processor<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Output, PipelineError> {
        self.draw_with(&self.prepare(request)?, processor, observe)
    }

    /// Draws one image per seed of a request that [this pipeline](Self::prepare) has prepared.
    ///
    /// The seeds are drawn together as a batch; each image is the one its seed gives alone, on the CPU bit by bit, elsewhere up to
    /// rounding. `observe` hears of every event and ends the run by breaking.
    ///
    /// # Errors
    ///
    /// When a result is not finite, the device fails, or `observe` breaks ([`PipelineError::Interrupted`]).
    pub fn draw(&self, prepared: &Prepared, observe: &mut Observer<'_>) -> Result<Output, PipelineError> {
        self.draw_with(prepared, &mut (), observe)
    }

    /// As [`draw`](Self::draw), with a processor that looks at attention probabilities or changes them.
    ///
    /// It works in the noise prediction of every step, whose batch has the images with the negative prompt first, then with
    /// the prompt (or its parts); without classifier-free guidance with the prompt alone. The passes of Attend-and-Excite's
    /// guidance are not processed. The request's [`attention_maps`](Request::attention_maps) show what it returns.
    ///
    /// # Errors
    ///
    /// As [`draw`](Self::draw).
    pub fn draw_with(
        &self,
        prepared: &Prepared,
        processor: &mut Processor<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Output, PipelineError> {
        compute_on(&self.device, || {
            let mut run = Run::set_up(self, prepared)?;
            let steps = run.denoise(processor, observe).map_err(|error| self.overflow(error));
            let steps = steps.map_err(|error| run.located(error))?;
            let images = self.decode_tiled(run.latents.clone(), prepared.settings().vae_tiling);
            let images = images.map_err(|error| run.located(error))?;
            let (latents, noise_traces) = (run.latents, run.noise_traces);
            let subjects = prepared.guided.as_ref().map_or(&[][..], |_| prepared.subjects());

            let records = steps.into_iter().zip(noise_traces);
            let pictures = prepared.seeds.iter().zip(images).zip(latents.split(1, 0)).zip(records);
            let inpainting = prepared.inpainting.as_deref();
            let pictures = pictures.map(|(((&seed, drawn), latents), (steps, initial_noise))| {
                let trace = Trace { subjects: subjects.to_vec(), initial_noise, steps };
                let finished = inpainting.and_then(|inpainting| inpainting.finished(&drawn));
                let part = inpainting.is_some_and(Inpainting::is_part).then(|| drawn.clone());
                Picture { seed, image: finished.unwrap_or(drawn), part, latents, trace }
            });
            Ok(Output { pictures: pictures.collect() })
        })
    }

    /// A loss that is not finite, in a type that overflows, is no matter of the settings.
    fn overflow(&self, error: PipelineError) -> PipelineError {
        match error {
            PipelineError::Guidance(GuidanceError::NotFinite { step }) if self.computed_dtype() == FloatType::F16 => {
                let stage = format!("losses of the guidance at step {step}");
                PipelineError::NotFinite { stage, dtype: self.computed_dtype() }
            }
            error => error,
        }
    }
}
