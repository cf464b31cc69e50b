//! The linear multistep method of k-diffusion: diffusers' `scheduling_lms_discrete.py`, of order 4.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use crate::noise_levels::{NoiseLevels, derivative, of_noise_levels};
use crate::prediction::Mix;
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind};

/// Slopes that enter a step, this step's among them.
const ORDER: usize = 4;

/// Walks along the polynomial through the last slopes.
///
/// Image-to-image begins with the first-order step of a new run. diffusers takes the coefficients of a higher order there for
/// the slopes that it has, which do not add up to the step.
#[derive(Debug)]
pub(crate) struct Lms {
    levels: NoiseLevels,
    steps: Vec<Step>,
    /// Slopes of earlier steps, the latest first.
    history: VecDeque<Tensor<4>>,
}

#[derive(Debug)]
struct Step {
    slope: Mix,
    /// How far the step walks along this slope and the earlier ones, the latest first.
    lengths: Vec<f64>,
}

impl Lms {
    pub(crate) fn new(config: &SchedulerConfig, steps: usize, first: usize) -> Result<Self, SchedulerError> {
        let levels = NoiseLevels::new(config, steps, first)?;
        let sigmas = &levels.sigmas;
        let step = |index: usize| {
            let nodes: Vec<f64> = (0..ORDER.min(index + 1)).map(|back| sigmas[index - back]).collect();
            Step {
                slope: derivative(config.prediction_type, sigmas[index]),
                lengths: (0..nodes.len())
                    .map(|node| integral(&nodes, node, sigmas[index], sigmas[index + 1]))
                    .collect(),
            }
        };
        let steps: Vec<Step> = (0..levels.timesteps.len()).map(step).collect();
        let finite = |step: &Step| step.slope.is_finite() && step.lengths.iter().all(|length| length.is_finite());
        match steps.iter().position(|step| !finite(step)) {
            Some(step) => Err(SchedulerError::Degenerate { kind: SchedulerKind::Lms, step, steps: steps.len() }),
            None => Ok(Self { levels, steps, history: VecDeque::new() }),
        }
    }
}

/// The integral of Lagrange's polynomial that is 1 at `nodes[node]` and 0 at the others, by Gauss' two points: exact up to degree
/// 3, where diffusers asks scipy.
fn integral(nodes: &[f64], node: usize, from: f64, to: f64) -> f64 {
    let (middle, half) = (f64::midpoint(from, to), (to - from) / 2.0);
    let value = |at: f64| {
        let others = nodes.iter().enumerate().filter(|(other, _)| *other != node);
        others.map(|(_, other)| (at - other) / (nodes[node] - other)).product::<f64>()
    };
    let offset = half / 3.0_f64.sqrt();
    half * (value(middle - offset) + value(middle + offset))
}

impl Scheduler for Lms {
    of_noise_levels!();

    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        _noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        if step == 0 {
            self.history.clear();
        }
        let Step { slope, lengths } = &self.steps[step];
        self.history.truncate(ORDER - 1);
        self.history.push_front(slope.apply(sample.clone(), model_output));
        assert!(self.history.len() >= lengths.len(), "LMS steps must be taken in order");
        let walks = self.history.iter().zip(lengths).map(|(slope, length)| slope.clone().mul_scalar(*length));
        walks.fold(sample, |sample, walk| sample + walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // scipy.integrate.quad(lambda t: (t - 5) * (t - 8) * (t - 14) / ((3 - 5) * (3 - 8) * (3 - 14)), 3, 2)[0]
    #[test]
    fn integrals_of_cubics_are_exact() {
        let nodes = [3.0, 5.0, 8.0, 14.0];
        assert!((integral(&nodes, 0, 3.0, 2.0) + 1.452_272_727_272_727_2).abs() < 1e-12);
        let sum: f64 = (0..4).map(|node| integral(&nodes, node, 3.0, 2.0)).sum();
        assert!((sum + 1.0).abs() < 1e-12);
    }
}
