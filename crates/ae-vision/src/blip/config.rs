mod error;
mod fields;

use ae_clip::Activation;

pub use error::BlipConfigError;
use fields::Fields;

/// The architecture of a [`Blip`](crate::Blip), as in the `config.json` of transformers'
/// `BlipForConditionalGeneration`.
#[derive(Clone, Debug, PartialEq)]
pub struct BlipConfig {
    /// The part that looks.
    pub vision: BlipVisionConfig,
    /// The part that writes.
    pub text: BlipTextConfig,
    /// Whether the decoder's output weights are its word embeddings, where a checkpoint has no own.
    pub tie_word_embeddings: bool,
}

/// The vision transformer of a [`BlipConfig`].
#[derive(Clone, Debug, PartialEq)]
pub struct BlipVisionConfig {
    /// The width of the hidden states and of the image embeddings.
    pub hidden_size: usize,
    /// The width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// The number of encoder layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// Rows and columns of the picture, in pixels.
    pub image_size: usize,
    /// Rows and columns of a patch, in pixels.
    pub patch_size: usize,
    /// The activation of the feed-forward blocks.
    pub hidden_act: Activation,
    /// What layer normalisation adds to the variance.
    pub layer_norm_eps: f64,
}

/// The text decoder of a [`BlipConfig`].
#[derive(Clone, Debug, PartialEq)]
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
    /// What layer normalisation adds to the variance.
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
    pub fn from_json(json: &str) -> Result<Self, BlipConfigError> {
        serde_json::from_str::<Fields>(json)?.into_config()
    }
}

impl BlipVisionConfig {
    /// The number of image embeddings of a picture: one for each patch, and one of the whole.
    pub fn num_positions(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
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
        assert_eq!((config.vision.num_positions(), config.vision.layer_norm_eps), (577, 1e-5));
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
        let expected = "config.json describes a 'blip-2' model; expected BLIP's captioner (model_type 'blip', \
                        BlipForConditionalGeneration)";
        assert_eq!(refusal(r#"{"model_type": "blip-2"}"#), expected);
        let error = refusal(r#"{"architectures": ["BlipForQuestionAnswering"]}"#);
        assert!(error.starts_with("config.json describes a 'BlipForQuestionAnswering' model"), "{error}");
        assert!(refusal(r#"{"text_config": {"is_decoder": false}}"#).contains("is_decoder is false"));
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
        assert!(error.starts_with("vision_config.patch_size is 16 ") && error.ends_with("expected 1..=8"), "{error}");
        let error = refusal(r#"{"vision_config": {"image_size": 2048, "patch_size": 1}}"#);
        assert!(error.starts_with("2048 pixels in patches of 1 "), "{error}");
    }

    #[test]
    fn values_that_do_not_fit_together_are_named() {
        let heads = refusal(r#"{"vision_config": {"hidden_size": 100}}"#);
        assert!(heads.starts_with("vision_config.hidden_size is 100") && heads.contains("12"), "{heads}");
        let activation = refusal(r#"{"text_config": {"hidden_act": "swish"}}"#);
        assert!(activation.starts_with("text_config.hidden_act is 'swish'"), "{activation}");
        let epsilon = refusal(r#"{"vision_config": {"layer_norm_eps": -1.0}}"#);
        assert!(epsilon.starts_with("vision_config.layer_norm_eps is -1"), "{epsilon}");
        let bos = refusal(r#"{"text_config": {"vocab_size": 500}}"#);
        assert!(bos.starts_with("text_config.bos_token_id is 30522") && bos.contains("500 tokens"), "{bos}");
        let sep = refusal(r#"{"text_config": {"vocab_size": 90, "bos_token_id": 3}}"#);
        assert!(sep.starts_with("text_config.sep_token_id is 102"), "{sep}");
    }

    #[test]
    fn malformed_json_says_where() {
        assert!(refusal("{").contains("malformed: EOF while parsing an object at line 1 column 1"));
        assert!(refusal(r#"{"text_config": {"hidden_size": -4}}"#).contains("invalid value: integer `-4`"));
        assert!(refusal(r#"{"vision_config": {"image_size": [384, 512]}}"#).contains("invalid type: sequence"));
    }
}
