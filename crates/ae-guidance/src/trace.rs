use serde::Serialize;

/// The losses of one image at one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Losses {
    /// The loss of every subject, in the order of the subjects.
    pub subjects: Vec<f32>,
    /// The largest of them.
    pub loss: f32,
}

impl Losses {
    pub(crate) fn new(subjects: Vec<f32>) -> Self {
        let loss = subjects.iter().copied().fold(0.0, f32::max);
        Self { subjects, loss }
    }

    /// Index of the most neglected subject.
    pub fn most_neglected(&self) -> usize {
        self.subjects.iter().position(|loss| *loss >= self.loss).unwrap_or(0)
    }
}

/// One evaluation of the loss, as it is told to whoever watches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation<'a> {
    /// Index of the denoising step.
    pub step: usize,
    /// Refinement updates made in this step so far.
    pub iteration: usize,
    /// Index of an image within the batch.
    pub image: usize,
    /// Its losses.
    pub losses: &'a Losses,
}

/// What guidance did to one image at one denoising step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GuidanceTrace {
    /// At the latents the step began with.
    pub before: Losses,
    /// At the latents before each refinement update but the first (which is `before`), one entry less
    /// than [`refinement_steps`](Self::refinement_steps).
    pub during: Vec<Losses>,
    /// After the refinement, if there was one.
    pub after: Option<Losses>,
    /// Whether the ordinary latent update followed.
    pub updated: bool,
}

impl GuidanceTrace {
    /// The trace of an image from the losses of its evaluations, in their order.
    pub(crate) fn new(seen: Vec<Losses>, updated: bool) -> Self {
        let mut seen = seen.into_iter();
        let before = seen.next().expect("every image is evaluated once");
        let mut during: Vec<_> = seen.collect();
        let after = during.pop();
        Self { before, during, after, updated }
    }

    /// Number of refinement updates.
    pub fn refinement_steps(&self) -> usize {
        if self.after.is_some() { self.during.len() + 1 } else { 0 }
    }

    /// The losses the ordinary update saw.
    pub fn last(&self) -> &Losses {
        self.after.as_ref().unwrap_or(&self.before)
    }
}
