use ae_clip::Activation;
use ae_config::{ConfigError, Fields};
use serde::Serialize;

/// The architecture of a vision transformer, CLIP's or BLIP's: the `vision_config` of a `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VisionConfig {
    /// The width of the hidden states.
    pub hidden_size: usize,
    /// The width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// The number of encoder layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// Rows and columns of the image, in pixels.
    pub image_size: usize,
    /// Rows and columns of a patch, in pixels.
    pub patch_size: usize,
    /// The activation of the feed-forward blocks.
    pub hidden_act: Activation,
    /// The number that layer normalisation adds to the variance.
    pub layer_norm_eps: f64,
}

impl VisionConfig {
    /// Reads the fields; where they are absent, image and patches are of the given sizes and the activation is the given one,
    /// and everything else is as in `CLIPVisionConfig()` and `BlipVisionConfig()`. The bounds lie far beyond every published
    /// model; a damaged file must not ask for all memory.
    pub(crate) fn read(
        fields: &Fields,
        [image_size, patch_size]: [usize; 2],
        hidden_act: Activation,
    ) -> Result<Self, ConfigError> {
        const MOST_PATCHES: usize = 1 << 14;
        let image_size = fields.size("image_size", image_size, 1 << 11)?;
        let config = Self {
            hidden_size: fields.size("hidden_size", 768, 1 << 14)?,
            intermediate_size: fields.size("intermediate_size", 3072, 1 << 16)?,
            num_hidden_layers: fields.size("num_hidden_layers", 12, 256)?,
            num_attention_heads: fields.size("num_attention_heads", 12, 256)?,
            image_size,
            patch_size: fields.size("patch_size", patch_size, image_size)?,
            hidden_act: fields.or("hidden_act", hidden_act)?,
            layer_norm_eps: fields.epsilon("layer_norm_eps", 1e-5)?,
        };
        check_heads(fields, config.hidden_size, config.num_attention_heads)?;
        check_size(
            fields,
            config.positions(),
            [config.hidden_size, config.intermediate_size, config.num_hidden_layers],
        )?;
        let few = config.positions() <= MOST_PATCHES;
        let expected = format_args!("a size of at most {MOST_PATCHES} patches in {image_size} pixels squared");
        fields.check("patch_size", few, expected)?;
        Ok(config)
    }

    /// The number of positions: one for the whole image, and one for each patch.
    pub fn positions(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
    }
}

/// A transformer with embeddings of so many tokens or patches must be of a size that a machine holds.
pub(crate) fn check_size(
    fields: &Fields,
    embeddings: usize,
    [hidden_size, intermediate_size, layers]: [usize; 3],
) -> Result<(), ConfigError> {
    let [width, inner] = [hidden_size, intermediate_size].map(|size| size as f64);
    // Attention to the picture too, as BLIP's text model has it.
    let parameters = embeddings as f64 * width + layers as f64 * (8.0 * width * width + 2.0 * width * inner);
    fields.check_network(parameters, layers)
}

/// Heads must share the hidden size.
pub(crate) fn check_heads(fields: &Fields, hidden_size: usize, heads: usize) -> Result<(), ConfigError> {
    let divides = hidden_size.is_multiple_of(heads);
    fields.check("num_attention_heads", divides, format_args!("a divisor of hidden_size, {hidden_size}"))
}
