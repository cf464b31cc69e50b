use std::ops::ControlFlow;
use std::time::Instant;

use ae_clip::{Subject, TokenizedPrompt};
use ae_guidance::{Evaluation, Guidance, Subjects};
use ae_scheduler::Scheduler;
use ae_tensor::NoiseSource;
use burn::tensor::Tensor;

use crate::attention::{GuidedLayers, GuidedUNet};
use crate::init_image::draw;
use crate::{Event, Method, Output, Picture, Pipeline, PipelineError, Request, StepTrace, Trace};

/// Longest side of a picture in pixels: beyond it the latents alone exhaust the memory of any machine
/// before the first step ends.
const LARGEST_SIDE: usize = 8192;

/// Who hears of the events of a run, and can end it.
type Observer<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// Attend-and-Excite, set up for one request.
struct GuidedRun {
    guidance: Guidance,
    layers: GuidedLayers,
    subjects: Vec<Subject>,
    /// Steps that image-to-image leaves out: guidance counts them, since its thresholds belong to noise levels.
    first_step: usize,
}

/// An observer of guidance that passes its evaluations on.
fn tell(
    observe: &mut Observer<'_>,
    step: usize,
    num_steps: usize,
) -> impl FnMut(Evaluation<'_>) -> ControlFlow<()> {
    move |Evaluation { iteration, image, losses, .. }| {
        observe(Event::Evaluated { step, num_steps, iteration, picture: image, losses })
    }
}

impl Pipeline {
    /// Draws one picture per seed.
    ///
    /// The seeds are drawn together as a batch; each picture is the one its seed gives alone, up to
    /// rounding. `observe` hears of every event and ends the run by breaking.
    ///
    /// # Errors
    ///
    /// When an option is outside its range, a subject is not in the prompt, a result is not finite, or
    /// `observe` breaks ([`PipelineError::Interrupted`]).
    pub fn generate(&self, request: &Request, observe: &mut Observer<'_>) -> Result<Output, PipelineError> {
        request.check()?;
        let latent_size = self.latent_size(request)?;
        let first_step = request.init_image.as_ref().map_or(0, |init| init.first_step(request.num_inference_steps));
        let mut scheduler = self.build_scheduler(request, first_step)?;
        let prompt = self.tokenize_for(request, &request.prompt)?;
        let guided = self.set_up_guidance(request, &prompt.prompt, latent_size, first_step)?;

        let negative = self.tokenize_for(request, &request.negative_prompt)?;
        let embeddings = self.encode_for(request, &[&negative, &prompt])?;
        let mut noise: Vec<_> = request.seeds.iter().map(|&seed| NoiseSource::new(request.noise, seed)).collect();
        let [rows, cols] = latent_size;
        let shape = [1, self.vae_config.latent_channels, rows, cols];
        let mut draw = || draw(&mut noise, shape, &self.device);

        let latents = match &request.init_image {
            Some(init) => {
                let size = latent_size.map(|side| side * self.vae_config.scale());
                // The order of diffusers' draws: first the sample of the encoder, then the noise.
                let encoded = self.vae.encode(init.tensor(size, &self.device)).sample(draw());
                scheduler.add_noise(encoded, draw())
            }
            None => draw() * scheduler.init_noise_sigma(),
        };
        let (latents, steps) =
            self.denoise(request, scheduler.as_mut(), guided.as_ref(), &embeddings, latents, &mut draw, observe)?;
        let images = self.decode(latents.clone())?;

        let subjects = guided.map(|guided| guided.subjects).unwrap_or_default();
        let pictures = request.seeds.iter().zip(images).zip(latents.split(1, 0)).zip(steps);
        let pictures = pictures.map(|(((&seed, image), latents), steps)| {
            let trace = Trace { subjects: subjects.clone(), steps };
            Picture { seed, image, latents, trace }
        });
        Ok(Output { pictures: pictures.collect(), prompt: prompt.prompt, subjects })
    }

    /// The denoising loop; returns the final latents and, for every picture, its steps.
    #[expect(clippy::too_many_arguments, reason = "the loop of `generate`, apart for its length")]
    fn denoise(
        &self,
        request: &Request,
        scheduler: &mut dyn Scheduler,
        guided: Option<&GuidedRun>,
        embeddings: &Tensor<3>,
        mut latents: Tensor<4>,
        draw: &mut dyn FnMut() -> Tensor<4>,
        observe: &mut Observer<'_>,
    ) -> Result<(Tensor<4>, Vec<Vec<StepTrace>>), PipelineError> {
        let timesteps = scheduler.timesteps().to_vec();
        let num_steps = timesteps.len();
        let pictures = request.seeds.len();
        let negative = embeddings.clone().narrow(0, 0, 1);
        let positive = embeddings.clone().narrow(0, 1, 1);
        let context = Tensor::cat(vec![negative.repeat_dim(0, pictures), positive.clone().repeat_dim(0, pictures)], 0);
        let mut steps = vec![Vec::with_capacity(num_steps); pictures];
        for (step, &timestep) in timesteps.iter().enumerate() {
            let start = Instant::now();
            let mut guided_step = None;
            if let Some(GuidedRun { guidance, layers, first_step, .. }) = guided {
                let scale_input = |latents| scheduler.scale_model_input(latents, step);
                let unet =
                    GuidedUNet { unet: &self.unet, timestep, context: &positive, layers, scale_input: &scale_input };
                let (guided_as, of) = (first_step + step, first_step + num_steps);
                let shifted = guidance.guide(&unet, latents, guided_as, of, &mut tell(observe, step, num_steps))?;
                latents = shifted.latents();
                guided_step = Some(shifted);
            }
            let input = scheduler.scale_model_input(latents.clone(), step);
            let prediction = self.predict(input, timestep, &context, request.guidance_scale);
            latents = scheduler.step(prediction, step, latents, draw);
            // Only now, with the whole step handed to the device, does the host wait for the losses.
            let traces = match guided_step {
                Some(shifted) => shifted.read_traces(&mut tell(observe, step, num_steps))?,
                None => Vec::new(),
            };

            let seconds = start.elapsed().as_secs_f64();
            let mut traces = traces.into_iter();
            let ended: Vec<_> =
                (0..pictures).map(|_| StepTrace { timestep, guidance: traces.next(), seconds }).collect();
            let event = Event::Denoised { step, num_steps, traces: &ended, latents: &latents };
            if observe(event).is_break() {
                return Err(PipelineError::Interrupted);
            }
            for (steps, ended) in steps.iter_mut().zip(ended) {
                steps.push(ended);
            }
        }
        Ok((latents, steps))
    }

    /// The prediction with classifier-free guidance (Ho and Salimans 2022); without it up to a scale of 1.
    fn predict(&self, input: Tensor<4>, timestep: f64, context: &Tensor<3>, scale: f64) -> Tensor<4> {
        let pictures = input.dims()[0];
        if scale <= 1.0 {
            return self.unet.forward(input, timestep, &context.clone().narrow(0, pictures, pictures));
        }
        let both = self.unet.forward(input.repeat_dim(0, 2), timestep, context);
        let unconditional = both.clone().narrow(0, 0, pictures);
        let conditional = both.narrow(0, pictures, pictures);
        unconditional.clone() + (conditional - unconditional) * scale
    }

    fn build_scheduler(&self, request: &Request, first_step: usize) -> Result<Box<dyn Scheduler>, PipelineError> {
        let kind = request.scheduler.map_or_else(|| self.default_scheduler(), Ok)?;
        Ok(self.scheduler.build_from(kind, request.num_inference_steps, first_step)?)
    }

    /// Rows and columns of the latents.
    fn latent_size(&self, request: &Request) -> Result<[usize; 2], PipelineError> {
        let scale = self.vae_config.scale();
        let smallest = scale << self.unet_config.reductions();
        let [height, width] = match &request.init_image {
            Some(init) => {
                [init.image.height(), init.image.width()].map(|side| (side as usize / scale * scale).max(smallest))
            }
            None => self.default_size(),
        };
        let sides = [("height", request.height.unwrap_or(height)), ("width", request.width.unwrap_or(width))];
        for (option, side) in sides {
            if side % scale != 0 || side < smallest || side > LARGEST_SIDE {
                let expected = format!("a multiple of {scale} from {smallest} to {LARGEST_SIDE}");
                return Err(PipelineError::Option { option, value: side.to_string(), expected });
            }
        }
        Ok(sides.map(|(_, side)| side / scale))
    }

    fn set_up_guidance(
        &self,
        request: &Request,
        prompt: &TokenizedPrompt,
        latent_size: [usize; 2],
        first_step: usize,
    ) -> Result<Option<GuidedRun>, PipelineError> {
        let Method::AttendAndExcite { subjects, settings, attention_resolution, eot_normalization } = &request.method
        else {
            return Ok(None);
        };
        let subjects = subjects.resolve(prompt)?;
        let reduction = self.defaults().attention_reduction;
        let resolution = attention_resolution.unwrap_or(latent_size.map(|side| side.div_ceil(reduction)));
        let layers = GuidedLayers::find(&self.unet, latent_size, resolution)?;
        let positions = subjects.iter().map(|subject| subject.positions.clone()).collect();
        let eot = eot_normalization.is_on(self.family).then(|| prompt.end());
        let tokens = Subjects::new(positions, self.tokenizer.max_length(), eot)?;
        let guidance = Guidance::new(settings.clone(), tokens, resolution)?;
        Ok(Some(GuidedRun { guidance, layers, subjects, first_step }))
    }
}
