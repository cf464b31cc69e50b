//! The search for the noise that a run starts from.

use std::sync::Arc;

use ae_guidance::{DenoisingStep, Evaluation, NoiseSearch, NoiseStage, NoiseTrace, Objective, SelfCross};
use ae_settings::{InitialNoise, Method, Settings};
use ae_unet::UNet2DConditionModel;
use burn::tensor::Tensor;

use crate::attention::{AttentionLayers, GuidedUNet, default_resolution};
use crate::binding::Binding;
use crate::conditioning::PromptTexts;
use crate::methods::noise_objective;
use crate::run::{Observer, Run, Texts};
use crate::{Event, Input, ObjectiveInputs, ObjectiveSetup, Pipeline, PipelineError, Request};

/// A search, set up for one request. It looks at the first text of the prompt.
#[derive(Clone, Debug)]
pub(crate) struct NoiseSetup {
    search: NoiseSearch,
    objective: Arc<SelfCross>,
    layers: Vec<AttentionLayers>,
}

impl NoiseSetup {
    /// None where the noise is that of the seeds.
    pub(crate) fn new(
        pipeline: &Pipeline,
        request: &Request,
        texts: &PromptTexts,
        latent_size: [usize; 2],
    ) -> Result<Option<Self>, PipelineError> {
        let settings = &request.settings;
        let Some(search) = search(settings) else { return Ok(None) };
        let refusal = |expected: &str| {
            let value = settings.initial_noise.to_string();
            Err(PipelineError::Option { option: "initial_noise", value, expected: expected.to_owned() })
        };
        if request.init_image.is_some() {
            return refusal("seed with an initial image: the run starts from that");
        }
        if request.latents.is_some() {
            return refusal("seed with initial latents: the run starts from those");
        }
        if texts.prompt.len() > 1 || settings.method == Method::ComposableDiffusion {
            return refusal("seed with a prompt in parts: a noise is looked at with one text");
        }
        let prompts = texts.first_part();
        // The groups of a method name its subjects.
        let inputs = ObjectiveInputs::of(settings, &[Input::Subjects, Input::Pairs]);
        let binding = Binding::of_texts(&inputs, true, &prompts)?.swap_remove(0);
        let sites = pipeline.unet_config.attention_sites(latent_size);
        let resolution = default_resolution(pipeline, latent_size);
        let wanted = (&[Input::Subjects][..], &inputs);
        let setup = ObjectiveSetup::new(pipeline, prompts[0], &sites, resolution, wanted, binding)?;
        let objective = Arc::new(noise_objective(settings, &setup)?);
        let layers = AttentionLayers::of_objective(&sites, &*objective)?;
        Ok(Some(Self { search, objective, layers }))
    }
}

fn search(settings: &Settings) -> Option<NoiseSearch> {
    match settings.initial_noise {
        InitialNoise::Seed => None,
        InitialNoise::Best(count) => Some(NoiseSearch::Best(count)),
        InitialNoise::InitNo => Some(NoiseSearch::initno(settings.noise_passes)),
    }
}

impl Run<'_> {
    /// Searches the noise of every picture, one by one; nothing where it is that of the seeds.
    ///
    /// Further noises come from a copy of the picture's generator: what the steps of a sampler draw does not depend on the search.
    pub(crate) fn search_noise(
        &mut self,
        unet: &UNet2DConditionModel,
        texts: &Texts,
        observe: &mut Observer<'_>,
    ) -> Result<(), PipelineError> {
        let Some(NoiseSetup { search, objective, layers }) = self.prepared.noise.as_ref() else { return Ok(()) };
        let timesteps = self.scheduler.timesteps();
        let (noises, sigma) = (self.start.latents.0.clone(), self.start.latents.1);
        let condition = self.start.condition.as_ref();
        let model = GuidedUNet { unet, timestep: timesteps[0], text: &texts.prompt, condition, layers };
        let scheduler = &*self.scheduler;
        let mut found = Vec::new();
        for (picture, own) in noises.split(1, 0).into_iter().enumerate() {
            let (shape, mut source, mut first) = (own.dims(), self.noise[picture].clone(), Some(own));
            let device = &self.pipeline.device;
            let mut draw = || first.take().unwrap_or_else(|| source.tensor(shape, device));
            let stage = NoiseStage {
                objective: Arc::clone(objective) as Arc<dyn Objective>,
                model: &model,
                image: picture,
                step: DenoisingStep::new(0, timesteps.len(), timesteps[0]),
                to_input: &|noise: Tensor<4>| scheduler.scale_model_input(noise * sigma, 0),
                score: &|losses| objective.noise_score(losses),
            };
            let mut tell = |evaluation: Evaluation<'_>| {
                observe(Event::SearchedNoise { picture, pass: evaluation.iteration, losses: evaluation.losses })
            };
            found.push(stage.find(*search, &mut draw, &mut tell)?);
        }
        let (noises, traces): (Vec<_>, Vec<NoiseTrace>) = found.into_iter().unzip();
        self.start.latents.0 = Tensor::cat(noises, 0);
        self.latents = self.start.latents.0.clone() * sigma;
        self.noise_traces = traces.into_iter().map(Some).collect();
        Ok(())
    }
}
