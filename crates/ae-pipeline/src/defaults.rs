use ae_settings::{Overrides, Settings};
use serde::Deserialize;

/// The settings that suit a model.
///
/// A model folder may hold them in a file `attend_and_excite.json`; what it does not name is the
/// paper's choice for Stable Diffusion 1. Keys: `name`, `num_inference_steps`, `guidance_scale`,
/// `attention_reduction`, `attention_scale`, `scale_factor`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelDefaults {
    /// Name and version of the model, for the record.
    pub name: Option<String>,
    /// Number of denoising steps.
    pub num_inference_steps: usize,
    /// Scale of classifier-free guidance.
    pub guidance_scale: f64,
    /// Latent pixels per patch of the attention maps, along one side.
    pub attention_reduction: usize,
    /// See [`AttendAndExcite::attention_scale`](ae_settings::AttendAndExcite::attention_scale).
    pub attention_scale: f64,
    /// See [`AttendAndExcite::scale_factor`](ae_settings::AttendAndExcite::scale_factor).
    pub scale_factor: f64,
}

impl Default for ModelDefaults {
    fn default() -> Self {
        let paper = Settings::default();
        Self {
            name: None,
            num_inference_steps: paper.steps,
            guidance_scale: paper.guidance_scale,
            attention_reduction: 4,
            attention_scale: paper.attend_and_excite.attention_scale,
            scale_factor: paper.attend_and_excite.scale_factor,
        }
    }
}

/// An `attend_and_excite.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DefaultsError {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("attention_reduction is {0}: expected 1 or more")]
    Reduction(usize),
}

impl ModelDefaults {
    /// Reads an `attend_and_excite.json`. The other numbers are checked with the settings they become.
    pub(crate) fn from_json(text: &str) -> Result<Self, DefaultsError> {
        let defaults: Self = serde_json::from_str(text)?;
        if defaults.attention_reduction == 0 {
            return Err(DefaultsError::Reduction(defaults.attention_reduction));
        }
        Ok(defaults)
    }

    /// The settings over which the user's are laid.
    pub fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        overrides.steps = Some(self.num_inference_steps);
        overrides.guidance_scale = Some(self.guidance_scale);
        overrides.attend_and_excite.attention_scale = Some(self.attention_scale);
        overrides.attend_and_excite.scale_factor = Some(self.scale_factor);
        overrides
    }
}
