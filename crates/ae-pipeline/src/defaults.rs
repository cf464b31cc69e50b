use ae_config::{ConfigError, Fields};
use ae_settings::{Overrides, Settings};
use serde::Deserialize;

/// The settings that suit a model.
///
/// A model folder may hold them in a file `attend_and_excite.json`; what it does not name is the
/// paper's choice for Stable Diffusion 1. Keys: `name`, `num_inference_steps`, `guidance_scale`,
/// `attention_reduction`, `attention_scale`, `scale_factor`, `thresholds` (an object of steps, as numbers or shares, and what each subject
/// must reach there).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub struct ModelDefaults {
    /// Name and version of the model, for the record.
    pub name: Option<String>,
    /// Latent pixels per patch of the attention maps, along one side.
    pub attention_reduction: usize,
    /// The settings over which the user's are laid: steps, guidance scale, attention scale, scale factor and
    /// thresholds.
    pub settings: Overrides,
}

impl Default for ModelDefaults {
    fn default() -> Self {
        Self::try_from(Fields::new("", [])).expect("no field is wrong where there is none")
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
            "thresholds",
        ])?;
        let paper = Settings::default();
        let mut settings = Overrides::default();
        settings.steps = Some(fields.or("num_inference_steps", paper.steps)?);
        settings.guidance_scale = Some(fields.or("guidance_scale", paper.guidance_scale)?);
        let (own, paper) = (&mut settings.attend_and_excite, paper.attend_and_excite);
        own.attention_scale = Some(fields.or("attention_scale", paper.attention_scale)?);
        own.scale_factor = Some(fields.or("scale_factor", paper.scale_factor)?);
        own.thresholds = Some(fields.or("thresholds", paper.thresholds)?);
        let attention_reduction = fields.size("attention_reduction", 4, 1 << 16)?;
        Ok(Self { name: fields.or("name", None)?, attention_reduction, settings })
    }
}
