use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::batch::{all, shifted};
use crate::log::Log;
use crate::shift::Shift;
use crate::state::Memory;
use crate::{AttentionModel, DenoisingStep, Evaluation, GuidanceError, GuidanceTrace, MapSet, Objective, Plan};

/// Receives the evaluations of the objective; may stop the run.
pub type Observer<'a> = dyn FnMut(Evaluation<'_>) -> ControlFlow<()> + 'a;

/// Generative semantic nursing of one run (paper, algorithm 1): an objective, and what it remembers of the images so far.
///
/// Every run begins with a new one.
#[derive(Debug)]
pub struct Guidance {
    objective: Arc<dyn Objective>,
    plan: Plan,
    sets: Vec<MapSet>,
    /// What the objective remembers of every image.
    memories: Vec<Memory>,
}

/// Latents that guidance has shifted, and the losses it saw on the way. The device may still be computing both.
#[derive(Debug)]
#[must_use = "`read_traces` finds losses that are not finite"]
pub struct Guided {
    latents: Tensor<4>,
    gradient: Option<Tensor<4>>,
    updated: bool,
    log: Log,
}

impl Guidance {
    /// Guidance by an objective.
    ///
    /// # Errors
    ///
    /// When a step size of the objective's plan is negative or not finite.
    pub fn new(objective: Arc<dyn Objective>) -> Result<Self, GuidanceError> {
        let (plan, sets) = (objective.plan(), objective.maps());
        Self { objective, plan: plan.clone(), sets, memories: Vec::new() }.with_plan(plan)
    }

    /// With another plan than the objective's own.
    ///
    /// # Errors
    ///
    /// When a step size is negative or not finite.
    pub fn with_plan(self, plan: Plan) -> Result<Self, GuidanceError> {
        plan.check()?;
        Ok(Self { plan, ..self })
    }

    /// Steps, step sizes and refinements.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Shifts the latents at a denoising step: refinement where the plan asks for it, then the latent update. `observe` hears
    /// of every evaluation that a refinement waits for, and can end the run; it hears of the last one when the traces are
    /// [read](Guided::read_traces).
    ///
    /// The images of a batch do not interact: each gets the gradient of its own loss, and refinement
    /// goes on with those that still need it. At a step where nothing is to be done
    /// ([`Plan::is_active`]) the model does not run and there is no trace.
    ///
    /// As in the references, refinement looks at the loss *before* its last update, and it happens at
    /// its steps even outside the altered ones.
    ///
    /// # Shapes
    /// - latents: `[batch, channels, height, width]` on a plain device, as the model takes them; the batch is the same at every
    ///   step
    ///
    /// # Errors
    ///
    /// [`GuidanceError::NotFinite`] when a loss is NaN or infinite, [`GuidanceError::Interrupted`] when
    /// `observe` breaks, [`GuidanceError::Device`] when the device fails; and those of the objective.
    pub fn guide(
        &mut self,
        model: &impl AttentionModel,
        latents: Tensor<4>,
        step: DenoisingStep,
        observe: &mut Observer<'_>,
    ) -> Result<Guided, GuidanceError> {
        let active = self.plan.is_active(step.index);
        let images = if active { latents.dims()[0] } else { 0 };
        let log = Log::new(Arc::clone(&self.objective), step.index, images);
        if !active {
            return Ok(Guided { latents, gradient: None, updated: false, log });
        }
        self.memories.resize_with(images, Memory::default);
        self.memories.iter_mut().for_each(Memory::begin_step);
        let updated = self.plan.altered_steps.contains(&step.index);
        let step_size = self.plan.step_size.at(step.index, step.count);
        let refinement =
            self.plan.refinement.get(&step.index).copied().filter(|refinement| refinement.limit() != Some(0));

        let Self { objective, sets, memories, .. } = self;
        let objective = objective.as_ref();
        let mut shift = Shift { objective, model, sets, memories, step, step_size, latents, gradient: None, log };
        match refinement {
            Some(refinement) => shift.refine(refinement, updated, observe)?,
            None => shift.evaluate_without_reading(&all(images), updated)?,
        }
        let Shift { latents, gradient, log, .. } = shift;
        let gradient = gradient.filter(|_| updated);
        Ok(Guided { latents: shifted(latents, gradient.as_ref(), step_size), gradient, updated, log })
    }
}

impl Guided {
    /// The latents to go on with, `[batch, channels, height, width]`.
    pub fn latents(&self) -> Tensor<4> {
        self.latents.clone()
    }

    /// The gradient of every image's loss by the model's input, as the latent update used it; none at a step without an
    /// update, or where the objective says that the gradient is zero.
    ///
    /// # Shapes
    /// - output: `[batch, channels, height, width]`
    pub fn gradient(&self) -> Option<Tensor<4>> {
        self.gradient.clone()
    }

    /// Waits for the losses and returns what happened to each image; nothing at a step without guidance.
    ///
    /// # Errors
    ///
    /// As [`Guidance::guide`].
    pub fn read_traces(self, observe: &mut Observer<'_>) -> Result<Vec<GuidanceTrace>, GuidanceError> {
        let evaluations = self.log.finish(observe)?.into_iter();
        Ok(evaluations.map(|evaluations| GuidanceTrace { evaluations, updated: self.updated }).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use burn::tensor::activation::softmax;
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::{AttendAndExcite, GuidanceSettings, Subjects};

    const TOKENS: usize = 6;

    /// Two channels on 4x4 patches listen to six tokens through fixed keys, in two heads.
    fn toy(latents: Tensor<4>, _: &[MapSet]) -> Vec<Vec<Tensor<4>>> {
        let batch = latents.dims()[0];
        let keys: [[f32; TOKENS]; 2] = [[0.3, 1.1, -0.4, 0.9, -1.2, 0.1], [-0.7, 0.2, 1.3, -0.5, 0.4, 0.8]];
        let keys = Tensor::<2>::from_data(TensorData::from(keys), &Device::flex()).reshape([1, 1, 2, TOKENS]);
        let patches = latents.reshape([batch, 1, 2, 16]).swap_dims(2, 3);
        let head = |factor: f64| softmax((patches.clone() * factor).matmul(keys.clone()), 3);
        vec![vec![head(1.0), head(0.5)]]
    }

    fn latents(batch: usize) -> Tensor<4> {
        let values: Vec<f32> = (0..batch * 32).map(|i| ((i * 37 % 19) as f32 / 9.0 - 1.0) * 0.8).collect();
        Tensor::from_data(TensorData::new(values, [batch, 2, 4, 4]), &Device::flex())
    }

    fn guidance(change: impl FnOnce(&mut GuidanceSettings)) -> Guidance {
        // A mild scale keeps the toy's loss smooth enough for finite differences.
        let mut settings = GuidanceSettings { attention_scale: 4.0, scale_factor: 0.5, ..Default::default() };
        change(&mut settings);
        let subjects = Subjects::new(vec![vec![1], vec![3, 4]], TOKENS, None).unwrap();
        Guidance::new(Arc::new(AttendAndExcite::new(settings, subjects, [4, 4]).unwrap())).unwrap()
    }

    fn at(step: usize) -> DenoisingStep {
        DenoisingStep::new(step, 10, 500.0)
    }

    fn guide(
        guidance: &mut Guidance,
        model: &impl AttentionModel,
        latents: Tensor<4>,
        step: usize,
    ) -> Result<(Tensor<4>, Vec<GuidanceTrace>), GuidanceError> {
        let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
        let guided = guidance.guide(model, latents, at(step), observe)?;
        Ok((guided.latents(), guided.read_traces(observe)?))
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec_as::<f32>().unwrap()
    }

    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        const H: f32 = 1e-2;
        for smoothing in [None, Some(crate::GaussianSmoothing::default())] {
            let mut guidance = guidance(|s| (s.smoothing, s.thresholds) = (smoothing, BTreeMap::new()));
            let mut evaluate = |latents: Tensor<4>| {
                let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
                let guided = guidance.guide(&toy, latents, at(0), observe).unwrap();
                (guided.gradient(), guided.read_traces(observe).unwrap()[0].first().loss)
            };
            let gradient = values(evaluate(latents(1)).0.unwrap());
            let base = values(latents(1));
            let mut loss_at = |i: usize, shift: f32| {
                let mut moved = base.clone();
                moved[i] += shift;
                evaluate(Tensor::from_data(TensorData::new(moved, [1, 2, 4, 4]), &Device::flex())).1
            };
            assert!(gradient.iter().any(|g| g.abs() > 1e-3));
            for (i, g) in gradient.iter().enumerate() {
                let difference = (loss_at(i, H) - loss_at(i, -H)) / (2.0 * H);
                assert!((g - difference).abs() < 1e-3, "{smoothing:?} at {i}: {g} against {difference}");
            }
        }
    }

    #[test]
    fn an_update_lowers_the_loss() {
        let mut guidance = guidance(|s| s.thresholds = BTreeMap::new());
        let (shifted, trace) = guide(&mut guidance, &toy, latents(1), 0).unwrap();
        let (_, again) = guide(&mut guidance, &toy, shifted, 0).unwrap();
        assert!(again[0].first().loss < trace[0].first().loss);
        assert!(trace[0].updated && trace[0].refinement_steps() == 0);
    }

    #[test]
    fn a_batch_is_guided_as_its_images_alone() {
        let mut guidance = guidance(|s| {
            s.thresholds = BTreeMap::from([(0, 0.55)]);
            s.max_refinement_steps = 4;
        });
        let (together, traces) = guide(&mut guidance, &toy, latents(3), 0).unwrap();
        for (i, image) in latents(3).split(1, 0).into_iter().enumerate() {
            let (alone, trace) = guide(&mut guidance, &toy, image, 0).unwrap();
            for (a, b) in values(alone).iter().zip(values(together.clone().narrow(0, i, 1))) {
                assert!((a - b).abs() < 1e-6);
            }
            assert_eq!(trace[0].refinement_steps(), traces[i].refinement_steps());
        }
    }

    #[test]
    fn a_pass_of_a_refinement_has_only_the_images_that_still_need_it() {
        let batches = RefCell::new(Vec::new());
        let counting = |latents: Tensor<4>, sets: &[MapSet]| {
            batches.borrow_mut().push(latents.dims()[0]);
            toy(latents, sets)
        };
        // The loss of the second image, and a little less than that of the third: one rests, one is done soon, one goes on.
        let (_, traces) = guide(&mut guidance(|_| ()), &toy, latents(3), 5).unwrap();
        let mut losses: Vec<_> = traces.iter().map(|trace| trace.first().loss).collect();
        losses.sort_by(f32::total_cmp);
        let mut guidance = guidance(|s| {
            s.thresholds = BTreeMap::from([(0, 1.0 - f64::from(losses[1] * 0.99))]);
            s.max_refinement_steps = 6;
        });
        let (_, traces) = guide(&mut guidance, &counting, latents(3), 0).unwrap();
        let updates: Vec<_> = traces.iter().map(GuidanceTrace::refinement_steps).collect();
        let refined = updates.iter().filter(|&&updates| updates > 0).count();
        let most = *updates.iter().max().unwrap();
        assert!(refined == 2 && updates.iter().any(|&updates| updates > 0 && updates < most), "{updates:?}");
        let mut expected = vec![3];
        expected.extend((1..most).map(|update| updates.iter().filter(|&&updates| updates > update).count()));
        expected.push(refined);
        assert_eq!(*batches.borrow(), expected, "{updates:?}");
    }

    #[test]
    fn refinement_stops_one_update_late_and_runs_the_model_no_more_than_needed() {
        let batches = RefCell::new(Vec::new());
        let counting = |latents: Tensor<4>, sets: &[MapSet]| {
            batches.borrow_mut().push(latents.dims()[0]);
            toy(latents, sets)
        };
        // A threshold the first update reaches: the reference still makes one more.
        let mut first = guidance(|s| s.thresholds = BTreeMap::new());
        let (shifted, trace) = guide(&mut first, &counting, latents(1), 0).unwrap();
        let (_, next) = guide(&mut first, &counting, shifted, 0).unwrap();
        let between = f64::from(f32::midpoint(trace[0].first().loss, next[0].first().loss));
        batches.borrow_mut().clear();

        let mut refining = guidance(|s| s.thresholds = BTreeMap::from([(0, 1.0 - between)]));
        let (_, trace) = guide(&mut refining, &counting, latents(1), 0).unwrap();
        assert_eq!(trace[0].refinement_steps(), 2);
        // Before, before the second update, after: the reference runs the first of them twice.
        assert_eq!(*batches.borrow(), [1, 1, 1]);
    }

    #[test]
    fn refinement_is_bounded() {
        let mut guidance = guidance(|s| {
            s.thresholds = BTreeMap::from([(0, 1.0)]);
            s.max_refinement_steps = 3;
        });
        let (_, trace) = guide(&mut guidance, &toy, latents(1), 0).unwrap();
        assert_eq!(trace[0].refinement_steps(), 3);
    }

    #[test]
    fn later_steps_are_left_alone() {
        let mut guidance = guidance(|s| s.max_iter_to_alter = 2);
        let never = |_: Tensor<4>, _: &[MapSet]| -> Vec<Vec<Tensor<4>>> { panic!("the model must not run") };
        let (same, trace) = guide(&mut guidance, &never, latents(1), 5).unwrap();
        assert_eq!(values(same), values(latents(1)));
        assert!(trace.is_empty());
    }

    #[test]
    fn refinement_alone_happens_beyond_the_altered_steps() {
        let mut guidance = guidance(|s| {
            s.max_iter_to_alter = 0;
            s.thresholds = BTreeMap::from([(7, 1.0)]);
            s.max_refinement_steps = 2;
        });
        let (shifted, trace) = guide(&mut guidance, &toy, latents(1), 7).unwrap();
        assert_eq!((trace[0].refinement_steps(), trace[0].updated), (2, false));
        assert_ne!(values(shifted), values(latents(1)));
    }

    #[test]
    fn the_observer_hears_every_evaluation_and_can_end_the_run() {
        let mut guidance = guidance(|s| {
            s.thresholds = BTreeMap::from([(0, 1.0)]);
            s.max_refinement_steps = 5;
        });
        let mut seen = Vec::new();
        let result = guidance.guide(&toy, latents(2), at(0), &mut |evaluation| {
            seen.push((evaluation.iteration, evaluation.image));
            if evaluation.iteration == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(result.unwrap_err(), GuidanceError::Interrupted);
        assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]);
    }

    /// Only a refinement needs a loss while it runs; waiting for others would stall the device.
    #[test]
    fn an_update_waits_for_no_loss() {
        for (thresholds, heard_early) in [(BTreeMap::new(), 0), (BTreeMap::from([(3, 1.0)]), 3)] {
            let mut guidance = guidance(|s| {
                s.thresholds = thresholds;
                s.max_refinement_steps = 3;
            });
            let mut heard = 0;
            let guided = guidance.guide(&toy, latents(1), at(3), &mut |_| {
                heard += 1;
                ControlFlow::Continue(())
            });
            assert_eq!(heard, heard_early);
            let traces = guided.unwrap().read_traces(&mut |_| {
                heard += 1;
                ControlFlow::Continue(())
            });
            // The last evaluation is read with the traces.
            assert_eq!(heard, heard_early + 1);
            assert_eq!(traces.unwrap()[0].refinement_steps(), heard_early);
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_is_an_error() {
        let broken = |latents: Tensor<4>, sets: &[MapSet]| toy(latents * f32::NAN, sets);
        let error = guide(&mut guidance(|_| ()), &broken, latents(1), 3).unwrap_err();
        assert_eq!(error, GuidanceError::NotFinite { step: 3 });
    }
}
