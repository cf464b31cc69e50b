use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The part of a diffusers `unet/config.json` that decides the shape of the model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct UNetConfig {
    /// Side of the latents the model was trained on.
    #[serde(default = "defaults::sample_size")]
    pub sample_size: usize,
    /// Channels of the latents.
    #[serde(default = "defaults::latent_channels")]
    pub in_channels: usize,
    /// Channels of the prediction.
    #[serde(default = "defaults::latent_channels")]
    pub out_channels: usize,
    /// Channels of each level, from the finest to the coarsest.
    #[serde(default = "defaults::block_out_channels")]
    pub block_out_channels: Vec<usize>,
    /// `CrossAttnDownBlock2D` or `DownBlock2D` for each level.
    #[serde(default = "defaults::down_block_types")]
    pub down_block_types: Vec<String>,
    /// `UpBlock2D` or `CrossAttnUpBlock2D` for each level, from the coarsest to the finest.
    #[serde(default = "defaults::up_block_types")]
    pub up_block_types: Vec<String>,
    /// Resnets of a down block; an up block has one more.
    #[serde(default = "defaults::layers_per_block")]
    pub layers_per_block: usize,
    /// Number of attention heads: one for all levels (SD 1) or one per level (SD 2). The name is a slip
    /// of diffusers that the checkpoints froze.
    #[serde(default = "defaults::attention_head_dim")]
    pub attention_head_dim: PerLevel,
    /// Width of the text embeddings.
    #[serde(default = "defaults::cross_attention_dim")]
    pub cross_attention_dim: usize,
    /// Transformer blocks of each transformer.
    #[serde(default = "defaults::one")]
    pub transformer_layers_per_block: usize,
    /// Groups of every group normalisation.
    #[serde(default = "defaults::norm_num_groups")]
    pub norm_num_groups: usize,
    /// Epsilon of the resnets' normalisations.
    #[serde(default = "defaults::norm_eps")]
    pub norm_eps: f64,
    /// Linear projections around the transformers (SD 2) instead of 1x1 convolutions (SD 1).
    #[serde(default)]
    pub use_linear_projection: bool,
    /// Cosines before sines in the time embedding.
    #[serde(default = "defaults::yes")]
    pub flip_sin_to_cos: bool,
    /// Shift of the time embedding's frequencies.
    #[serde(default)]
    pub freq_shift: f64,
}

/// A number for every level, written once or level by level.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum PerLevel {
    /// The same at every level.
    Same(usize),
    /// One per level, from the finest to the coarsest.
    Each(Vec<usize>),
}

impl PerLevel {
    pub(crate) fn at(&self, level: usize) -> usize {
        match self {
            Self::Same(value) => *value,
            Self::Each(values) => values[level],
        }
    }
}

/// A `unet/config.json` that cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or a field of the wrong type.
    #[error("the U-Net's config.json cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Another kind of model.
    #[error("the U-Net's config.json describes a '{found}', expected a 'UNet2DConditionModel'")]
    Class {
        /// Its `_class_name`.
        found: String,
    },
    /// An option that Stable Diffusion 1 and 2 do not use.
    #[error(
        "the U-Net's config.json sets '{field}' to {found}; only {expected} is supported (Stable Diffusion 1 and 2)"
    )]
    Unsupported {
        /// The option.
        field: String,
        /// Its value.
        found: String,
        /// The value it must have.
        expected: String,
    },
    /// Values that fit no model.
    #[error("the U-Net's config.json is inconsistent: {0}")]
    Inconsistent(String),
}

/// Options that change the model and have one value in Stable Diffusion 1 and 2.
fn fixed_options() -> [(&'static str, Value); 27] {
    [
        ("act_fn", json!("silu")),
        ("addition_embed_type", Value::Null),
        ("attention_type", json!("default")),
        ("center_input_sample", json!(false)),
        ("class_embed_type", Value::Null),
        ("class_embeddings_concat", json!(false)),
        ("conv_in_kernel", json!(3)),
        ("conv_out_kernel", json!(3)),
        ("cross_attention_norm", Value::Null),
        ("downsample_padding", json!(1)),
        ("dual_cross_attention", json!(false)),
        ("encoder_hid_dim", Value::Null),
        ("encoder_hid_dim_type", Value::Null),
        ("mid_block_only_cross_attention", Value::Null),
        ("mid_block_scale_factor", json!(1)),
        ("mid_block_type", json!("UNetMidBlock2DCrossAttn")),
        ("num_attention_heads", Value::Null),
        ("num_class_embeds", Value::Null),
        ("only_cross_attention", json!(false)),
        ("resnet_out_scale_factor", json!(1.0)),
        ("resnet_skip_time_act", json!(false)),
        ("resnet_time_scale_shift", json!("default")),
        ("time_cond_proj_dim", Value::Null),
        ("time_embedding_act_fn", Value::Null),
        ("time_embedding_dim", Value::Null),
        ("time_embedding_type", json!("positional")),
        ("timestep_post_act", Value::Null),
    ]
}

impl UNetConfig {
    /// Reads a diffusers `config.json`; absent fields take diffusers' defaults.
    ///
    /// # Errors
    ///
    /// When the text is no JSON object, describes another model, sets an option that changes the result
    /// and is not supported, or holds sizes that fit no model.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let fields: Map<String, Value> = serde_json::from_str(text)?;
        if let Some(Value::String(found)) = fields.get("_class_name").filter(|name| **name != "UNet2DConditionModel") {
            return Err(ConfigError::Class { found: found.clone() });
        }
        for (field, expected) in fixed_options() {
            if let Some(found) = fields.get(field).filter(|found| !same(found, &expected)) {
                let (found, expected) = (found.to_string(), expected.to_string());
                return Err(ConfigError::Unsupported { field: field.to_owned(), found, expected });
            }
        }
        let config: Self = serde_json::from_value(Value::Object(fields))?;
        config.check().map_err(ConfigError::Inconsistent)?;
        Ok(config)
    }

    /// How many times the latents' sides are halved on the way down.
    pub fn reductions(&self) -> usize {
        self.block_out_channels.len() - 1
    }

    fn check(&self) -> Result<(), String> {
        /// Far above any model, far below what could exhaust memory before a weight is read.
        const LARGEST: usize = 1 << 16;
        let levels = self.block_out_channels.len();
        if levels == 0 || levels > 16 {
            return Err(format!("block_out_channels has {levels} levels, expected 1 to 16"));
        }
        let counts = [("down_block_types", self.down_block_types.len()), ("up_block_types", self.up_block_types.len())];
        let heads = match &self.attention_head_dim {
            PerLevel::Same(_) => levels,
            PerLevel::Each(values) => values.len(),
        };
        for (field, count) in counts.into_iter().chain([("attention_head_dim", heads)]) {
            if count != levels {
                return Err(format!("{field} has {count} entries, block_out_channels has {levels}"));
            }
        }
        let sizes = [
            ("in_channels", self.in_channels, LARGEST),
            ("out_channels", self.out_channels, LARGEST),
            ("cross_attention_dim", self.cross_attention_dim, LARGEST),
            ("norm_num_groups", self.norm_num_groups, LARGEST),
            ("sample_size", self.sample_size, LARGEST),
            ("layers_per_block", self.layers_per_block, 64),
            ("transformer_layers_per_block", self.transformer_layers_per_block, 64),
        ];
        let channels = self.block_out_channels.iter().map(|&channels| ("block_out_channels", channels, LARGEST));
        for (field, size, largest) in sizes.into_iter().chain(channels) {
            if size == 0 || size > largest {
                return Err(format!("{field} is {size}, expected 1 to {largest}"));
            }
        }
        for (level, channels) in self.block_out_channels.iter().enumerate() {
            let heads = self.attention_head_dim.at(level);
            for (field, divisor) in [("norm_num_groups", self.norm_num_groups), ("attention_head_dim", heads)] {
                if divisor == 0 || channels % divisor != 0 {
                    return Err(format!("block_out_channels {channels} is no multiple of {field} {divisor}"));
                }
            }
        }
        for (field, types) in [("down_block_types", &self.down_block_types), ("up_block_types", &self.up_block_types)] {
            let direction = if field.starts_with("down") { "Down" } else { "Up" };
            let (plain, attending) = (format!("{direction}Block2D"), format!("CrossAttn{direction}Block2D"));
            if let Some(other) = types.iter().find(|kind| **kind != plain && **kind != attending) {
                return Err(format!("{field} holds '{other}', expected {plain} or {attending}"));
            }
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite() && self.freq_shift.is_finite()) {
            return Err("norm_eps must be positive, freq_shift finite".to_owned());
        }
        Ok(())
    }
}

/// JSON equality in which 1 and 1.0 are the same.
fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && a.as_f64() == b.as_f64())
}

/// diffusers' defaults of `UNet2DConditionModel`.
mod defaults {
    use super::PerLevel;

    pub(super) fn sample_size() -> usize {
        64
    }
    pub(super) fn latent_channels() -> usize {
        4
    }
    pub(super) fn block_out_channels() -> Vec<usize> {
        vec![320, 640, 1280, 1280]
    }
    pub(super) fn down_block_types() -> Vec<String> {
        ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]
            .map(str::to_owned)
            .into()
    }
    pub(super) fn up_block_types() -> Vec<String> {
        ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"].map(str::to_owned).into()
    }
    pub(super) fn layers_per_block() -> usize {
        2
    }
    pub(super) fn attention_head_dim() -> PerLevel {
        PerLevel::Same(8)
    }
    pub(super) fn cross_attention_dim() -> usize {
        1280
    }
    pub(super) fn one() -> usize {
        1
    }
    pub(super) fn norm_num_groups() -> usize {
        32
    }
    pub(super) fn norm_eps() -> f64 {
        1e-5
    }
    pub(super) fn yes() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stable Diffusion 1.4's config.json: what it names are the defaults, but for the text width.
    #[test]
    fn stable_diffusion_1_is_the_default_with_768_wide_text() {
        let config =
            UNetConfig::from_json(r#"{"_class_name": "UNet2DConditionModel", "cross_attention_dim": 768}"#).unwrap();
        let up = config.up_shapes();
        let inputs: Vec<Vec<usize>> =
            up.iter().map(|shape| shape.resnets.iter().map(|resnet| resnet.in_channels).collect()).collect();
        // diffusers: [m.in_channels for b in unet.up_blocks for m in b.resnets]
        assert_eq!(inputs, [[2560, 2560, 2560], [2560, 2560, 1920], [1920, 1280, 960], [960, 640, 640]]);
        assert_eq!(config.reductions(), 3);
    }

    #[test]
    fn what_changes_the_result_and_is_not_supported_is_refused_by_name() {
        for (json, named) in [
            (r#"{"class_embed_type": "timestep"}"#, "class_embed_type"),
            (r#"{"addition_embed_type": "text_time"}"#, "addition_embed_type"),
            (r#"{"_class_name": "SD3Transformer2DModel"}"#, "SD3Transformer2DModel"),
            (r#"{"down_block_types": ["A", "B", "C", "D"]}"#, "'A'"),
            (r#"{"block_out_channels": []}"#, "block_out_channels"),
            (r#"{"block_out_channels": [320, 640]}"#, "down_block_types"),
            (r#"{"norm_num_groups": 7}"#, "norm_num_groups"),
            (r#"{"norm_num_groups": 0}"#, "norm_num_groups"),
            (r#"{"attention_head_dim": [8, 8, 8, 0]}"#, "attention_head_dim"),
            (r#"{"layers_per_block": 1000000000}"#, "layers_per_block"),
            (r#"{"in_channels": -4}"#, "-4"),
            (r#"{"in_channels": "four"}"#, "four"),
            ("[]", "cannot be read"),
            ("", "cannot be read"),
        ] {
            let error = UNetConfig::from_json(json).unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    #[test]
    fn a_whole_number_written_as_a_float_is_the_same_option() {
        assert!(UNetConfig::from_json(r#"{"mid_block_scale_factor": 1.0, "resnet_out_scale_factor": 1}"#).is_ok());
    }
}
