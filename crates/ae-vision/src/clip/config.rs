use ae_clip::{Activation, ClipTextModelConfig};
use ae_config::{ConfigError, Fields};
use serde::Deserialize;

use crate::VisionConfig;

/// The architecture of a [`ClipModel`](crate::ClipModel), as in the `config.json` of transformers' `CLIPModel`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub struct ClipConfig {
    /// That of the text model, `text_config`.
    pub text: ClipTextModelConfig,
    /// The id of the token that ends a text; 2 in old configs, where the highest id is meant.
    pub eos_token_id: u32,
    /// That of the vision model, `vision_config`.
    pub vision: VisionConfig,
    /// The width of the features.
    pub projection_dim: usize,
}

impl ClipConfig {
    /// Reads a `config.json`. Missing fields have the values of transformers' `CLIPConfig`, `CLIPTextConfig` and
    /// `CLIPVisionConfig`; a `text_config_dict` or `vision_config_dict` of old files takes the place of the config of
    /// its name, as there.
    ///
    /// # Errors
    ///
    /// JSON that does not parse, and values no CLIP has.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        Fields::read("CLIP's config.json", json)?.try_into()
    }
}

impl TryFrom<Fields> for ClipConfig {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        let is_clip = |kind: &Option<String>| kind.as_ref().is_none_or(|kind| kind == "clip");
        fields.checked("model_type", None, "clip", is_clip)?;
        let part = |old: &str, name: &str| {
            fields.part(if fields.get(old).is_some_and(|it| !it.is_null()) { old } else { name })
        };
        let (text, vision) = (part("text_config_dict", "text_config")?, part("vision_config_dict", "vision_config")?);
        vision.fixed(&[("num_channels", "3")])?;
        Ok(Self {
            eos_token_id: text.or("eos_token_id", 49_407)?,
            text: text.try_into()?,
            vision: VisionConfig::read(&vision, [224, 32], Activation::QuickGelu)?,
            projection_dim: fields.size("projection_dim", 512, 1 << 14)?,
        })
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
        assert!(refusal("").starts_with("CLIP's config.json is malformed (EOF"));
        let malformed = refusal(r#"{"vision_config": 7}"#);
        assert_eq!(malformed, "vision_config is 7 in CLIP's config.json; expected a map");
        assert!(refusal(r#"{"text_config": {"eos_token_id": [1]}}"#).starts_with("text_config.eos_token_id is [1] in"));
        assert_eq!(refusal(r#"{"model_type": "blip"}"#), "model_type is \"blip\" in CLIP's config.json; expected clip");
        assert!(refusal(r#"{"text_config": {"vocab_size": 0}}"#).starts_with("text_config.vocab_size is 0"));
        assert_eq!(
            refusal(r#"{"projection_dim": 0}"#),
            "projection_dim is 0 in CLIP's config.json; expected 1..=16384"
        );
        let vision = |fields: &str, expected: &str| {
            let error = refusal(&format!(r#"{{"vision_config": {{{fields}}}}}"#));
            assert_eq!(error, format!("vision_config.{expected}"), "{fields}");
        };
        let is = |field: &str, expected: &str| format!("{field} in CLIP's config.json; expected {expected}");
        vision(r#""hidden_size": -1"#, &is("hidden_size is -1", "1..=16384"));
        vision(r#""num_hidden_layers": 100000"#, &is("num_hidden_layers is 100000", "1..=256"));
        vision(r#""patch_size": 0"#, &is("patch_size is 0", "1..=224"));
        let patches = is("patch_size is 1", "a size of at most 16384 patches in 2048 pixels squared");
        vision(r#""image_size": 2048, "patch_size": 1"#, &patches);
        vision(r#""num_attention_heads": 7"#, &is("num_attention_heads is 7", "a divisor of hidden_size, 768"));
        vision(r#""num_channels": 4"#, &is("num_channels is 4", "3"));
        vision(r#""hidden_act": "relu""#, &is("hidden_act is \"relu\"", "`quick_gelu` or `gelu`"));
        vision(r#""layer_norm_eps": 0"#, &is("layer_norm_eps is 0", "a number between 0 and 1"));
    }

    #[test]
    fn deserialising_checks_as_reading_does_and_takes_any_epsilon() {
        let error = serde_json::from_str::<ClipConfig>(r#"{"projection_dim": 0}"#).unwrap_err().to_string();
        assert!(error.starts_with("projection_dim is 0 in the config"), "{error}");
        let epsilons = r#"{"text_config": {"layer_norm_eps": 1e-6}, "vision_config": {"layer_norm_eps": 1e-12}}"#;
        let config = read(epsilons);
        assert_eq!((config.text.layer_norm_eps, config.vision.layer_norm_eps), (1e-6, 1e-12));
    }
}
