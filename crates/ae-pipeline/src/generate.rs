use ae_tensor::compute_on;

use crate::run::{Observer, Run};
use crate::{Output, Picture, Pipeline, PipelineError, Request, Trace};

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
        compute_on(&self.device, || self.generate_here(request, observe))
    }

    fn generate_here(&self, request: &Request, observe: &mut Observer<'_>) -> Result<Output, PipelineError> {
        let mut run = Run::set_up(self, request)?;
        let steps = run.denoise(observe)?;
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
