//! What a picture cost.

use serde::{Deserialize, Serialize};

/// What one picture cost to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureCost {
    /// Seconds, of pictures that were drawn together its share. They depend on the machine, and on what else it did.
    pub seconds: f64,
    /// Denoising steps.
    pub steps: usize,
    /// Passes of guidance up to the last layer that it reads, most of them with their gradient.
    pub guidance_passes: usize,
    /// Updates of refinements, which are among the passes.
    pub refinement_updates: usize,
    /// Passes that the search for its noise took.
    pub noise_passes: usize,
}

/// What the pictures of an arm cost, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmCosts {
    /// The name of the arm.
    pub arm: String,
    /// Of every picture.
    pub pictures: Vec<PictureCost>,
}

/// The means of an arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct MeanCost {
    pub(crate) arm: String,
    pub(crate) pictures: usize,
    pub(crate) seconds: f64,
    pub(crate) steps: f64,
    pub(crate) guidance_passes: f64,
    pub(crate) refinement_updates: f64,
    pub(crate) noise_passes: f64,
}

impl ArmCosts {
    /// The means; none of no picture.
    pub(crate) fn mean(&self) -> Option<MeanCost> {
        let pictures = self.pictures.len();
        let mean = |of: &dyn Fn(&PictureCost) -> f64| self.pictures.iter().map(of).sum::<f64>() / pictures as f64;
        (pictures > 0).then(|| MeanCost {
            arm: self.arm.clone(),
            pictures,
            seconds: mean(&|cost| cost.seconds),
            steps: mean(&|cost| cost.steps as f64),
            guidance_passes: mean(&|cost| cost.guidance_passes as f64),
            refinement_updates: mean(&|cost| cost.refinement_updates as f64),
            noise_passes: mean(&|cost| cost.noise_passes as f64),
        })
    }
}
