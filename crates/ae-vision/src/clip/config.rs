use ae_clip::{Activation, ClipTextModelConfig, ConfigError};
use ae_tensor::nn::LAYER_NORM_EPSILON;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The architecture of a [`ClipModel`](crate::ClipModel), as in the `config.json` of transformers' `CLIPModel`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipConfig {
    /// That of the text model, `text_config`.
    pub text: ClipTextModelConfig,
    /// The id of the token that ends a text; 2 in old configs, where the highest id is meant.
    pub eos_token_id: u32,
    /// That of the vision model, `vision_config`.
    pub vision: ClipVisionConfig,
    /// The width of the features.
    pub projection_dim: usize,
}

/// The architecture of CLIP's vision model.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipVisionConfig {
    /// The width of the hidden states.
    pub hidden_size: usize,
    /// The width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// The number of encoder layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// The sides of the pictures in pixels.
    pub image_size: usize,
    /// The sides of a patch in pixels.
    pub patch_size: usize,
    /// The activation of the feed-forward blocks.
    pub hidden_act: Activation,
    /// What layer normalisation adds to the variance.
    pub layer_norm_eps: f64,
}

/// A `config.json` that describes no CLIP model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipConfigError {
    /// The text is no JSON, or a field has the wrong type.
    #[error("the config is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// Another kind of model.
    #[error("model_type is '{0}'; expected clip")]
    Kind(String),
    /// The text model's part.
    #[error("text_config: {0}")]
    Text(#[from] ConfigError),
    /// A size that no model has.
    #[error("{field} is {found}; expected 1..={max}")]
    Size {
        /// The field.
        field: &'static str,
        /// Its value.
        found: usize,
        /// The largest value accepted.
        max: usize,
    },
    /// Another epsilon than that of all CLIPs.
    #[error("layer_norm_eps is {0}; supported is {LAYER_NORM_EPSILON}")]
    Epsilon(f64),
    /// Something of the vision model that is not supported.
    #[error("{field} is {found} in vision_config; expected {expected}")]
    Vision {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
}

impl ClipConfig {
    /// Reads a `config.json`. Missing fields have the values of transformers' `CLIPConfig`, `CLIPTextConfig` and
    /// `CLIPVisionConfig`; a `text_config_dict` or `vision_config_dict` of old files takes the place of the config of
    /// its name, as there.
    ///
    /// # Errors
    ///
    /// JSON that does not parse, and values no CLIP has.
    pub fn from_json(json: &str) -> Result<Self, ClipConfigError> {
        let fields: Fields = serde_json::from_str(json)?;
        if let Some(kind) = fields.model_type.filter(|kind| kind != "clip") {
            return Err(ClipConfigError::Kind(kind));
        }
        let text = Value::Object(fields.text_config_dict.or(fields.text_config).unwrap_or_default());
        let vision = Value::Object(fields.vision_config_dict.or(fields.vision_config).unwrap_or_default());
        let End { eos_token_id } = End::deserialize(&text)?;
        let config = Self {
            text: ClipTextModelConfig::from_json(&text.to_string())?,
            eos_token_id,
            vision: ClipVisionConfig::from_fields(VisionFields::deserialize(vision)?)?,
            projection_dim: fields.projection_dim,
        };
        check_epsilon(config.text.layer_norm_eps)?;
        in_bounds("projection_dim", config.projection_dim, 1 << 14)?;
        Ok(config)
    }
}

impl ClipVisionConfig {
    fn from_fields(fields: VisionFields) -> Result<Self, ClipConfigError> {
        let vision = |field, found: String, expected: String| ClipConfigError::Vision { field, found, expected };
        let hidden_act = match fields.hidden_act.as_str() {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            _ => return Err(vision("hidden_act", fields.hidden_act, "quick_gelu or gelu".to_owned())),
        };
        // The bounds lie far beyond every published CLIP; a damaged file must not ask for all memory.
        in_bounds("hidden_size", fields.hidden_size, 1 << 14)?;
        in_bounds("intermediate_size", fields.intermediate_size, 1 << 16)?;
        in_bounds("num_hidden_layers", fields.num_hidden_layers, 256)?;
        in_bounds("num_attention_heads", fields.num_attention_heads, 256)?;
        in_bounds("image_size", fields.image_size, 2048)?;
        in_bounds("patch_size", fields.patch_size, fields.image_size)?;
        if !fields.hidden_size.is_multiple_of(fields.num_attention_heads) {
            let expected = format!("a divisor of hidden_size {}", fields.hidden_size);
            return Err(vision("num_attention_heads", fields.num_attention_heads.to_string(), expected));
        }
        if fields.num_channels != 3 {
            return Err(vision("num_channels", fields.num_channels.to_string(), "3".to_owned()));
        }
        check_epsilon(fields.layer_norm_eps)?;
        let config = Self {
            hidden_size: fields.hidden_size,
            intermediate_size: fields.intermediate_size,
            num_hidden_layers: fields.num_hidden_layers,
            num_attention_heads: fields.num_attention_heads,
            image_size: fields.image_size,
            patch_size: fields.patch_size,
            hidden_act,
            layer_norm_eps: fields.layer_norm_eps,
        };
        in_bounds("the number of patches", config.positions(), 1 << 14)?;
        Ok(config)
    }

    /// The places that the encoder sees: one for the whole picture, and the patches.
    pub fn positions(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
    }
}

/// The fast layer normalisation of the CPU knows one epsilon, and so do all CLIPs.
fn check_epsilon(found: f64) -> Result<(), ClipConfigError> {
    if found == LAYER_NORM_EPSILON { Ok(()) } else { Err(ClipConfigError::Epsilon(found)) }
}

fn in_bounds(field: &'static str, found: usize, max: usize) -> Result<(), ClipConfigError> {
    if (1..=max).contains(&found) { Ok(()) } else { Err(ClipConfigError::Size { field, found, max }) }
}

/// The fields as the file has them.
#[derive(Deserialize)]
struct Fields {
    model_type: Option<String>,
    text_config: Option<Map<String, Value>>,
    text_config_dict: Option<Map<String, Value>>,
    vision_config: Option<Map<String, Value>>,
    vision_config_dict: Option<Map<String, Value>>,
    #[serde(default = "projection_dim")]
    projection_dim: usize,
}

fn projection_dim() -> usize {
    512
}

/// What the text model itself does not need.
#[derive(Deserialize)]
#[serde(default)]
struct End {
    eos_token_id: u32,
}

impl Default for End {
    fn default() -> Self {
        Self { eos_token_id: 49_407 }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct VisionFields {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: usize,
    image_size: usize,
    patch_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
}

/// `CLIPVisionConfig()`.
impl Default for VisionFields {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: LAYER_NORM_EPSILON,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ClipConfig {
        ClipConfig::from_json(json).unwrap()
    }

    fn refusal(json: &str) -> String {
        ClipConfig::from_json(json).unwrap_err().to_string()
    }

    /// `CLIPConfig()`, which is ViT-B/32.
    #[test]
    fn missing_fields_are_those_of_transformers() {
        let config = read("{}");
        assert_eq!((config.projection_dim, config.eos_token_id), (512, 49_407));
        assert_eq!(
            (config.text.hidden_size, config.text.num_attention_heads, config.text.vocab_size),
            (512, 8, 49_408)
        );
        let vision = config.vision;
        assert_eq!((vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers), (768, 3072, 12));
        assert_eq!((vision.num_attention_heads, vision.image_size, vision.patch_size), (12, 224, 32));
        assert_eq!((vision.hidden_act, vision.layer_norm_eps), (Activation::QuickGelu, 1e-5));
    }

    /// What `openai/clip-vit-base-patch16` says of itself beside the defaults.
    #[test]
    fn the_model_of_the_paper() {
        let json = r#"{"model_type": "clip", "projection_dim": 512, "text_config_dict": null, "vision_config_dict": null,
            "text_config": {"eos_token_id": 2, "dropout": 0.0}, "vision_config": {"patch_size": 16}}"#;
        let config = read(json);
        assert_eq!((config.eos_token_id, config.vision.patch_size, config.vision.positions()), (2, 16, 197));
    }

    /// As `openai/clip-vit-large-patch14` is written: `CLIPConfig(**json)` takes the `_dict` with its own defaults.
    #[test]
    fn an_old_dict_takes_the_place_of_the_config() {
        let json = r#"{"projection_dim": 768,
            "text_config": {"hidden_size": 512, "eos_token_id": 2},
            "text_config_dict": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
            "vision_config_dict": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
                "num_hidden_layers": 24, "patch_size": 14}}"#;
        let config = read(json);
        assert_eq!((config.text.hidden_size, config.eos_token_id), (768, 49_407));
        assert_eq!((config.vision.num_hidden_layers, config.vision.positions()), (24, 257));
    }

    #[test]
    fn absurd_configs_are_refused() {
        assert!(refusal("").starts_with("the config is malformed: "));
        assert!(refusal(r#"{"vision_config": {"hidden_size": -1}}"#).starts_with("the config is malformed: "));
        assert!(refusal(r#"{"vision_config": 7}"#).starts_with("the config is malformed: "));
        assert!(refusal(r#"{"text_config": {"eos_token_id": [1]}}"#).starts_with("the config is malformed: "));
        assert_eq!(refusal(r#"{"model_type": "blip"}"#), "model_type is 'blip'; expected clip");
        assert!(refusal(r#"{"text_config": {"vocab_size": 0}}"#).starts_with("text_config: vocab_size is 0"));
        assert_eq!(refusal(r#"{"projection_dim": 0}"#), "projection_dim is 0; expected 1..=16384");
        let vision = |fields: &str| refusal(&format!(r#"{{"vision_config": {{{fields}}}}}"#));
        assert_eq!(vision(r#""num_hidden_layers": 100000"#), "num_hidden_layers is 100000; expected 1..=256");
        assert_eq!(vision(r#""patch_size": 0"#), "patch_size is 0; expected 1..=224");
        assert_eq!(
            vision(r#""image_size": 2048, "patch_size": 1"#),
            "the number of patches is 4194305; expected 1..=16384"
        );
        let heads = "num_attention_heads is 7 in vision_config; expected a divisor of hidden_size 768";
        assert_eq!(vision(r#""num_attention_heads": 7"#), heads);
        assert_eq!(vision(r#""num_channels": 4"#), "num_channels is 4 in vision_config; expected 3");
        assert!(vision(r#""hidden_act": "relu""#).ends_with("expected quick_gelu or gelu"));
        assert_eq!(vision(r#""layer_norm_eps": 1e-12"#), "layer_norm_eps is 0.000000000001; supported is 0.00001");
    }
}
