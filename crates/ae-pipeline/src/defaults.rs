use ae_config::{ConfigError, Fields};
use ae_settings::{Overrides, Settings};
use serde::Deserialize;

/// The settings that suit a model.
///
/// A model folder may hold them in a file `attend_and_excite.json`; what it does not name is the
/// paper's choice for Stable Diffusion 1. Keys: `name`, `num_inference_steps`, `guidance_scale`,
/// `attention_reduction`, `attention_scale`, `scale_factor`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
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

impl TryFrom<Fields> for ModelDefaults {
    type Error = ConfigError;

    /// The other numbers are checked with the settings they become.
    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        fields.only(&[
            "name",
            "num_inference_steps",
            "guidance_scale",
            "attention_reduction",
            "attention_scale",
            "scale_factor",
        ])?;
        let defaults = Self::default();
        Ok(Self {
            name: fields.or("name", None)?,
            num_inference_steps: fields.or("num_inference_steps", defaults.num_inference_steps)?,
            guidance_scale: fields.or("guidance_scale", defaults.guidance_scale)?,
            attention_reduction: fields.size("attention_reduction", defaults.attention_reduction, 1 << 16)?,
            attention_scale: fields.or("attention_scale", defaults.attention_scale)?,
            scale_factor: fields.or("scale_factor", defaults.scale_factor)?,
        })
    }
}

impl ModelDefaults {
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
