//! DPM-Solver++ 2M (Lu et al. 2022b, algorithm 2), of the probability flow and of the stochastic equation: diffusers'
//! `scheduling_dpmsolver_multistep.py` with `solver_order` 2, `midpoint`, and `dpmsolver++` or `sde-dpmsolver++`.

use burn::tensor::Tensor;

use crate::prediction::{Mix, ReadPrediction};
use crate::schedule::training_sigmas;
use crate::sigmas::{FinalSigmas, noisy, solver_levels, variance_preserving};
use crate::{Scheduler, SchedulerConfig, SchedulerError, SchedulerKind};

/// Below this number of steps `lower_order_final` makes the last one first-order.
const FEW_STEPS: usize = 15;

/// A multistep sampler over the last two predictions of the clean sample.
#[derive(Debug)]
pub(crate) struct DpmSolverMultistep {
    timesteps: Vec<f64>,
    /// Clean sample and noise at every timestep.
    noisy: Vec<Mix>,
    steps: Vec<Step>,
    /// The clean sample predicted by the step before.
    last_clean: Option<Tensor<4>>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// The clean sample, from the sample and the model output.
    clean: Mix,
    /// The new sample's coefficients of sample and clean sample.
    update: Mix,
    /// ... and of the clean sample before, in a second-order step.
    last_clean: Option<f64>,
    /// Standard deviation of the added noise, of the stochastic equation alone.
    noise: Option<f64>,
}

impl DpmSolverMultistep {
    pub(crate) fn new(
        config: &SchedulerConfig,
        kind: SchedulerKind,
        steps: usize,
        first: usize,
    ) -> Result<Self, SchedulerError> {
        let training_sigmas = training_sigmas(config);
        // lambda = ln(alpha / sigma) falls over the timesteps: the noisiest are left out.
        let end = training_sigmas.partition_point(|sigma| -f64::from(*sigma).ln() >= config.lambda_min_clipped);
        if end == 0 {
            let expected = "a value that leaves a timestep, such as -5.1";
            return Err(config.fields.error("lambda_min_clipped", expected).into());
        }
        let (timesteps, sigmas) = solver_levels(config, &training_sigmas, end, steps)?;

        let count = timesteps.len();
        let first_order_end = config.euler_at_final
            || (config.lower_order_final && count < FEW_STEPS)
            || config.final_sigmas_type == FinalSigmas::Zero;
        let steps: Vec<Step> = (first..count)
            .map(|step| {
                let earlier = (step > first && !(step == count - 1 && first_order_end)).then(|| sigmas[step - 1]);
                Step::new(config, kind, earlier, sigmas[step], sigmas[step + 1])
            })
            .collect();
        if let Some(step) = steps.iter().position(|step| !step.is_finite()) {
            return Err(SchedulerError::Degenerate { kind, step, steps: count });
        }
        let timesteps = timesteps.into_iter().skip(first).collect();
        Ok(Self { timesteps, noisy: noisy(&sigmas[first..count]), steps, last_clean: None })
    }
}

impl Step {
    /// From noise level `now` to `next`: of second order if there is an `earlier` one, else first.
    fn new(config: &SchedulerConfig, kind: SchedulerKind, earlier: Option<f64>, now: f64, next: f64) -> Self {
        let (alpha, sigma) = variance_preserving(now);
        let (alpha_next, sigma_next) = variance_preserving(next);
        // lambda = ln(alpha / sigma) = -ln(noise level)
        let h = now.ln() - next.ln();
        // The stochastic equation walks twice as far towards the clean sample, and noise makes up for it.
        let is_stochastic = kind == SchedulerKind::DpmSolverMultistepSde;
        let (walked, kept) = if is_stochastic { (2.0 * h, (-h).exp()) } else { (h, 1.0) };
        let clean = -alpha_next * (-walked).exp_m1();
        // Half of D1 = (h / h_before) * (clean - last_clean)
        let slope = earlier.map(|earlier| 0.5 * clean * h / (earlier.ln() - now.ln()));
        Self {
            clean: config.prediction_type.clean_sample(alpha, sigma),
            update: Mix { sample: sigma_next / sigma * kept, output: clean + slope.unwrap_or_default() },
            last_clean: slope.map(|slope| -slope),
            noise: is_stochastic.then(|| sigma_next * (-(-walked).exp_m1()).sqrt()),
        }
    }

    fn is_finite(&self) -> bool {
        self.clean.is_finite()
            && self.update.is_finite()
            && [self.last_clean, self.noise].into_iter().flatten().all(f64::is_finite)
    }
}

impl Scheduler for DpmSolverMultistep {
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
        let Step { clean, update, last_clean, noise: deviation } = self.steps[step];
        let clean = clean.apply(sample.clone(), model_output);
        let mut next = update.apply(sample, clean.clone());
        let last = self.last_clean.replace(clean);
        if let Some(weight) = last_clean {
            next = next + last.expect("a second-order step follows another step").mul_scalar(weight);
        }
        match deviation {
            // Drawn in the last step too, where it is 0, as diffusers does.
            Some(deviation) => next + noise().mul_scalar(deviation),
            None => next,
        }
    }
}
