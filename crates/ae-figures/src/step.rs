use image::RgbImage;
use serde::Serialize;
use serde_json::{Value, json};

use crate::TokenMaps;
use crate::data_uri::{base64, jpeg};

/// One denoising step of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its index.
    pub step: usize,
    /// Number of denoising steps of the run.
    pub num_steps: usize,
    /// The timestep.
    pub timestep: f64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// What guidance saw and did, if anything.
    pub guidance: Option<StepGuidance>,
    /// The attention, if it was kept.
    pub maps: Option<TokenMaps>,
    /// The latents after the step, decoded, if that was asked for.
    pub preview: Option<RgbImage>,
}

/// What guidance saw and did in one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepGuidance {
    /// The [terms](crate::Explanation::terms) of the loss: before anything was done, then after each refinement update.
    pub evaluations: Vec<Vec<f32>>,
    /// Whether the ordinary latent update followed.
    pub updated: bool,
}

impl StepGuidance {
    /// Number of refinement updates.
    pub fn refinement_steps(&self) -> usize {
        self.evaluations.len().saturating_sub(1)
    }
}

impl Step {
    /// The step as reports and events have it: losses as numbers, maps as bytes in base64 with the value that 255 stands for, the
    /// preview as a JPEG in a data URI.
    pub fn to_json(&self) -> Value {
        let maps = self.maps.as_ref().map(|maps| {
            json!({ "rows": maps.rows(), "cols": maps.cols(), "tokens": maps.tokens(), "peak": maps.peak(),
                "values": base64(&maps.quantised()) })
        });
        json!({
            "step": self.step,
            "num_steps": self.num_steps,
            "timestep": self.timestep,
            "seconds": self.seconds,
            "guidance": self.guidance,
            "maps": maps,
            "preview": self.preview.as_ref().map(jpeg),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::explanation;

    #[test]
    fn a_step_is_json() {
        let step = explanation(2).runs.remove(0).steps.swap_remove(10);
        let json = step.to_json();
        assert_eq!((&json["step"], &json["num_steps"]), (&10.into(), &50.into()));
        assert_eq!(json["guidance"]["evaluations"].as_array().unwrap().len(), 4);
        assert_eq!((&json["maps"]["rows"], &json["maps"]["tokens"][1]), (&8.into(), &2.into()));
        assert!(json["preview"].as_str().unwrap().starts_with("data:image/jpeg;base64,/9j/"));
        let bare = super::Step { guidance: None, maps: None, preview: None, ..step };
        assert!(bare.to_json()["guidance"].is_null() && bare.to_json()["maps"].is_null());
    }
}
