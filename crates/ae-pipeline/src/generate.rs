use ae_tensor::compute_on;

use crate::run::{Observer, Run};
use crate::{Output, Picture, Pipeline, PipelineError, Prepared, Request, Trace};

impl Pipeline {
    /// Draws one image per seed: [`prepare`](Self::prepare), then [`draw`](Self::draw).
    ///
    /// # Errors
    ///
    /// Those of both.
    pub fn generate(&self, request: &Request, observe: &mut Observer<'_>) -> Result<Output, PipelineError> {
        self.draw(&self.prepare(request)?, observe)
    }

    /// Draws one image per seed of a request that [this pipeline](Self::prepare) has prepared.
    ///
    /// The seeds are drawn together as a batch; each image is the one its seed gives alone, up to
    /// rounding. `observe` hears of every event and ends the run by breaking.
    ///
    /// # Errors
    ///
    /// When a result is not finite, the device fails, or `observe` breaks ([`PipelineError::Interrupted`]).
    pub fn draw(&self, prepared: &Prepared, observe: &mut Observer<'_>) -> Result<Output, PipelineError> {
        compute_on(&self.device, || self.draw_here(prepared, observe))
    }

    fn draw_here(&self, prepared: &Prepared, observe: &mut Observer<'_>) -> Result<Output, PipelineError> {
        let mut run = Run::set_up(self, prepared)?;
        let steps = run.denoise(observe)?;
        let latents = run.latents;
        let images = self.decode_tiled(latents.clone(), prepared.settings().vae_tiling)?;
        let subjects = prepared.guided.as_ref().map_or(&[][..], |_| prepared.subjects());

        let pictures = prepared.seeds.iter().zip(images).zip(latents.split(1, 0)).zip(steps);
        let pictures = pictures.map(|(((&seed, image), latents), steps)| {
            let trace = Trace { subjects: subjects.to_vec(), steps };
            Picture { seed, image, latents, trace }
        });
        Ok(Output { pictures: pictures.collect() })
    }
}
