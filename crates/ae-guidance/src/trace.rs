use serde::Serialize;

/// What one evaluation of the objective gave for one image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Losses {
    /// What the loss consists of; of Attend-and-Excite the loss of every subject, in the order of the subjects.
    pub terms: Vec<Term>,
    /// The loss.
    pub loss: f32,
    /// The loss in a refinement, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refinement_loss: Option<f32>,
    /// Whether the objective needs no refinement of the image.
    pub satisfied: bool,
}

/// A part of a loss, or what else the objective has to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Term {
    /// Its name; of Attend-and-Excite the subject's.
    pub name: String,
    /// Its value.
    pub value: f32,
}

impl Losses {
    /// A loss that consists of terms.
    pub fn new(loss: f32, terms: Vec<Term>) -> Self {
        Self { terms, loss, refinement_loss: None, satisfied: false }
    }

    /// The values of the terms, in their order.
    pub fn values(&self) -> impl Iterator<Item = f32> {
        self.terms.iter().map(|term| term.value)
    }

    /// The first of the largest terms: of Attend-and-Excite the most neglected subject.
    pub fn largest_term(&self) -> Option<&Term> {
        self.terms.iter().rev().max_by(|a, b| a.value.total_cmp(&b.value))
    }
}

/// One evaluation of the objective, as it is told to whoever watches.
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
#[non_exhaustive]
pub struct GuidanceTrace {
    /// One evaluation or more: at the latents that the step began with and after each refinement update.
    pub evaluations: Vec<Losses>,
    /// Whether the ordinary latent update followed.
    pub updated: bool,
}

impl GuidanceTrace {
    /// Number of refinement updates.
    pub fn refinement_steps(&self) -> usize {
        self.evaluations.len().saturating_sub(1)
    }

    /// The losses at the latents that the step began with.
    ///
    /// # Panics
    ///
    /// Without an evaluation.
    pub fn first(&self) -> &Losses {
        self.evaluations.first().expect("every image is evaluated once")
    }

    /// The losses that the ordinary update saw.
    ///
    /// # Panics
    ///
    /// Without an evaluation.
    pub fn last(&self) -> &Losses {
        self.evaluations.last().expect("every image is evaluated once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_term_is_the_first_of_equals() {
        let term = |name: &str, value| Term { name: name.to_owned(), value };
        let terms = vec![term("cat", -0.5), term("dog", 0.25), term("car", 0.25)];
        let losses = Losses::new(0.25, terms);
        assert_eq!(losses.largest_term().unwrap().name, "dog");
        assert!(losses.values().eq([-0.5, 0.25, 0.25]));
    }
}
