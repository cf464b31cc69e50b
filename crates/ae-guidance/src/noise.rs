//! The noise that a run starts from: chosen or optimised by what the attention of its first step looks like.

use std::sync::Arc;

use ae_tensor::read;
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use crate::log::{Log, Unread};
use crate::state::Memory;
use crate::{AttentionModel, DenoisingStep, GuidanceError, Losses, Objective, Observer, Pass, State};

/// How the noise of an image is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoiseSearch {
    /// Of so many noises the one with the smallest loss.
    Best(usize),
    /// InitNO (Guo et al. 2024): mean and variance of the noise follow the gradient of the loss, for some iterations with each of several
    /// noises, until one satisfies the objective. If none does, the noise with the smallest score has more iterations.
    InitNo {
        /// Noises that are tried.
        rounds: usize,
        /// Iterations with each.
        iterations: usize,
        /// Iterations with the best of them, from its beginning.
        more: usize,
        /// Most passes of the model in all.
        max_passes: usize,
    },
}

impl NoiseSearch {
    /// The published numbers, five noises with ten iterations, and fifty more, in at most `max_passes`.
    pub fn initno(max_passes: usize) -> Self {
        Self::InitNo { rounds: 5, iterations: 10, more: 50, max_passes }
    }
}

/// What was found of an image's noise.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NoiseTrace {
    /// Passes of the model.
    pub passes: usize,
    /// The score of every noise that was tried, in their order; the smallest is the best.
    pub scores: Vec<f32>,
    /// The noise that was taken, counted from 0.
    pub chosen: usize,
    /// The losses of what was taken.
    pub losses: Losses,
}

/// One image's search.
pub struct NoiseStage<'a, M> {
    /// The loss.
    pub objective: Arc<dyn Objective>,
    /// The denoiser, of the first step.
    pub model: &'a M,
    /// The place of the image in the batch.
    pub image: usize,
    /// The first denoising step.
    pub step: DenoisingStep,
    /// The denoiser's input that noise of unit variance gives.
    pub to_input: &'a dyn Fn(Tensor<4>) -> Tensor<4>,
    /// What a noise is worth, by its losses; the smallest is the best.
    pub score: &'a dyn Fn(&Losses) -> f32,
}

impl<M> std::fmt::Debug for NoiseStage<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { objective, image, step, .. } = self;
        f.debug_struct("NoiseStage").field("objective", objective).field("image", image).field("step", step).finish()
    }
}

/// Mean and logarithm of the variance of a noise, with Adam's memory.
struct Distribution {
    noise: Vec<f32>,
    shape: [usize; 4],
    mean: Adam,
    log_variance: Adam,
}

/// Adam as in torch, for one tensor.
struct Adam {
    values: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    step: i32,
}

/// What was seen best so far.
struct Best {
    round: usize,
    score: f32,
    noise: Tensor<4>,
    losses: Losses,
}

impl<M: AttentionModel> NoiseStage<'_, M> {
    /// Finds the noise of the image. `draw` gives a new noise `[1, channels, rows, cols]` of unit variance at every call, the image's
    /// own at the first; `observe` hears of every pass, with its number as the iteration, and can end the search.
    ///
    /// # Errors
    ///
    /// Those of the objective, [`GuidanceError::NotFinite`], [`GuidanceError::Interrupted`] and [`GuidanceError::Device`].
    pub fn find(
        &self,
        search: NoiseSearch,
        draw: &mut dyn FnMut() -> Tensor<4>,
        observe: &mut Observer<'_>,
    ) -> Result<(Tensor<4>, NoiseTrace), GuidanceError> {
        let mut passes = 0;
        let (best, scores) = match search {
            NoiseSearch::Best(count) => {
                let (mut best, mut scores) = (None, Vec::new());
                for round in 0..count.max(1) {
                    let noise = draw();
                    let losses = self.evaluate(noise.clone(), false, passes, observe)?.0;
                    passes += 1;
                    scores.push((self.score)(&losses));
                    keep(&mut best, Best { round, score: scores[round], noise, losses });
                }
                (best, scores)
            }
            NoiseSearch::InitNo { rounds, iterations, more, max_passes } => {
                let (mut best, mut scores, mut noises) = (None::<Best>, Vec::new(), Vec::new());
                for round in 0..rounds.max(1) {
                    noises.push(draw());
                    let noise = &noises[round];
                    let found = self.optimise(round, noise, iterations.max(1), max_passes, &mut passes, observe)?;
                    scores.push(found.score);
                    let is_satisfied = found.losses.satisfied;
                    keep(&mut best, found);
                    if is_satisfied || passes >= max_passes {
                        break;
                    }
                }
                let again = best.as_ref().filter(|best| !best.losses.satisfied && passes < max_passes && more > 0);
                if let Some(round) = again.map(|best| best.round) {
                    let found = self.optimise(round, &noises[round], more, max_passes, &mut passes, observe)?;
                    keep(&mut best, found);
                }
                (best, scores)
            }
        };
        let best = best.unwrap_or_else(|| unreachable!("a noise was tried"));
        Ok((best.noise, NoiseTrace { passes, scores, chosen: best.round, losses: best.losses }))
    }

    /// Iterations with one noise, at most as many as there are passes left: the best that was seen.
    fn optimise(
        &self,
        round: usize,
        noise: &Tensor<4>,
        iterations: usize,
        max_passes: usize,
        passes: &mut usize,
        observe: &mut Observer<'_>,
    ) -> Result<Best, GuidanceError> {
        let device = noise.device();
        let mut distribution = Distribution::new(read(noise.clone())?, noise.dims());
        let mut best = None;
        for _ in 0..iterations.min(max_passes.saturating_sub(*passes)).max(1) {
            let noise = Tensor::from_data(TensorData::new(distribution.sample(), distribution.shape), &device);
            let (losses, gradient) = self.evaluate(noise.clone(), true, *passes, observe)?;
            *passes += 1;
            let is_satisfied = losses.satisfied;
            keep(&mut best, Best { round, score: (self.score)(&losses), noise, losses });
            let Some(gradient) = gradient.filter(|_| !is_satisfied) else { break };
            distribution.follow(&read(gradient)?);
        }
        Ok(best.unwrap_or_else(|| unreachable!("one iteration at least")))
    }

    /// The losses of a noise and, if wanted, their gradient by it.
    fn evaluate(
        &self,
        noise: Tensor<4>,
        gradient: bool,
        pass: usize,
        observe: &mut Observer<'_>,
    ) -> Result<(Losses, Option<Tensor<4>>), GuidanceError> {
        let noise = if gradient { noise.autodiff().require_grad() } else { noise };
        let maps = self.model.attention((self.to_input)(noise.clone()), &[self.image], &self.objective.maps());
        let mut memories = [Memory::default()];
        let mut pass_of = Pass { step: self.step, maps, state: State::new(&mut memories, &[0]) };
        let score = self.objective.evaluate(&mut pass_of)?;
        let mut log = Log::new(Arc::clone(&self.objective), self.step.index, 1);
        log.read(Unread::new(vec![0], &score), &mut |evaluation| {
            observe(crate::Evaluation { iteration: pass, image: self.image, ..evaluation })
        })?;
        let losses = log.last(0).clone();
        let is_tracked = gradient && score.loss.device().is_autodiff();
        let gradient = if is_tracked { noise.grad_remove(&mut score.loss.sum().backward()) } else { None };
        Ok((losses, gradient))
    }
}

/// Keeps the one with the smaller score, of equals the first; what satisfies the objective before what does not.
fn keep(best: &mut Option<Best>, found: Best) {
    let key = |best: &Best| (!best.losses.satisfied, best.score);
    let is_better = best.as_ref().is_none_or(|best| key(&found) < key(best));
    if is_better {
        *best = Some(found);
    }
}

/// The learning rate of both.
const RATE: f32 = 0.01;
/// The divergence from the standard normal distribution up to which nothing pulls back.
const DIVERGENCE: f64 = 0.001;
/// Most steps back: each shortens the divergence, and some dozens are needed at most.
const STEPS_BACK: usize = 1000;

impl Distribution {
    fn new(noise: Vec<f32>, shape: [usize; 4]) -> Self {
        let count = noise.len();
        Self { noise, shape, mean: Adam::new(count), log_variance: Adam::new(count) }
    }

    /// The noise, scaled and shifted.
    fn sample(&self) -> Vec<f32> {
        let of = |((noise, mean), log_variance): ((&f32, &f32), &f32)| noise * (log_variance / 2.0).exp() + mean;
        self.noise.iter().zip(&self.mean.values).zip(&self.log_variance.values).map(of).collect()
    }

    /// A step along the gradient by the sample, and as many as it takes back towards the standard normal distribution.
    fn follow(&mut self, gradient: &[f32]) {
        let by_log_variance = gradient.iter().zip(&self.noise).zip(&self.log_variance.values);
        let by_log_variance: Vec<f32> =
            by_log_variance.map(|((by, noise), log)| by * noise * (log / 2.0).exp() / 2.0).collect();
        self.mean.step(gradient);
        self.log_variance.step(&by_log_variance);
        for _ in 0..STEPS_BACK {
            if self.divergence() <= DIVERGENCE {
                break;
            }
            let count = self.noise.len() as f32;
            let by_mean: Vec<f32> = self.mean.values.iter().map(|mean| mean / count).collect();
            let by_log =
                self.log_variance.values.iter().map(|log| (log.exp() - 1.0) / (2.0 * count)).collect::<Vec<_>>();
            self.mean.step(&by_mean);
            self.log_variance.step(&by_log);
        }
    }

    /// The mean Kullback-Leibler divergence from the standard normal distribution.
    fn divergence(&self) -> f64 {
        let of = |(mean, log): (&f32, &f32)| {
            let (mean, log) = (f64::from(*mean), f64::from(*log));
            -0.5 * (1.0 + log - mean * mean - log.exp())
        };
        self.mean.values.iter().zip(&self.log_variance.values).map(of).sum::<f64>() / self.noise.len() as f64
    }
}

impl Adam {
    fn new(count: usize) -> Self {
        Self { values: vec![0.0; count], first: vec![0.0; count], second: vec![0.0; count], step: 0 }
    }

    /// `torch.optim.Adam(lr=0.01, eps=1e-3)`
    fn step(&mut self, gradient: &[f32]) {
        const BETAS: [f32; 2] = [0.9, 0.999];
        const EPSILON: f32 = 1e-3;
        self.step += 1;
        let [first_left, second_left] = BETAS.map(|beta| 1.0 - beta.powi(self.step));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, (first, second)), by) in self.values.iter_mut().zip(moments).zip(gradient) {
            *first = BETAS[0] * *first + (1.0 - BETAS[0]) * by;
            *second = BETAS[1] * *second + (1.0 - BETAS[1]) * by * by;
            *value -= RATE / first_left * *first / ((*second / second_left).sqrt() + EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use burn::tensor::Device;
    use burn::tensor::activation::softmax;

    use super::*;
    use crate::{AttendAndExcite, GuidanceSettings, MapSet, Subjects};

    /// `o = torch.optim.Adam([p], lr=0.01, eps=1e-3)`, with the gradients 1, -0.5 and 0.001 of `p = torch.zeros(1)`.
    #[test]
    fn adam_is_torchs() {
        let mut adam = Adam::new(1);
        let mut seen = Vec::new();
        for gradient in [1.0, -0.5, 0.001] {
            adam.step(&[gradient]);
            seen.push(adam.values[0]);
        }
        for (value, expected) in seen.iter().zip([-0.009_990_01, -0.012_650_01, -0.014_711_33]) {
            assert!((value - expected).abs() < 2e-6, "{seen:?}");
        }
    }

    #[test]
    fn a_distribution_is_pulled_back() {
        let mut distribution = Distribution::new(vec![0.5, -1.0, 2.0, 0.1], [1, 1, 2, 2]);
        assert_eq!(distribution.sample(), distribution.noise);
        for _ in 0..20 {
            distribution.follow(&[1.0, -1.0, 0.5, 2.0]);
            assert!(distribution.divergence() <= DIVERGENCE);
        }
        assert_ne!(distribution.sample(), distribution.noise);
    }

    fn toy(latents: Tensor<4>, _: &[MapSet]) -> Vec<Vec<Tensor<4>>> {
        let tokens = latents.reshape([1, 1, 4, 16]).swap_dims(2, 3);
        vec![vec![softmax(tokens, 3)]]
    }

    fn noises(seed: &mut f32) -> Tensor<4> {
        *seed += 1.0;
        let values: Vec<f32> = (0..64).map(|at| ((at as f32) * 1.7 + *seed * 0.9).sin() * 1.3).collect();
        Tensor::from_data(TensorData::new(values, [1, 4, 4, 4]), &Device::flex())
    }

    fn find(search: NoiseSearch, threshold: f64) -> (Vec<f32>, NoiseTrace) {
        let mut settings = GuidanceSettings { attention_scale: 4.0, ..Default::default() };
        settings.thresholds.insert(0, threshold);
        let subjects = Subjects::new(vec![vec![1], vec![2]], 4, None).unwrap();
        let objective = Arc::new(AttendAndExcite::new(settings, subjects, [4, 4]).unwrap());
        let search_of = NoiseStage {
            objective,
            model: &toy,
            image: 0,
            step: DenoisingStep::new(0, 10, 900.0),
            to_input: &|noise| noise,
            score: &|losses| losses.loss,
        };
        let mut seed = 0.0;
        let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
        let (noise, trace) = search_of.find(search, &mut || noises(&mut seed), observe).unwrap();
        (read(noise).unwrap(), trace)
    }

    #[test]
    fn the_best_of_several_noises_is_taken() {
        let (noise, trace) = find(NoiseSearch::Best(5), 1.0);
        assert_eq!((trace.passes, trace.scores.len()), (5, 5));
        let least = trace.scores.iter().copied().fold(f32::INFINITY, f32::min);
        assert!((trace.losses.loss - least).abs() < f32::EPSILON);
        let mut seed = trace.chosen as f32;
        assert_eq!(noise, read(noises(&mut seed)).unwrap());
        assert_eq!(find(NoiseSearch::Best(1), 1.0).1.chosen, 0);
    }

    #[test]
    fn noise_is_optimised_until_it_satisfies_or_the_passes_end() {
        let search = |max_passes| NoiseSearch::InitNo { rounds: 2, iterations: 4, more: 30, max_passes };
        let (_, start) = find(NoiseSearch::Best(1), 1.0);
        let (_, trace) = find(search(100), 1.0);
        assert_eq!((trace.passes, trace.scores.len()), (2 * 4 + 30, 2));
        assert!(trace.losses.loss < start.losses.loss - 1e-3, "{} {}", trace.losses.loss, start.losses.loss);
        assert_eq!(find(search(11), 1.0).1.passes, 11);
        assert_eq!(find(search(3), 1.0).1.passes, 3);
        // What is satisfied at once costs one pass, and stays what it was.
        let (noise, trace) = find(search(100), 0.0);
        assert_eq!((trace.passes, trace.losses.satisfied), (1, true));
        assert_eq!(noise, read(noises(&mut 0.0)).unwrap());
    }
}
