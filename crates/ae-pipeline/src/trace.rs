use ae_clip::Subject;
use ae_guidance::{GuidanceTrace, NoiseTrace};
use serde::Serialize;

/// The record of one picture's run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    /// The subjects; none for plain sampling.
    pub subjects: Vec<Subject>,
    /// What was found of the noise that the run starts from, where it is not that of the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_noise: Option<NoiseTrace>,
    /// Every denoising step.
    pub steps: Vec<StepTrace>,
}

/// The record of one denoising step of one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepTrace {
    /// The timestep.
    pub timestep: f64,
    /// What guidance did, if anything.
    pub guidance: Option<GuidanceTrace>,
    /// Wall time of the step in seconds, shared by the pictures drawn together.
    pub seconds: f64,
}

impl Trace {
    /// Number of refinement updates over the whole run.
    pub fn refinement_steps(&self) -> usize {
        self.steps.iter().filter_map(|step| step.guidance.as_ref()).map(GuidanceTrace::refinement_steps).sum()
    }
}
