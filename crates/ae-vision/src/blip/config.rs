use ae_clip::Activation;
use ae_config::{ConfigError, Fields};
use serde::Deserialize;

use crate::VisionConfig;
use crate::vision_config::{check_heads, check_size};

/// The architecture of a [`Blip`](crate::Blip), as in the `config.json` of transformers'
/// `BlipForConditionalGeneration`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub struct BlipConfig {
    /// The part that looks.
    pub vision: VisionConfig,
    /// The part that writes.
    pub text: BlipTextConfig,
    /// Whether the decoder's output weights are its word embeddings, where a checkpoint has no own.
    pub tie_word_embeddings: bool,
}

/// The text decoder of a [`BlipConfig`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BlipTextConfig {
    /// The number of token ids.
    pub vocab_size: usize,
    /// The width of the hidden states.
    pub hidden_size: usize,
    /// The width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// The number of decoder layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// The longest sequence of token ids.
    pub max_position_embeddings: usize,
    /// The activation of the feed-forward blocks and of the head.
    pub hidden_act: Activation,
    /// The number that layer normalisation adds to the variance.
    pub layer_norm_eps: f64,
    /// The token a caption begins with.
    pub bos_token_id: u32,
    /// The token a caption ends with.
    pub sep_token_id: u32,
}

impl BlipConfig {
    /// Reads a `config.json`. Missing fields have the values of transformers' `BlipVisionConfig` and
    /// `BlipTextConfig`, unknown ones do not matter.
    ///
    /// # Errors
    ///
    /// JSON that does not parse, another kind of model, and values no captioner has.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        Fields::read("BLIP's config.json", json)?.try_into()
    }
}

impl TryFrom<Fields> for BlipConfig {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        const CAPTIONER: &str = "BlipForConditionalGeneration";
        let is_blip = |kind: &Option<String>| kind.as_ref().is_none_or(|kind| kind == "blip");
        fields.checked("model_type", None, "blip", is_blip)?;
        let captions = |names: &Option<Vec<String>>| {
            names.as_ref().is_none_or(|names| names.is_empty() || names.iter().any(|name| name == CAPTIONER))
        };
        fields.checked("architectures", None, format_args!("a captioner, {CAPTIONER}"), captions)?;
        Ok(Self {
            vision: VisionConfig::read(&fields.part("vision_config")?, [384, 16], Activation::Gelu)?,
            text: BlipTextConfig::read(&fields.part("text_config")?)?,
            tie_word_embeddings: fields.or("tie_word_embeddings", None)?.unwrap_or(true),
        })
    }
}

impl BlipTextConfig {
    /// The bounds lie far beyond every published BLIP; a damaged file must not ask for all memory.
    fn read(fields: &Fields) -> Result<Self, ConfigError> {
        // A text model that is an encoder has no attention to the image.
        fields.fixed(&[("is_decoder", "true")])?;
        let vocab_size = fields.size("vocab_size", 30_524, 1 << 20)?;
        let token = |field, default| {
            let expected = format!("a token of the vocabulary of {vocab_size} tokens");
            fields.checked(field, default, expected, |&id: &u32| (id as usize) < vocab_size)
        };
        let config = Self {
            vocab_size,
            hidden_size: fields.size("hidden_size", 768, 1 << 14)?,
            intermediate_size: fields.size("intermediate_size", 3072, 1 << 16)?,
            num_hidden_layers: fields.size("num_hidden_layers", 12, 256)?,
            num_attention_heads: fields.size("num_attention_heads", 8, 256)?,
            max_position_embeddings: fields.size("max_position_embeddings", 512, 1 << 12)?,
            hidden_act: fields.or("hidden_act", Activation::Gelu)?,
            layer_norm_eps: fields.epsilon("layer_norm_eps", 1e-12)?,
            bos_token_id: token("bos_token_id", 30_522)?,
            sep_token_id: token("sep_token_id", 102)?,
        };
        check_heads(fields, config.hidden_size, config.num_attention_heads)?;
        check_size(
            fields,
            config.vocab_size,
            [config.hidden_size, config.intermediate_size, config.num_hidden_layers],
        )?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        BlipConfig::from_json(json).unwrap_err().to_string()
    }

    /// The fields of `Salesforce/blip-image-captioning-large` that are not transformers' defaults.
    #[test]
    fn reads_the_large_captioner() {
        let json = r#"{"architectures": ["BlipForConditionalGeneration"], "model_type": "blip", "torch_dtype": "float32",
            "text_config": {"num_attention_heads": 12, "encoder_hidden_size": 1024, "model_type": "blip_text_model"},
            "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                "num_attention_heads": 16, "model_type": "blip_vision_model"}}"#;
        let config = BlipConfig::from_json(json).unwrap();
        assert_eq!((config.vision.hidden_size, config.vision.num_hidden_layers), (1024, 24));
        assert_eq!((config.vision.positions(), config.vision.layer_norm_eps), (577, 1e-5));
        assert_eq!((config.text.hidden_size, config.text.num_attention_heads), (768, 12));
        assert_eq!((config.text.vocab_size, config.text.layer_norm_eps), (30_524, 1e-12));
        assert_eq!((config.text.bos_token_id, config.text.sep_token_id), (30_522, 102));
        assert!(config.tie_word_embeddings);
    }

    /// `BlipConfig()`, and a part that is null.
    #[test]
    fn an_empty_config_has_the_defaults_of_transformers() {
        let config = BlipConfig::from_json("{}").unwrap();
        assert_eq!((config.text.num_attention_heads, config.vision.num_attention_heads), (8, 12));
        assert_eq!((config.vision.image_size, config.vision.patch_size), (384, 16));
        assert_eq!(BlipConfig::from_json(r#"{"text_config": null, "vision_config": null}"#).unwrap(), config);
    }

    #[test]
    fn other_models_are_refused_by_name() {
        let expected = "model_type is \"blip-2\" in BLIP's config.json; expected blip";
        assert_eq!(refusal(r#"{"model_type": "blip-2"}"#), expected);
        let error = refusal(r#"{"architectures": ["BlipForQuestionAnswering"]}"#);
        assert!(error.starts_with("architectures is [\"BlipForQuestionAnswering\"]"), "{error}");
        assert!(error.ends_with("expected a captioner, BlipForConditionalGeneration"), "{error}");
        assert!(refusal(r#"{"text_config": {"is_decoder": false}}"#).starts_with("text_config.is_decoder is false"));
    }

    #[test]
    fn absurd_sizes_are_named_with_their_part() {
        let expected = "text_config.vocab_size is 0 in BLIP's config.json; expected 1..=1048576";
        assert_eq!(refusal(r#"{"text_config": {"vocab_size": 0}}"#), expected);
        for (part, fields) in [
            ("text_config", ["hidden_size", "intermediate_size", "num_hidden_layers", "max_position_embeddings"]),
            ("vision_config", ["hidden_size", "num_attention_heads", "image_size", "patch_size"]),
        ] {
            for field in fields {
                for size in ["0", "4000000000"] {
                    let error = refusal(&format!(r#"{{"{part}": {{"{field}": {size}}}}}"#));
                    assert!(error.starts_with(&format!("{part}.{field} is {size} ")), "{error}");
                }
            }
        }
        let error = refusal(r#"{"vision_config": {"image_size": 8}}"#);
        assert!(
            error.starts_with("vision_config.patch_size is absent ") && error.ends_with("expected 1..=8"),
            "{error}"
        );
        let error = refusal(r#"{"vision_config": {"image_size": 2048, "patch_size": 1}}"#);
        assert!(
            error.starts_with("vision_config.patch_size is 1 ") && error.contains("at most 16384 patches"),
            "{error}"
        );
    }

    #[test]
    fn values_that_do_not_fit_together_are_named() {
        let heads = refusal(r#"{"vision_config": {"hidden_size": 100}}"#);
        assert!(
            heads.starts_with("vision_config.num_attention_heads is absent") && heads.ends_with("hidden_size, 100"),
            "{heads}"
        );
        let activation = refusal(r#"{"text_config": {"hidden_act": "swish"}}"#);
        assert!(activation.starts_with("text_config.hidden_act is \"swish\""), "{activation}");
        let epsilon = refusal(r#"{"vision_config": {"layer_norm_eps": -1.0}}"#);
        assert!(epsilon.starts_with("vision_config.layer_norm_eps is -1"), "{epsilon}");
        let bos = refusal(r#"{"text_config": {"vocab_size": 500}}"#);
        assert!(bos.starts_with("text_config.bos_token_id is absent") && bos.contains("500 tokens"), "{bos}");
        let sep = refusal(r#"{"text_config": {"vocab_size": 90, "bos_token_id": 3}}"#);
        assert!(sep.starts_with("text_config.sep_token_id is absent") && sep.contains("90 tokens"), "{sep}");
    }

    #[test]
    fn malformed_json_says_where() {
        assert!(refusal("{").contains("malformed (EOF while parsing an object at line 1 column 1)"));
        assert!(refusal(r#"{"text_config": {"hidden_size": -4}}"#).starts_with("text_config.hidden_size is -4 in"));
        assert!(
            refusal(r#"{"vision_config": {"image_size": [384, 512]}}"#)
                .starts_with("vision_config.image_size is [384,512]")
        );
    }
}
