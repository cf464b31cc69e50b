use std::convert::Infallible;

use ae_tensor::compute_on;
use ae_unet::AttentionProcessor;

use crate::run::{Observer, Run};
use crate::{Output, Picture, Pipeline, PipelineError, Request, Trace};

/// A processor of the attention in the noise predictions of a run. Since it cannot end a pass, every prediction is a whole one.
pub type Processor<'a> = dyn AttentionProcessor<Break = Infallible> + Send + 'a;

impl Pipeline {
    /// Draws one picture per seed.
    ///
    /// The seeds are drawn together as a batch; each picture is the one its seed gives alone, up to
    /// rounding. `observe` hears of every event and ends the run by breaking.
    ///
    /// # Errors
    ///
    /// When an option is outside its range, a subject is not in the prompt, a result is not finite, the device
    /// fails, or `observe` breaks ([`PipelineError::Interrupted`]).
    pub fn generate(&self, request: &Request, observe: &mut Observer<'_>) -> Result<Output, PipelineError> {
        self.generate_with(request, &mut (), observe)
    }

    /// As [`generate`](Self::generate), with a processor that looks at attention probabilities or changes them.
    ///
    /// It works in the noise prediction of every step, whose batch has the pictures with the negative prompt first, then with
    /// the prompt (or its parts); without classifier-free guidance with the prompt alone. The passes of Attend-and-Excite's
    /// guidance are not processed. The request's [`attention_maps`](Request::attention_maps) show what it returns.
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub fn generate_with(
        &self,
        request: &Request,
        processor: &mut Processor<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Output, PipelineError> {
        compute_on(&self.device, || self.generate_here(request, processor, observe))
    }

    fn generate_here(
        &self,
        request: &Request,
        processor: &mut Processor<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Output, PipelineError> {
        let mut run = Run::set_up(self, request)?;
        let steps = run.denoise(processor, observe)?;
        let subjects = run.subjects().to_vec();
        let Run { prompt, latents, .. } = run;
        let images = self.decode_with(latents.clone(), request.vae_tiling)?;

        let pictures = request.seeds.iter().zip(images).zip(latents.split(1, 0)).zip(steps);
        let pictures = pictures.map(|(((&seed, image), latents), steps)| {
            let trace = Trace { subjects: subjects.clone(), steps };
            Picture { seed, image, latents, trace }
        });
        Ok(Output { pictures: pictures.collect(), prompt, subjects })
    }
}
