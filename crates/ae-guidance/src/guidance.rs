use std::ops::ControlFlow;

use ae_tensor::read;
use burn::tensor::Tensor;

use crate::{
    AttentionModel, Evaluation, GuidanceError, GuidanceSettings, GuidanceTrace, Losses, Objective, Subjects,
    aggregate_attention,
};

/// Who hears of the evaluations of the loss, and can end the run.
pub type Observer<'a> = dyn FnMut(Evaluation<'_>) -> ControlFlow<()> + 'a;

/// Generative semantic nursing for one prompt (paper, algorithm 1).
#[derive(Clone, Debug)]
pub struct Guidance {
    settings: GuidanceSettings,
    objective: Objective,
    resolution: [usize; 2],
}

/// Latents that guidance has shifted, and the losses it saw on the way. The device may still be computing both.
#[derive(Debug)]
pub struct Guided {
    latents: Tensor<4>,
    step: usize,
    updated: bool,
    images: Vec<Image>,
    unread: Option<Evaluated>,
}

impl Guidance {
    /// Guidance that reads attention maps of `resolution` (rows, cols).
    ///
    /// # Errors
    ///
    /// When a setting is outside its range or the maps are too small for the smoothing.
    pub fn new(settings: GuidanceSettings, subjects: Subjects, resolution: [usize; 2]) -> Result<Self, GuidanceError> {
        settings.check()?;
        let objective = Objective::new(&settings, subjects, resolution)?;
        Ok(Self { settings, objective, resolution })
    }

    /// The settings.
    pub fn settings(&self) -> &GuidanceSettings {
        &self.settings
    }

    /// Shifts the latents at denoising step `step` of `num_steps`: refinement where the settings ask
    /// for it, then the latent update. `observe` hears of every evaluation of the loss that a refinement
    /// waits for, and can end the run; it hears of the last one when the traces are
    /// [read](Guided::read_traces).
    ///
    /// The images of a batch do not interact: each gets the gradient of its own loss, and refinement
    /// goes on with those that still need it. At a step where nothing is to be done
    /// ([`GuidanceSettings::is_active`]) the model does not run and there is no trace.
    ///
    /// As in the references, refinement looks at the loss *before* its last update, and it happens at
    /// its steps even where `max_iter_to_alter` is smaller.
    ///
    /// # Shapes
    /// - latents: `[batch, channels, height, width]`, on a plain device
    ///
    /// # Errors
    ///
    /// [`GuidanceError::NotFinite`] when a loss is NaN or infinite, [`GuidanceError::Interrupted`] when
    /// `observe` breaks, [`GuidanceError::Device`] when the device fails.
    pub fn guide(
        &self,
        model: &impl AttentionModel,
        latents: Tensor<4>,
        step: usize,
        num_steps: usize,
        observe: &mut Observer<'_>,
    ) -> Result<Guided, GuidanceError> {
        if !self.settings.is_active(step) {
            return Ok(Guided { latents, step, updated: false, images: Vec::new(), unread: None });
        }
        let updated = step < self.settings.max_iter_to_alter;
        let mut pass = Pass {
            guidance: self,
            model,
            step,
            step_size: self.settings.step_size(step, num_steps),
            images: latents.split(1, 0).into_iter().map(Image::new).collect(),
        };
        let everyone = (0..pass.images.len()).collect();
        let first = pass.evaluate(everyone, true);
        let unread = match self.settings.thresholds.get(&step) {
            Some(threshold) => pass.refine(first, (1.0 - threshold) as f32, updated, observe)?,
            None => Some(first),
        };
        let Pass { images, step_size, .. } = pass;
        let latents = images.iter().map(|image| if updated { image.shifted(step_size) } else { image.latents.clone() });
        Ok(Guided { latents: Tensor::cat(latents.collect(), 0), step, updated, images, unread })
    }
}

impl Guided {
    /// The latents to go on with, `[batch, channels, height, width]`.
    pub fn latents(&self) -> Tensor<4> {
        self.latents.clone()
    }

    /// The gradient of every image's loss by its latents, as the latent update used it; none at a step without one.
    ///
    /// # Shapes
    /// - output: `[batch, channels, height, width]`
    pub fn gradient(&self) -> Option<Tensor<4>> {
        let gradients: Option<Vec<_>> = self.images.iter().map(|image| image.gradient.clone()).collect();
        gradients.filter(|gradients| !gradients.is_empty()).map(|gradients| Tensor::cat(gradients, 0))
    }

    /// Waits for the losses and returns what happened to each image; nothing at a step without guidance.
    ///
    /// # Errors
    ///
    /// As [`Guidance::guide`].
    pub fn read_traces(mut self, observe: &mut Observer<'_>) -> Result<Vec<GuidanceTrace>, GuidanceError> {
        if let Some(evaluated) = self.unread {
            evaluated.read(self.step, &mut self.images, observe)?;
        }
        Ok(self.images.into_iter().map(|image| GuidanceTrace::new(image.seen, self.updated)).collect())
    }
}

/// The images of a batch on their way through one denoising step.
struct Pass<'a, M> {
    guidance: &'a Guidance,
    model: &'a M,
    step: usize,
    step_size: f64,
    images: Vec<Image>,
}

/// One image of the batch.
#[derive(Debug)]
struct Image {
    /// `[1, channels, rows, cols]`, plain
    latents: Tensor<4>,
    /// Of the loss by the latents, where it was asked for.
    gradient: Option<Tensor<4>>,
    /// The losses of every evaluation that was read.
    seen: Vec<Losses>,
    /// Refinement updates made so far.
    updates: usize,
}

/// Losses that the device may still be computing.
#[derive(Debug)]
struct Evaluated {
    /// Indices of the images.
    chosen: Vec<usize>,
    /// `[chosen, subjects]`
    subject_losses: Tensor<2>,
}

impl<M: AttentionModel> Pass<'_, M> {
    /// Iterative latent refinement of the images whose loss is above `target`; returns the evaluation that is not read.
    fn refine(
        &mut self,
        first: Evaluated,
        target: f32,
        gradient_after: bool,
        observe: &mut Observer<'_>,
    ) -> Result<Option<Evaluated>, GuidanceError> {
        let most = self.guidance.settings.max_refinement_steps;
        if most == 0 {
            return Ok(Some(first));
        }
        first.read(self.step, &mut self.images, observe)?;
        let refined: Vec<usize> = (0..self.images.len()).filter(|&i| self.images[i].loss() > target).collect();
        if refined.is_empty() {
            return Ok(None);
        }
        let mut active = refined.clone();
        for iteration in 0..most {
            // The first evaluation is the one that found the loss too large: same latents, same result.
            if iteration > 0 {
                self.evaluate(active.clone(), true).read(self.step, &mut self.images, observe)?;
            }
            for &i in &active {
                self.images[i].latents = self.images[i].shifted(self.step_size);
                self.images[i].updates += 1;
            }
            active.retain(|&i| self.images[i].loss() > target);
            if active.is_empty() {
                break;
            }
        }
        Ok(Some(self.evaluate(refined, gradient_after)))
    }

    /// One pass of the model over the chosen images, with or without the gradient. Waits for nothing.
    fn evaluate(&mut self, chosen: Vec<usize>, gradient: bool) -> Evaluated {
        let Guidance { objective, resolution, .. } = self.guidance;
        let batch = Tensor::cat(chosen.iter().map(|&i| self.images[i].latents.clone()).collect(), 0);
        let batch = if gradient { batch.autodiff().require_grad() } else { batch };
        let maps = aggregate_attention(self.model.cross_attention(batch.clone()), *resolution);
        let score = objective.score(objective.subject_maps(maps));
        let mut gradients = Vec::new();
        if gradient {
            // The losses do not interact, so the gradient of their sum holds the gradient of each.
            let mut by_leaf = score.loss.sum().backward();
            let by_latents = batch.grad_remove(&mut by_leaf).expect("the loss depends on the latents");
            gradients = by_latents.split(1, 0);
        }
        let mut gradients = gradients.into_iter();
        for &index in &chosen {
            self.images[index].gradient = gradients.next();
        }
        Evaluated { chosen, subject_losses: score.subject_losses.without_autodiff() }
    }
}

impl Evaluated {
    /// Waits for the losses, the one time that an evaluation waits for the device.
    fn read(self, step: usize, images: &mut [Image], observe: &mut Observer<'_>) -> Result<(), GuidanceError> {
        let losses = read(self.subject_losses)?;
        if losses.iter().any(|loss| !loss.is_finite()) {
            return Err(GuidanceError::NotFinite { step });
        }
        for (&index, losses) in self.chosen.iter().zip(losses.chunks(losses.len() / self.chosen.len())) {
            let image = &mut images[index];
            let losses = Losses::new(losses.to_vec());
            let evaluation = Evaluation { step, iteration: image.updates, image: index, losses: &losses };
            if observe(evaluation).is_break() {
                return Err(GuidanceError::Interrupted);
            }
            image.seen.push(losses);
        }
        Ok(())
    }
}

impl Image {
    fn new(latents: Tensor<4>) -> Self {
        Self { latents, gradient: None, seen: Vec::new(), updates: 0 }
    }

    /// The loss that was read last.
    fn loss(&self) -> f32 {
        self.seen.last().map_or(0.0, |losses| losses.loss)
    }

    /// The latents one step down the gradient (paper, equation 2), which is zero where the loss is: the references
    /// look at the loss first and leave the latents alone, with the same result.
    fn shifted(&self, step_size: f64) -> Tensor<4> {
        match &self.gradient {
            Some(gradient) => self.latents.clone() - gradient.clone() * step_size,
            None => self.latents.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use burn::tensor::activation::softmax;
    use burn::tensor::{Device, TensorData};

    use super::*;

    const TOKENS: usize = 6;

    /// Two channels on 4x4 patches listen to six tokens through fixed keys, in two heads.
    fn toy(latents: Tensor<4>) -> Vec<Tensor<4>> {
        let batch = latents.dims()[0];
        let keys: [[f32; TOKENS]; 2] = [[0.3, 1.1, -0.4, 0.9, -1.2, 0.1], [-0.7, 0.2, 1.3, -0.5, 0.4, 0.8]];
        let keys = Tensor::<2>::from_data(TensorData::from(keys), &Device::flex()).reshape([1, 1, 2, TOKENS]);
        let patches = latents.reshape([batch, 1, 2, 16]).swap_dims(2, 3);
        let head = |factor: f64| softmax((patches.clone() * factor).matmul(keys.clone()), 3);
        vec![head(1.0), head(0.5)]
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
        Guidance::new(settings, subjects, [4, 4]).unwrap()
    }

    fn guide(
        guidance: &Guidance,
        model: &impl AttentionModel,
        latents: Tensor<4>,
        step: usize,
    ) -> Result<(Tensor<4>, Vec<GuidanceTrace>), GuidanceError> {
        let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
        let guided = guidance.guide(model, latents, step, 10, observe)?;
        Ok((guided.latents(), guided.read_traces(observe)?))
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec_as::<f32>().unwrap()
    }

    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        const H: f32 = 1e-2;
        for smoothing in [None, Some(crate::GaussianSmoothing::default())] {
            let guidance = guidance(|s| s.smoothing = smoothing);
            let evaluate = |latents: Tensor<4>, gradient| {
                let images = vec![Image::new(latents)];
                let mut pass = Pass { guidance: &guidance, model: &toy, step: 0, step_size: 1.0, images };
                let evaluated = pass.evaluate(vec![0], gradient);
                evaluated.read(0, &mut pass.images, &mut |_| ControlFlow::Continue(())).unwrap();
                pass.images.remove(0)
            };
            let gradient = values(evaluate(latents(1), true).gradient.unwrap());
            let base = values(latents(1));
            let loss_at = |i: usize, shift: f32| {
                let mut moved = base.clone();
                moved[i] += shift;
                let z = Tensor::from_data(TensorData::new(moved, [1, 2, 4, 4]), &Device::flex());
                evaluate(z, false).loss()
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
        let guidance = guidance(|s| s.thresholds = BTreeMap::new());
        let (shifted, trace) = guide(&guidance, &toy, latents(1), 0).unwrap();
        let (_, again) = guide(&guidance, &toy, shifted, 0).unwrap();
        assert!(again[0].before.loss < trace[0].before.loss);
        assert!(trace[0].updated && trace[0].after.is_none());
    }

    #[test]
    fn a_batch_is_guided_as_its_images_alone() {
        let guidance = guidance(|s| {
            s.thresholds = BTreeMap::from([(0, 0.55)]);
            s.max_refinement_steps = 4;
        });
        let (together, traces) = guide(&guidance, &toy, latents(3), 0).unwrap();
        for (i, image) in latents(3).split(1, 0).into_iter().enumerate() {
            let (alone, trace) = guide(&guidance, &toy, image, 0).unwrap();
            for (a, b) in values(alone).iter().zip(values(together.clone().narrow(0, i, 1))) {
                assert!((a - b).abs() < 1e-6);
            }
            assert_eq!(trace[0].refinement_steps(), traces[i].refinement_steps());
        }
    }

    #[test]
    fn a_pass_of_a_refinement_has_only_the_images_that_still_need_it() {
        let batches = RefCell::new(Vec::new());
        let counting = |latents: Tensor<4>| {
            batches.borrow_mut().push(latents.dims()[0]);
            toy(latents)
        };
        // The loss of the second image, and a little less than that of the third: one rests, one is done soon, one goes on.
        let (_, traces) = guide(&guidance(|_| ()), &toy, latents(3), 5).unwrap();
        let mut losses: Vec<_> = traces.iter().map(|trace| trace.before.loss).collect();
        losses.sort_by(f32::total_cmp);
        let guidance = guidance(|s| {
            s.thresholds = BTreeMap::from([(0, 1.0 - f64::from(losses[1] * 0.99))]);
            s.max_refinement_steps = 6;
        });
        let (_, traces) = guide(&guidance, &counting, latents(3), 0).unwrap();
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
        let counting = |latents: Tensor<4>| {
            batches.borrow_mut().push(latents.dims()[0]);
            toy(latents)
        };
        // A threshold the first update reaches: the reference still makes one more.
        let first = guidance(|s| s.thresholds = BTreeMap::new());
        let (shifted, trace) = guide(&first, &counting, latents(1), 0).unwrap();
        let (_, next) = guide(&first, &counting, shifted, 0).unwrap();
        let between = f64::from(f32::midpoint(trace[0].before.loss, next[0].before.loss));
        batches.borrow_mut().clear();

        let refining = guidance(|s| s.thresholds = BTreeMap::from([(0, 1.0 - between)]));
        let (_, trace) = guide(&refining, &counting, latents(1), 0).unwrap();
        assert_eq!(trace[0].refinement_steps(), 2);
        assert_eq!(trace[0].during.len(), 1);
        // Before, before the second update, after: the reference runs the first of them twice.
        assert_eq!(*batches.borrow(), [1, 1, 1]);
    }

    #[test]
    fn refinement_is_bounded() {
        let guidance = guidance(|s| {
            s.thresholds = BTreeMap::from([(0, 1.0)]);
            s.max_refinement_steps = 3;
        });
        let (_, trace) = guide(&guidance, &toy, latents(1), 0).unwrap();
        assert_eq!(trace[0].refinement_steps(), 3);
    }

    #[test]
    fn later_steps_are_left_alone() {
        let guidance = guidance(|s| s.max_iter_to_alter = 2);
        let never = |_: Tensor<4>| -> Vec<Tensor<4>> { panic!("the model must not run") };
        let (same, trace) = guide(&guidance, &never, latents(1), 5).unwrap();
        assert_eq!(values(same), values(latents(1)));
        assert!(trace.is_empty());
    }

    #[test]
    fn refinement_alone_happens_beyond_the_altered_steps() {
        let guidance = guidance(|s| {
            s.max_iter_to_alter = 0;
            s.thresholds = BTreeMap::from([(7, 1.0)]);
            s.max_refinement_steps = 2;
        });
        let (shifted, trace) = guide(&guidance, &toy, latents(1), 7).unwrap();
        assert_eq!((trace[0].refinement_steps(), trace[0].updated), (2, false));
        assert_ne!(values(shifted), values(latents(1)));
    }

    #[test]
    fn the_observer_hears_every_evaluation_and_can_end_the_run() {
        let guidance = guidance(|s| {
            s.thresholds = BTreeMap::from([(0, 1.0)]);
            s.max_refinement_steps = 5;
        });
        let mut seen = Vec::new();
        let result = guidance.guide(&toy, latents(2), 0, 10, &mut |evaluation| {
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
            let guidance = guidance(|s| {
                s.thresholds = thresholds;
                s.max_refinement_steps = 3;
            });
            let mut heard = 0;
            let guided = guidance.guide(&toy, latents(1), 3, 10, &mut |_| {
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
        let broken = |latents: Tensor<4>| toy(latents * f32::NAN);
        let error = guide(&guidance(|_| ()), &broken, latents(1), 3).unwrap_err();
        assert_eq!(error, GuidanceError::NotFinite { step: 3 });
    }
}
