use ae_checkpoint::Checkpoint;
use ae_config::{ConfigError, Fields};
use ae_tensor::nn::ResnetBlock2DConfig;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Epsilon of every group normalisation of the VAE, fixed in diffusers.
pub(crate) const NORM_EPS: f64 = 1e-6;

/// Far above any model, far below what could exhaust memory before a weight is read.
const LARGEST: usize = 1 << 16;

/// Options that change the model and have one value in Stable Diffusion 1 and 2, as JSON.
const FIXED: &[(&str, &str)] = &[("_class_name", r#""AutoencoderKL""#), ("act_fn", r#""silu""#)];

/// Arguments of diffusers' class that are checked against the weights, that matter only with Stable Diffusion XL and later
/// ones, or not at all.
const WITHOUT_EFFECT: [&str; 7] = [
    "down_block_types",
    "force_upcast",
    "latents_mean",
    "latents_std",
    "sample_size",
    "shift_factor",
    "up_block_types",
];

/// The part of a diffusers `vae/config.json` that decides the shape of the model.
///
/// Deserialising checks it, as [`from_json`](Self::from_json) does.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub struct VaeConfig {
    /// Colour channels of the image that is encoded.
    pub in_channels: usize,
    /// Colour channels of the image that is decoded.
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
}

impl VaeConfig {
    /// The fields of a `config.json` that diffusers' class does not know. It ignores them with a warning.
    pub fn ignored(fields: &Fields) -> Vec<String> {
        let options = FIXED.iter().map(|(option, _)| *option);
        fields.unknown(&Self::stable_diffusion(), options.chain(WITHOUT_EFFECT))
    }

    /// Reads a diffusers `config.json`; absent fields take the values of Stable Diffusion 1.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object, describes another model, sets an option that changes the result
    /// and is not supported, or holds sizes that fit no model.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Fields::read("the VAE's config.json", text)?.try_into()
    }

    /// Reads the sizes off the parameters of a model, with the scaling factor of Stable Diffusion 1 and 2.
    ///
    /// # Errors
    ///
    /// When a parameter is missing or has a shape of no such model. The error names the parameter.
    pub fn from_weights(weights: &Checkpoint) -> Result<Self, ConfigError> {
        let fields = [
            ("in_channels", json!(weights.extent("encoder.conv_in.weight", 1)?)),
            ("out_channels", json!(weights.extent("decoder.conv_out.weight", 0)?)),
            ("latent_channels", json!(weights.extent("decoder.conv_in.weight", 1)?)),
            ("block_out_channels", json!(weights.block_channels("encoder.down_blocks.")?)),
            ("layers_per_block", json!(weights.count_from(0, "encoder.down_blocks.0.resnets."))),
            ("use_quant_conv", json!(weights.has_prefix("quant_conv."))),
            ("use_post_quant_conv", json!(weights.has_prefix("post_quant_conv."))),
        ];
        Fields::new(weights.name(), fields).try_into()
    }

    /// The autoencoder of Stable Diffusion 1 and 2.
    pub fn stable_diffusion() -> Self {
        Fields::default().try_into().unwrap_or_else(|_| unreachable!("a model that exists"))
    }

    /// Pixels of the image per latent pixel, along one side.
    pub fn scale(&self) -> usize {
        1 << self.reductions()
    }

    /// How many times the sides are halved.
    pub(crate) fn reductions(&self) -> usize {
        self.block_out_channels.len() - 1
    }

    pub(crate) fn resnet(&self, in_channels: usize, out_channels: usize) -> ResnetBlock2DConfig {
        let groups = self.norm_num_groups;
        ResnetBlock2DConfig { in_channels, out_channels, temb_channels: None, groups, eps: NORM_EPS }
    }
}

impl TryFrom<Fields> for VaeConfig {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        fields.fixed(FIXED)?;
        let no_shift = |shift: &Option<f64>| shift.is_none_or(|shift| shift == 0.0);
        fields.checked("shift_factor", None, "null", no_shift)?;
        let norm_num_groups = fields.size("norm_num_groups", 32, LARGEST)?;
        let block_out_channels: Vec<usize> = fields.checked(
            "block_out_channels",
            vec![128, 256, 512, 512],
            format_args!("1 to 16 levels of 1..={LARGEST} channels"),
            |levels: &Vec<_>| {
                (1..=16).contains(&levels.len()) && levels.iter().all(|channels| (1..=LARGEST).contains(channels))
            },
        )?;
        let divides = block_out_channels.iter().all(|channels| channels.is_multiple_of(norm_num_groups));
        fields.check(
            "norm_num_groups",
            divides,
            format_args!("a divisor of block_out_channels, {block_out_channels:?}"),
        )?;
        let levels = block_out_channels.len();
        for (field, kind) in [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")] {
            let expected = format!("{levels} times {kind}, as block_out_channels has levels");
            let all = |types: &Option<Vec<String>>| types.as_ref().is_none_or(|types| *types == vec![kind; levels]);
            fields.checked(field, None, expected, all)?;
        }
        // The pipeline makes an image of three channels.
        let colours = |field| fields.checked(field, 3, "3", |&channels| channels == 3);
        let config = Self {
            in_channels: colours("in_channels")?,
            out_channels: colours("out_channels")?,
            layers_per_block: fields.size("layers_per_block", 2, 64)?,
            latent_channels: fields.size("latent_channels", 4, LARGEST)?,
            norm_num_groups,
            scaling_factor: fields.checked("scaling_factor", 0.18215, "a positive number", |&factor: &f64| {
                factor.is_finite() && factor > 0.0
            })?,
            mid_block_add_attention: fields.or("mid_block_add_attention", true)?,
            use_quant_conv: fields.or("use_quant_conv", true)?,
            use_post_quant_conv: fields.or("use_post_quant_conv", true)?,
            block_out_channels,
        };
        // On the way down and, with one more in each level, on the way up; two in the middle of both ways.
        let layers = (2 * config.layers_per_block + 1) * levels + 4;
        // Two convolutions of 3x3 in each.
        let widest = config.block_out_channels.iter().map(|&channels| 18.0 * (channels as f64).powi(2));
        let of_a_layer = widest.fold(0.0, f64::max);
        fields.check_network(layers as f64 * of_a_layer, layers)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_diffusers_does_not_know_are_told() {
        let json = r#"{"_class_name": "AutoencoderKL", "sample_size": 512, "act_fn": "silu", "my_note": 3}"#;
        let fields = Fields::read("config.json", json).unwrap();
        assert_eq!(VaeConfig::ignored(&fields), ["my_note"]);
    }

    #[test]
    fn every_field_at_its_limit_builds_nothing() {
        let deep = format!(r#"{{"block_out_channels": [{}32], "layers_per_block": 64}}"#, "32,".repeat(15));
        let wide = r#"{"block_out_channels": [65536, 65536, 65536, 65536]}"#;
        for json in [deep.as_str(), wide] {
            let error = VaeConfig::from_json(json).unwrap_err().to_string();
            assert!(error.contains("is of a network with "), "{error}");
        }
        assert!(
            VaeConfig::from_json(r#"{"block_out_channels": [256, 512, 1024, 2048], "layers_per_block": 4}"#).is_ok()
        );
    }

    #[test]
    fn an_empty_object_is_stable_diffusion() {
        let config = VaeConfig::from_json("{}").unwrap();
        assert_eq!((config.scale(), config.scaling_factor), (8, 0.18215));
        assert_eq!(config, VaeConfig::stable_diffusion());
    }

    #[test]
    fn what_changes_the_result_and_is_not_supported_is_refused_by_name() {
        for (json, named) in [
            (r#"{"_class_name": "AutoencoderTiny"}"#, "AutoencoderTiny"),
            (r#"{"act_fn": "relu"}"#, "act_fn"),
            (r#"{"shift_factor": 0.1159}"#, "shift_factor"),
            (r#"{"down_block_types": ["A"]}"#, "\"A\""),
            (r#"{"up_block_types": ["UpDecoderBlock2D"]}"#, "up_block_types is [\"UpDecoderBlock2D\"]"),
            (r#"{"block_out_channels": []}"#, "block_out_channels is []"),
            (r#"{"norm_num_groups": 7}"#, "norm_num_groups is 7"),
            (r#"{"norm_num_groups": 0}"#, "norm_num_groups is 0"),
            (r#"{"out_channels": 1}"#, "out_channels is 1"),
            (r#"{"scaling_factor": 0.0}"#, "scaling_factor"),
            (r#"{"layers_per_block": 4294967296}"#, "layers_per_block"),
            ("3", "malformed"),
        ] {
            let error = VaeConfig::from_json(json).unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    #[test]
    fn deserialising_checks_as_reading_does() {
        let error = serde_json::from_str::<VaeConfig>(r#"{"block_out_channels": []}"#).unwrap_err().to_string();
        assert!(error.starts_with("block_out_channels is [] in the config; expected 1 to 16 levels"), "{error}");
        let config = VaeConfig::stable_diffusion();
        assert_eq!(serde_json::from_str::<VaeConfig>(&serde_json::to_string(&config).unwrap()).unwrap(), config);
    }
}
