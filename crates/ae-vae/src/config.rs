use ae_tensor::nn::ResnetBlock2DConfig;
use serde::Deserialize;

/// Epsilon of every group normalisation of the VAE, fixed in diffusers.
pub(crate) const NORM_EPS: f64 = 1e-6;

/// The part of a diffusers `vae/config.json` that decides the shape of the model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct VaeConfig {
    /// Colour channels of the picture that is encoded.
    pub in_channels: usize,
    /// Colour channels of the picture that is decoded.
    pub out_channels: usize,
    /// Channels of each level, from the finest to the coarsest.
    pub block_out_channels: Vec<usize>,
    /// Resnets of an encoder level; a decoder level has one more.
    pub layers_per_block: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Latents are multiplied by this after encoding, so that they have unit variance.
    pub scaling_factor: f64,
    /// Self-attention in the coarsest level.
    pub mid_block_add_attention: bool,
    /// A 1x1 convolution after the encoder.
    pub use_quant_conv: bool,
    /// A 1x1 convolution before the decoder.
    pub use_post_quant_conv: bool,
    #[serde(rename = "_class_name")]
    class_name: String,
    act_fn: String,
    down_block_types: Option<Vec<String>>,
    up_block_types: Option<Vec<String>>,
    shift_factor: Option<f64>,
}

impl Default for VaeConfig {
    /// Stable Diffusion 1 and 2.
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            latent_channels: 4,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            mid_block_add_attention: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
            class_name: "AutoencoderKL".to_owned(),
            act_fn: "silu".to_owned(),
            down_block_types: None,
            up_block_types: None,
            shift_factor: None,
        }
    }
}

/// A `vae/config.json` that cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or a field of the wrong type.
    #[error("the VAE's config.json cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// An option that Stable Diffusion 1 and 2 do not use.
    #[error("the VAE's config.json sets '{field}' to {found}; only {expected} is supported (Stable Diffusion 1 and 2)")]
    Unsupported {
        /// The option.
        field: &'static str,
        /// Its value.
        found: String,
        /// The value it must have.
        expected: &'static str,
    },
    /// A size that fits no model.
    #[error("the VAE's config.json is inconsistent: {0}")]
    Inconsistent(String),
}

impl VaeConfig {
    /// Reads a diffusers `config.json`; absent fields take the values of Stable Diffusion 1.
    ///
    /// # Errors
    ///
    /// When the text is no JSON object, describes another model, sets an option that changes the result
    /// and is not supported, or holds sizes that fit no model.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_json::from_str(text)?;
        config.check_options()?;
        config.check_sizes().map_err(ConfigError::Inconsistent)?;
        Ok(config)
    }

    /// Pixels of the picture per latent pixel, along one side.
    pub fn scale(&self) -> usize {
        1 << self.reductions()
    }

    /// How many times the sides are halved.
    pub(crate) fn reductions(&self) -> usize {
        self.block_out_channels.len() - 1
    }

    fn check_options(&self) -> Result<(), ConfigError> {
        let check = |field, found: &str, expected| {
            if found == expected {
                return Ok(());
            }
            Err(ConfigError::Unsupported { field, found: format!("'{found}'"), expected })
        };
        check("_class_name", &self.class_name, "AutoencoderKL")?;
        check("act_fn", &self.act_fn, "silu")?;
        for kind in self.down_block_types.iter().flatten() {
            check("down_block_types", kind, "DownEncoderBlock2D")?;
        }
        for kind in self.up_block_types.iter().flatten() {
            check("up_block_types", kind, "UpDecoderBlock2D")?;
        }
        match self.shift_factor {
            Some(found) if found != 0.0 => {
                Err(ConfigError::Unsupported { field: "shift_factor", found: found.to_string(), expected: "null" })
            }
            _ => Ok(()),
        }
    }

    fn check_sizes(&self) -> Result<(), String> {
        const LARGEST: usize = 1 << 16;
        let levels = self.block_out_channels.len();
        if levels == 0 || levels > 16 {
            return Err(format!("block_out_channels has {levels} levels, expected 1 to 16"));
        }
        for (field, types) in [("down_block_types", &self.down_block_types), ("up_block_types", &self.up_block_types)] {
            if let Some(types) = types.as_ref().filter(|types| types.len() != levels) {
                return Err(format!("{field} has {} entries, block_out_channels has {levels}", types.len()));
            }
        }
        let sizes = [
            // The pipeline turns three channels into a picture.
            ("in_channels", self.in_channels, 3, 3),
            ("out_channels", self.out_channels, 3, 3),
            ("latent_channels", self.latent_channels, 1, LARGEST),
            ("norm_num_groups", self.norm_num_groups, 1, LARGEST),
            ("layers_per_block", self.layers_per_block, 1, 64),
        ];
        let channels = self.block_out_channels.iter().map(|&channels| ("block_out_channels", channels, 1, LARGEST));
        for (field, size, smallest, largest) in sizes.into_iter().chain(channels) {
            if size < smallest || size > largest {
                return Err(format!("{field} is {size}, expected {smallest} to {largest}"));
            }
        }
        let groups = self.norm_num_groups;
        if let Some(channels) = self.block_out_channels.iter().find(|channels| **channels % groups != 0) {
            return Err(format!("block_out_channels {channels} is no multiple of norm_num_groups {groups}"));
        }
        if !(self.scaling_factor.is_finite() && self.scaling_factor > 0.0) {
            return Err(format!("scaling_factor is {}, expected a positive number", self.scaling_factor));
        }
        Ok(())
    }

    pub(crate) fn resnet(&self, in_channels: usize, out_channels: usize) -> ResnetBlock2DConfig {
        let groups = self.norm_num_groups;
        ResnetBlock2DConfig { in_channels, out_channels, temb_channels: None, groups, eps: NORM_EPS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_stable_diffusion() {
        let config = VaeConfig::from_json("{}").unwrap();
        assert_eq!((config.scale(), config.scaling_factor), (8, 0.18215));
    }

    #[test]
    fn what_changes_the_result_and_is_not_supported_is_refused_by_name() {
        for (json, named) in [
            (r#"{"_class_name": "AutoencoderTiny"}"#, "AutoencoderTiny"),
            (r#"{"act_fn": "relu"}"#, "act_fn"),
            (r#"{"shift_factor": 0.1159}"#, "shift_factor"),
            (r#"{"down_block_types": ["A"]}"#, "'A'"),
            (r#"{"up_block_types": ["UpDecoderBlock2D"]}"#, "up_block_types has 1"),
            (r#"{"block_out_channels": []}"#, "0 levels"),
            (r#"{"norm_num_groups": 7}"#, "norm_num_groups 7"),
            (r#"{"norm_num_groups": 0}"#, "norm_num_groups is 0"),
            (r#"{"out_channels": 1}"#, "out_channels is 1"),
            (r#"{"scaling_factor": 0.0}"#, "scaling_factor"),
            (r#"{"layers_per_block": 4294967296}"#, "layers_per_block"),
            ("3", "cannot be read"),
        ] {
            let error = VaeConfig::from_json(json).unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }
}
