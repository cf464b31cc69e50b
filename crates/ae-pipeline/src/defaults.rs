use ae_guidance::GuidanceSettings;
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
    /// See [`GuidanceSettings::attention_scale`].
    pub attention_scale: f64,
    /// See [`GuidanceSettings::scale_factor`].
    pub scale_factor: f64,
}

impl Default for ModelDefaults {
    fn default() -> Self {
        let GuidanceSettings { attention_scale, scale_factor, .. } = GuidanceSettings::default();
        Self {
            name: None,
            num_inference_steps: 50,
            guidance_scale: 7.5,
            attention_reduction: 4,
            attention_scale,
            scale_factor,
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

    /// The paper's guidance with the model's own scales.
    pub fn guidance(&self) -> GuidanceSettings {
        GuidanceSettings {
            attention_scale: self.attention_scale,
            scale_factor: self.scale_factor,
            ..GuidanceSettings::default()
        }
    }
}
