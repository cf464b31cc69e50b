use burn::tensor::Tensor;

use crate::batch::{all, replace, select, shifted};
use crate::log::{Log, Unread};
use crate::state::Memory;
use crate::{AttentionModel, DenoisingStep, GuidanceError, MapSet, Objective, Observer, Pass, Refinement, State};

/// A batch on its way through one denoising step.
pub(crate) struct Shift<'a, M> {
    pub(crate) objective: &'a dyn Objective,
    pub(crate) model: &'a M,
    pub(crate) sets: &'a [MapSet],
    pub(crate) memories: &'a mut [Memory],
    pub(crate) step: DenoisingStep,
    pub(crate) step_size: f64,
    /// `[batch, channels, rows, cols]`, plain
    pub(crate) latents: Tensor<4>,
    /// Of the losses by the latents, of the same shape; none where it is zero or is not needed.
    pub(crate) gradient: Option<Tensor<4>>,
    pub(crate) log: Log,
}

/// The losses of some images, as functions of their latents.
struct Graph {
    images: Vec<usize>,
    /// The leaf, if the gradient is wanted.
    latents: Tensor<4>,
    loss: Tensor<1>,
    refinement_loss: Option<Tensor<1>>,
}

impl<M: AttentionModel> Shift<'_, M> {
    /// Iterative refinement of the images that need it, and the gradient for the update that follows if there is one.
    pub(crate) fn refine(
        &mut self,
        refinement: Refinement,
        updated: bool,
        observe: &mut Observer<'_>,
    ) -> Result<(), GuidanceError> {
        let images = all(self.latents.dims()[0]);
        let (graph, unread) = self.evaluate(&images, true)?;
        self.log.read(unread, observe)?;
        let refined: Vec<usize> = images.into_iter().filter(|&image| self.log.wants(refinement, image)).collect();
        if updated || !refined.is_empty() {
            self.gradient = self.gradient_of(graph, &refined);
        }
        if refined.is_empty() {
            return Ok(());
        }
        // The first update takes the evaluation that asked for it: same latents, same result.
        let mut gradient = self.gradient.as_ref().map(|gradient| select(gradient, &refined));
        let mut active = refined.clone();
        for update in 1.. {
            let moved = shifted(select(&self.latents, &active), gradient.as_ref(), self.step_size);
            self.latents = replace(self.latents.clone(), &active, moved);
            active.retain(|&image| self.log.wants(refinement, image));
            if active.is_empty() || refinement.limit().is_some_and(|limit| update >= limit) {
                break;
            }
            let (graph, unread) = self.evaluate(&active, true)?;
            self.log.read(unread, observe)?;
            gradient = self.gradient_of(graph, &active);
        }
        self.evaluate_without_reading(&refined, updated)
    }

    /// Evaluates some images for the update that follows, if there is one. Waits for nothing.
    pub(crate) fn evaluate_without_reading(&mut self, images: &[usize], updated: bool) -> Result<(), GuidanceError> {
        let (graph, unread) = self.evaluate(images, updated)?;
        self.log.leave_unread(unread);
        if updated {
            let gradient = graph.gradient(&[]).unwrap_or_else(|| select(&self.latents, images).zeros_like());
            let whole = self.gradient.take().unwrap_or_else(|| self.latents.zeros_like());
            self.gradient = Some(replace(whole, images, gradient));
        }
        Ok(())
    }

    /// The gradient of losses that were read: of the refined images by the loss in refinements.
    fn gradient_of(&self, graph: Graph, refined: &[usize]) -> Option<Tensor<4>> {
        let zero = graph.images.iter().all(|&image| self.objective.has_zero_gradient(self.log.last(image)));
        if zero { None } else { graph.gradient(refined) }
    }

    /// One pass of the model over some images. Waits for nothing.
    fn evaluate(&mut self, images: &[usize], gradient: bool) -> Result<(Graph, Unread), GuidanceError> {
        let latents = select(&self.latents, images);
        let latents = if gradient { latents.autodiff().require_grad() } else { latents };
        let maps = self.model.attention(latents.clone(), images, self.sets);
        let mut pass = Pass { step: self.step, maps, state: State::new(self.memories, images) };
        let score = self.objective.evaluate(&mut pass)?;
        let unread = Unread::new(images.to_vec(), &score);
        let graph =
            Graph { images: images.to_vec(), latents, loss: score.loss, refinement_loss: score.refinement_loss };
        Ok((graph, unread))
    }
}

impl Graph {
    /// The gradient by the latents; none where the losses do not depend on them.
    fn gradient(self, refined: &[usize]) -> Option<Tensor<4>> {
        let Self { images, latents, loss, refinement_loss } = self;
        let losses = match refinement_loss {
            None => loss,
            Some(in_refinement) => {
                let of = |image| if refined.contains(image) { &in_refinement } else { &loss };
                let losses = images.iter().enumerate().map(|(entry, image)| of(image).clone().narrow(0, entry, 1));
                Tensor::cat(losses.collect(), 0)
            }
        };
        if !losses.device().is_autodiff() {
            return None;
        }
        // The losses do not interact, so the gradient of their sum holds the gradient of each.
        latents.grad_remove(&mut losses.sum().backward())
    }
}
