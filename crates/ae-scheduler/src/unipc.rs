//! UniPC (Zhao et al. 2023) of order 2: diffusers' `scheduling_unipc_multistep.py` with `predict_x0`.

use burn::tensor::Tensor;

use crate::prediction::{Mix, ReadPrediction};
use crate::schedule::training_sigmas;
use crate::sigmas::{FinalSigmas, noisy, solver_levels, variance_preserving};
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind};
use ae_settings::SigmaSpacing;

/// The order of the predictor, and of the corrector.
const ORDER: usize = 2;

/// A multistep predictor over the last two clean samples, and a corrector that walks the step before once more, with what the
/// model says at its end.
///
/// The corrector begins at the sample of the step before. What was done to this step's sample in between, as guidance does, would
/// be lost but for its effect on the model's output: after [`sample_was_shifted`](Scheduler::sample_was_shifted) it is left out.
#[derive(Debug)]
pub(crate) struct UniPc {
    timesteps: Vec<f64>,
    /// Clean sample and noise at every timestep.
    noisy: Vec<Mix>,
    steps: Vec<Step>,
    was_shifted: bool,
    /// The sample that the last step began with, after its correction.
    last_sample: Option<Tensor<4>>,
    /// The clean samples of the last steps, the latest first.
    last_clean: [Option<Tensor<4>>; ORDER],
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// The clean sample, from the sample and the model output.
    clean: Mix,
    /// The walk from the step before to this one.
    correction: Option<Walk>,
    /// The walk from this step to the next.
    prediction: Walk,
}

/// The coefficients of the sample where a walk begins, of the clean sample at its end, at its beginning, and one step earlier.
#[derive(Debug, Clone, Copy)]
struct Walk {
    sample: f64,
    ahead: f64,
    clean: f64,
    earlier: Option<f64>,
}

impl UniPc {
    pub(crate) fn new(config: &SchedulerConfig, steps: usize, first: usize) -> Result<Self, SchedulerError> {
        let training_sigmas = training_sigmas(config);
        let (timesteps, mut sigmas) = solver_levels(config, &training_sigmas, training_sigmas.len(), steps)?;
        let count = timesteps.len();
        if config.sigmas != SigmaSpacing::Normal && config.final_sigmas_type == FinalSigmas::SigmaMin {
            // This class ends at the lowest level of its own.
            sigmas[count] = sigmas[count - 1];
        }
        // The order of a walk from a level, whose nodes are that level and the one before.
        let order = |from: usize| {
            let left = if config.lower_order_final { count - from } else { ORDER };
            ORDER.min(left).min(from - first + 1)
        };
        let earlier = |from: usize| (order(from) > 1).then(|| sigmas[from - 1]);
        let step = |index: usize| {
            let (alpha, sigma) = variance_preserving(sigmas[index]);
            let walk =
                |from: usize, corrects| Walk::new(config, corrects, earlier(from), sigmas[from], sigmas[from + 1]);
            Step {
                clean: config.prediction_type.clean_sample(alpha, sigma),
                correction: (index > first).then(|| walk(index - 1, true)),
                prediction: walk(index, false),
            }
        };
        let steps: Vec<Step> = (first..count).map(step).collect();
        if let Some(step) = steps.iter().position(|step| !step.is_finite()) {
            return Err(SchedulerError::Degenerate { kind: SchedulerKind::UniPc, step, steps: steps.len() });
        }
        Ok(Self {
            timesteps: timesteps[first..].to_vec(),
            noisy: noisy(&sigmas[first..count]),
            steps,
            was_shifted: false,
            last_sample: None,
            last_clean: [None, None],
        })
    }
}

impl Walk {
    /// `multistep_uni_p_bh_update` and, where it `corrects`, `multistep_uni_c_bh_update`: from noise level `now` to `next`.
    fn new(config: &SchedulerConfig, corrects: bool, earlier: Option<f64>, now: f64, next: f64) -> Self {
        let (_, sigma) = variance_preserving(now);
        let (alpha_next, sigma_next) = variance_preserving(next);
        // lambda = ln(alpha / sigma) = -ln(noise level); the paper's h, negative for predictions of the clean sample.
        let h = next.ln() - now.ln();
        let phi_1 = h.exp_m1();
        let scale = if config.bh1 { h } else { phi_1 };
        let ratio = earlier.map(|earlier| (earlier.ln() - now.ln()) / h);
        // The shares of the slopes to the earlier level and to the end.
        let (back, ahead) = match (corrects, ratio) {
            (false, None) => (0.0, 0.0),
            (false, Some(_)) => (0.5, 0.0),
            (true, None) => (0.0, 0.5),
            (true, Some(ratio)) => {
                let phi_2 = phi_1 / h - 1.0;
                let phi_3 = phi_2 / h - 0.5;
                let (b_1, b_2) = (phi_2 / scale, 2.0 * phi_3 / scale);
                // [[1, 1], [ratio, 1]] * shares = [b_1, b_2]
                let back = (b_1 - b_2) / (1.0 - ratio);
                (back, b_1 - back)
            }
        };
        // Where the walk ends without noise `scale` may be infinite; then nothing but the first order is left.
        let unit = if ratio.is_none() && !corrects { 0.0 } else { -alpha_next * scale };
        let earlier = ratio.map(|ratio| unit * back / ratio);
        Self {
            sample: sigma_next / sigma,
            ahead: unit * ahead,
            clean: -alpha_next * phi_1 - unit * ahead - earlier.unwrap_or_default(),
            earlier,
        }
    }

    fn is_finite(&self) -> bool {
        [self.sample, self.ahead, self.clean, self.earlier.unwrap_or_default()].iter().all(|value| value.is_finite())
    }

    fn apply(&self, sample: Tensor<4>, clean: Tensor<4>, earlier: Option<&Tensor<4>>) -> Tensor<4> {
        let next = sample.mul_scalar(self.sample) + clean.mul_scalar(self.clean);
        match self.earlier {
            Some(weight) => next + earlier.expect("a second-order step follows another").clone().mul_scalar(weight),
            None => next,
        }
    }
}

impl Step {
    fn is_finite(&self) -> bool {
        self.clean.is_finite() && self.prediction.is_finite() && self.correction.is_none_or(|walk| walk.is_finite())
    }
}

impl Scheduler for UniPc {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn add_noise(&self, sample: Tensor<4>, noise: Tensor<4>, step: usize) -> Tensor<4> {
        self.noisy[step].apply(sample, noise)
    }

    fn sample_was_shifted(&mut self) {
        self.was_shifted = true;
    }

    fn step(
        &mut self,
        model_output: Tensor<4>,
        step: usize,
        sample: Tensor<4>,
        _noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        let Step { clean, correction, prediction } = self.steps[step];
        let clean = clean.apply(sample.clone(), model_output);
        let was_shifted = std::mem::take(&mut self.was_shifted);
        let sample = match correction {
            Some(walk) if !was_shifted => {
                let [last, earlier] = &self.last_clean;
                let (begin, last) = self.last_sample.take().zip(last.clone()).expect("steps are taken in order");
                walk.apply(begin, last, earlier.as_ref()) + clean.clone().mul_scalar(walk.ahead)
            }
            _ => sample,
        };
        let [last, earlier] = &mut self.last_clean;
        *earlier = last.replace(clean.clone());
        self.last_sample = Some(sample.clone());
        prediction.apply(sample, clean, self.last_clean[1].as_ref())
    }
}
