use std::sync::Arc;

use ae_tensor::read;
use burn::tensor::Tensor;

use crate::{Evaluation, GuidanceError, Losses, Objective, Observer, Refinement, Score, Term};

/// The evaluations of one denoising step, those that were read and one that may still be computed.
#[derive(Debug)]
pub(crate) struct Log {
    objective: Arc<dyn Objective>,
    step: usize,
    /// Of every image.
    evaluations: Vec<Vec<Losses>>,
    unread: Option<Unread>,
}

/// Losses of some images that the device may still be computing.
#[derive(Debug)]
pub(crate) struct Unread {
    images: Vec<usize>,
    names: Arc<[String]>,
    /// For each image the terms, the loss and, where there is one, the loss in refinements: one transfer for all.
    values: Tensor<2>,
    has_refinement_loss: bool,
}

impl Unread {
    pub(crate) fn new(images: Vec<usize>, score: &Score) -> Self {
        let column = |losses: &Tensor<1>| losses.clone().without_autodiff().reshape([images.len(), 1]);
        let terms = score.terms.clone().without_autodiff();
        let losses = std::iter::once(&score.loss).chain(&score.refinement_loss).map(column);
        let values = Tensor::cat(std::iter::once(terms).chain(losses).collect(), 1);
        let has_refinement_loss = score.refinement_loss.is_some();
        Self { images, names: Arc::clone(&score.names), values, has_refinement_loss }
    }
}

impl Log {
    pub(crate) fn new(objective: Arc<dyn Objective>, step: usize, images: usize) -> Self {
        Self { objective, step, evaluations: vec![Vec::new(); images], unread: None }
    }

    /// Waits for losses, the one time that an evaluation waits for the device, and tells of them.
    pub(crate) fn read(&mut self, unread: Unread, observe: &mut Observer<'_>) -> Result<(), GuidanceError> {
        let Unread { images, names, values, has_refinement_loss } = unread;
        let [_, width] = values.dims();
        let values = read(values)?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(GuidanceError::NotFinite { step: self.step });
        }
        for (&image, values) in images.iter().zip(values.chunks(width)) {
            let (terms, losses) = values.split_at(names.len());
            let terms = names.iter().zip(terms).map(|(name, &value)| Term { name: name.clone(), value });
            let refinement_loss = has_refinement_loss.then(|| losses[1]);
            let mut losses = Losses { refinement_loss, ..Losses::new(losses[0], terms.collect()) };
            losses.satisfied = self.objective.is_satisfied(self.step, &losses);
            let seen = &mut self.evaluations[image];
            let evaluation = Evaluation { step: self.step, iteration: seen.len(), image, losses: &losses };
            if observe(evaluation).is_break() {
                return Err(GuidanceError::Interrupted);
            }
            seen.push(losses);
        }
        Ok(())
    }

    /// Keeps the last evaluation of the step for [`finish`](Self::finish).
    pub(crate) fn leave_unread(&mut self, unread: Unread) {
        self.unread = Some(unread);
    }

    /// What was read last of an image.
    pub(crate) fn last(&self, image: usize) -> &Losses {
        self.evaluations[image].last().expect("its losses were read")
    }

    /// Whether a refinement updates an image with the losses that were read last.
    pub(crate) fn wants(&self, refinement: Refinement, image: usize) -> bool {
        refinement.wants(self.last(image).satisfied)
    }

    /// Reads what is unread; returns the evaluations of every image.
    pub(crate) fn finish(mut self, observe: &mut Observer<'_>) -> Result<Vec<Vec<Losses>>, GuidanceError> {
        if let Some(unread) = self.unread.take() {
            self.read(unread, observe)?;
        }
        Ok(self.evaluations)
    }
}
