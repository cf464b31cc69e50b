use std::ops::ControlFlow;
use std::time::Instant;

use ae_guidance::{DenoisingStep, Evaluation, Guidance, Guided, NoiseTrace};
use ae_scheduler::Scheduler;
use ae_tensor::NoiseSource;
use ae_unet::{ConditioningText, UNet2DConditionModel};
use burn::tensor::Tensor;

use crate::attention::{AttentionLayers, GuidedUNet};
use crate::conditioning::{Conditioning, EncodedTexts};
use crate::guided_run::{GuidedRun, GuidedText};
use crate::init_image::draw;
use crate::output::located;
use crate::read_prompt::evaluations_per_step;
use crate::start::{Start, beside};
use crate::{Event, Pipeline, PipelineError, Prepared, Processor, StepTrace};

/// Receives the events of a run; may stop it.
pub type Observer<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + Send + 'a;

/// One request on its way from noise to latents.
pub(crate) struct Run<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) prepared: &'a Prepared,
    pub(crate) scheduler: Box<dyn Scheduler>,
    /// Guidance from the beginning of the run by each text of the prompt, with what it remembers; none for methods without.
    pub(crate) guidance: Vec<Option<Guidance>>,
    encoded: EncodedTexts,
    /// Which texts the negative prompt and the parts have now.
    state: Vec<usize>,
    pub(crate) conditioning: Conditioning,
    pub(crate) noise: Vec<NoiseSource>,
    pub(crate) start: Start,
    /// What was found of the noise of every picture.
    pub(crate) noise_traces: Vec<Option<NoiseTrace>>,
    /// `[pictures, channels, rows, cols]`
    pub(crate) latents: Tensor<4>,
}

impl<'a> Run<'a> {
    /// Encodes the prompts and draws the first latents.
    pub(crate) fn set_up(pipeline: &'a Pipeline, prepared: &'a Prepared) -> Result<Self, PipelineError> {
        let settings = prepared.settings();
        let kind = settings.scheduler.expect("a prepared request has a sampler");
        let scheduler = pipeline.build_scheduler(kind, settings, prepared.first_step)?;
        let (encoded, state) = (prepared.texts.encode(pipeline, settings)?, prepared.texts.at(0));
        let conditioning = encoded.at(&state)?;
        let mut noise: Vec<_> = prepared.seeds.iter().map(|&seed| NoiseSource::new(settings.rng, seed)).collect();
        let start = Start::new(pipeline, prepared, &*scheduler, &mut noise)?;
        let latents = start.latents.0.clone() * start.latents.1;
        let guidance = prepared.guided.as_ref().map(GuidedRun::begin).transpose()?.unwrap_or_default();
        let noise_traces = vec![None; prepared.seeds.len()];
        Ok(Self {
            pipeline,
            prepared,
            scheduler,
            guidance,
            encoded,
            state,
            conditioning,
            noise,
            start,
            noise_traces,
            latents,
        })
    }

    /// Takes the texts that the prompts have at an evaluation of the model; whether they are others than before.
    fn go_to(&mut self, evaluation: usize) -> Result<bool, PipelineError> {
        let state = self.prepared.texts.at(evaluation);
        if state == self.state {
            return Ok(false);
        }
        self.conditioning = self.encoded.at(&state)?;
        self.state = state;
        Ok(true)
    }

    /// Every denoising step; returns, for every picture, what happened in each.
    pub(crate) fn denoise(
        &mut self,
        processor: &mut Processor<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Vec<Vec<StepTrace>>, PipelineError> {
        let pipeline = self.pipeline;
        let unet = pipeline.unet.get()?;
        let mut texts = self.read_texts(&unet);
        self.search_noise(&unet, &texts, observe)?;
        let per_step = self.prepared.settings().scheduler.map_or(1, evaluations_per_step);
        let (num_steps, pictures) = (self.scheduler.timesteps().len(), self.prepared.seeds.len());
        let mut steps = vec![Vec::with_capacity(num_steps); pictures];
        let Start { latents: (latents, init_noise_sigma), condition, .. } = &self.start;
        let condition = condition.as_ref().map(|condition| &condition.0);
        if observe(Event::Started { num_steps, latents, init_noise_sigma: *init_noise_sigma, condition }).is_break() {
            return Err(PipelineError::Interrupted);
        }
        for step in 0..num_steps {
            let start = Instant::now();
            let timestep = self.scheduler.timesteps()[step];
            if self.go_to(per_step * step)? {
                texts = self.read_texts(&unet);
            }
            let guided = self.guide(&unet, &texts, step, observe)?;
            if let Some(guided) = &guided {
                self.go_on_with(guided, step);
            }
            let gradient = guided.as_ref().and_then(Guided::gradient);
            let mut collector = self.prepared.shown.as_ref().map(AttentionLayers::collector);
            let mut prediction = self.predict_noise(&unet, &texts, step, &mut (&mut *processor, &mut collector));
            if let Some(second) = self.scheduler.second_evaluation(&prediction, step, &self.latents) {
                // What is shown of the step is what its first evaluation saw.
                if self.go_to(per_step * step + 1)? {
                    texts = self.read_texts(&unet);
                }
                prediction = self.predict_at(&unet, &texts, second.input, second.timestep, processor);
            }
            let shape = {
                let [_, channels, rows, cols] = self.latents.dims();
                [1, channels, rows, cols]
            };
            let noise = &mut self.noise;
            let mut draw = || draw(noise, shape, &pipeline.device);
            self.latents = self.scheduler.step(prediction, step, self.latents.clone(), &mut draw);
            if let Some(kept) = &self.start.kept {
                self.latents = kept.put_back(self.latents.clone(), &*self.scheduler, step + 1);
            }
            // Only now, with the whole step handed to the device, does the host wait for losses and maps.
            let traces = match guided {
                Some(guided) => guided.read_traces(&mut tell(observe, step, num_steps))?,
                None => Vec::new(),
            };
            let attention = match collector {
                Some(collector) => collector.attention_maps(pictures, self.prepared.prompt().tokens().len())?,
                None => Vec::new(),
            };

            let seconds = start.elapsed().as_secs_f64();
            let mut traces = traces.into_iter();
            let ended: Vec<_> =
                (0..pictures).map(|_| StepTrace { timestep, guidance: traces.next(), seconds }).collect();
            let (traces, attention, latents, gradient) = (&ended, &attention, &self.latents, gradient.as_ref());
            if observe(Event::Denoised { step, num_steps, traces, attention, latents, gradient }).is_break() {
                return Err(PipelineError::Interrupted);
            }
            for (steps, ended) in steps.iter_mut().zip(ended) {
                steps.push(ended);
            }
        }
        Ok(steps)
    }

    /// An error of this run, with the network where numbers ceased to be finite.
    pub(crate) fn located(&self, error: PipelineError) -> PipelineError {
        located(error, &self.conditioning.keys, &self.latents)
    }

    /// What the U-Net needs of the texts at every step.
    pub(crate) fn read_texts(&self, unet: &UNet2DConditionModel) -> Texts {
        let scale = self.prepared.settings().guidance_scale;
        let [prompt, every] = self.conditioning.read(unet, scale);
        // First the pictures without the prompt, then those with it.
        let texts = if self.conditioning.is_single(scale) { &prompt } else { &every };
        let all = texts.repeat_each(self.prepared.seeds.len());
        Texts { prompt, all }
    }

    /// The U-Net's input shifted by guidance; none at a step without guidance.
    ///
    /// The gradient is by what the U-Net sees, so that a shift means the same whatever the scale of the sampler's latents:
    /// by Euler's own latents it would be divided by their scale, and so would its effect once more.
    pub(crate) fn guide(
        &mut self,
        unet: &UNet2DConditionModel,
        texts: &Texts,
        step: usize,
        observe: &mut Observer<'_>,
    ) -> Result<Option<Guided>, PipelineError> {
        // Guidance reads the only part of the prompt, whose text stands behind that of the negative prompt.
        let text = self.state[1];
        let guided = self.prepared.guided.as_ref().and_then(|guided| guided.texts[text].as_ref());
        let guidance = self.guidance.get_mut(text).and_then(Option::as_mut);
        let (Some(guidance), Some(GuidedText { layers, .. })) = (guidance, guided) else {
            return Ok(None);
        };
        let timesteps = self.scheduler.timesteps();
        // Image-to-image counts the full schedule: the plan belongs to noise levels.
        let first_step = self.prepared.first_step;
        let at = DenoisingStep::new(first_step + step, first_step + timesteps.len(), timesteps[step]);
        if !guidance.plan().is_active(at.index) {
            return Ok(None);
        }
        let condition = self.start.condition.as_ref();
        let model = GuidedUNet { unet, timestep: at.timestep, text: &texts.prompt, condition, layers };
        let input = self.scheduler.scale_model_input(self.latents.clone(), step);
        let mut observe = tell(observe, step, timesteps.len());
        Ok(Some(guidance.guide(&model, input, at, &mut observe)?))
    }

    /// Carries what guidance did to the U-Net's input back to the latents.
    fn go_on_with(&mut self, guided: &Guided, step: usize) {
        self.latents = self.scheduler.unscale_model_input(guided.latents(), step);
        if !self.prepared.settings().correct_altered_steps {
            self.scheduler.sample_was_shifted();
        }
    }

    /// The prediction with classifier-free guidance; without it up to a scale of 1.
    pub(crate) fn predict_noise(
        &self,
        unet: &UNet2DConditionModel,
        texts: &Texts,
        step: usize,
        processor: &mut Processor<'_>,
    ) -> Tensor<4> {
        let input = self.scheduler.scale_model_input(self.latents.clone(), step);
        self.predict_at(unet, texts, input, self.scheduler.timesteps()[step], processor)
    }

    /// The same of an input and a timestep.
    fn predict_at(
        &self,
        unet: &UNet2DConditionModel,
        texts: &Texts,
        input: Tensor<4>,
        timestep: f64,
        processor: &mut Processor<'_>,
    ) -> Tensor<4> {
        let settings = self.prepared.settings();
        let pictures = input.dims()[0];
        let every: Vec<usize> = (0..pictures).collect();
        let input = beside(self.start.condition.as_ref(), input, &every);
        let predicted = unet.forward_with(input, timestep, &texts.all, processor);
        self.conditioning.combine(predicted, pictures, settings.guidance_scale, settings.guidance_rescale)
    }
}

/// The texts of a run, as the U-Net reads them.
pub(crate) struct Texts {
    /// The prompt, once; what Attend-and-Excite looks at.
    pub(crate) prompt: ConditioningText,
    /// Those of a noise prediction for all pictures.
    all: ConditioningText,
}

/// An observer of guidance that passes its evaluations on.
fn tell(observe: &mut Observer<'_>, step: usize, num_steps: usize) -> impl FnMut(Evaluation<'_>) -> ControlFlow<()> {
    move |Evaluation { iteration, image, losses, .. }| {
        observe(Event::Evaluated { step, num_steps, iteration, picture: image, losses })
    }
}

#[cfg(test)]
mod tests;
