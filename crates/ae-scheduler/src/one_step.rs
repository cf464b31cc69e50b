//! Samplers without memory, whose step is a mix of the sample, the model's output and fresh noise: DDIM, DDPM, LCM and TCD.

use burn::tensor::Tensor;

use crate::prediction::Mix;
use crate::schedule::noisy_at;
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind};

/// A sampler over variance-preserving samples `sqrt(a) * x0 + sqrt(1 - a) * noise`, with `a` of `alphas_cumprod`.
#[derive(Debug)]
pub(crate) struct OneStep {
    timesteps: Vec<f64>,
    /// Clean sample and noise at every timestep.
    noisy: Vec<Mix>,
    steps: Vec<(Update, Option<f64>)>,
}

/// One step, `weight * clean + rest + noise`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// The clean sample, from the sample and the model output.
    pub(crate) clean: Mix,
    /// Its share in the next sample.
    pub(crate) weight: f64,
    /// What else of sample and model output enters the next sample.
    pub(crate) rest: Mix,
    /// Standard deviation of the added noise; none where none is drawn.
    pub(crate) noise: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
enum Update {
    /// All folded into one.
    Folded(Mix),
    /// With the clean sample clamped to `-limit..=limit` (`clip_sample`).
    Clipped { clean: Mix, limit: f64, weight: f64, rest: Mix },
}

impl OneStep {
    /// Leaves out the first `first` of `timesteps`; `step` has the coefficients at the index of each.
    pub(crate) fn new(
        kind: SchedulerKind,
        config: &SchedulerConfig,
        alphas_cumprod: &[f32],
        timesteps: &[f64],
        first: usize,
        step: impl Fn(usize) -> Step,
    ) -> Result<Self, SchedulerError> {
        let limit = config.clip_sample.then_some(config.clip_sample_range);
        let steps: Vec<_> = (first..timesteps.len()).map(|index| step(index).folded(limit)).collect();
        let finite = |(update, noise): &(Update, Option<f64>)| update.is_finite() && noise.is_none_or(f64::is_finite);
        if let Some(step) = steps.iter().position(|step| !finite(step)) {
            return Err(SchedulerError::Degenerate { kind, step, steps: steps.len() });
        }
        let timesteps = timesteps[first..].to_vec();
        Ok(Self { noisy: noisy_at(alphas_cumprod, &timesteps), timesteps, steps })
    }
}

impl Step {
    fn folded(self, limit: Option<f64>) -> (Update, Option<f64>) {
        let Self { clean, weight, rest, noise } = self;
        let update = match limit {
            Some(limit) => Update::Clipped { clean, limit, weight, rest },
            None => Update::Folded(clean.combine(weight, rest, 1.0)),
        };
        (update, noise)
    }
}

impl Update {
    fn is_finite(&self) -> bool {
        match self {
            Self::Folded(mix) => mix.is_finite(),
            Self::Clipped { clean, rest, .. } => clean.is_finite() && rest.is_finite(),
        }
    }
}

impl Scheduler for OneStep {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>, step: usize) -> Tensor<4> {
        self.noisy[step].apply(sample, noise)
    }

    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        let (update, deviation) = self.steps[step];
        let next = match update {
            Update::Folded(mix) => mix.apply(sample, model_output),
            Update::Clipped { clean, limit, weight, rest } => {
                let clean = clean.apply(sample.clone(), model_output.clone()).clamp(-limit, limit);
                clean.mul_scalar(weight) + rest.apply(sample, model_output)
            }
        };
        match deviation {
            Some(deviation) => next + noise().mul_scalar(deviation),
            None => next,
        }
    }
}
