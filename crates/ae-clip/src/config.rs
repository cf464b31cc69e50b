use std::fmt;

use ae_checkpoint::{Checkpoint, Family};
use ae_config::{ConfigError, Fields};
use ae_tensor::nn;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The architecture of a [`ClipTextModel`](crate::ClipTextModel), as in the `config.json` of transformers'
/// `CLIPTextModel`.
///
/// Deserialising checks it, as [`from_json`](Self::from_json) does.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub struct ClipTextModelConfig {
    /// The number of token ids.
    pub vocab_size: usize,
    /// The width of the hidden states and of the text embeddings.
    pub hidden_size: usize,
    /// The width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// The number of encoder layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// The longest sequence of token ids.
    pub max_position_embeddings: usize,
    /// The activation of the feed-forward blocks.
    pub hidden_act: Activation,
    /// The number that layer normalisation adds to the variance.
    pub layer_norm_eps: f64,
}

/// The activation between the two feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`, in OpenAI's models (Stable Diffusion 1).
    QuickGelu,
    /// The exact GELU, in OpenCLIP's models (Stable Diffusion 2).
    Gelu,
}

impl Activation {
    /// Activates every element.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::QuickGelu => nn::quick_gelu(x),
            Self::Gelu => nn::gelu(x),
        }
    }
}

/// Fields that transformers, of today or of version 4, writes into the config of every text encoder and that change no embedding: of training,
/// of the pooled embedding, of writing text, of what Python returns.
const WITHOUT_EFFECT: [&str; 62] = [
    "add_cross_attention",
    "architectures",
    "attention_dropout",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "model_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "projection_dim",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
];

impl ClipTextModelConfig {
    /// The fields of a `config.json` that transformers' class does not know; of a whole CLIP those of its text encoder.
    pub fn ignored(fields: &Fields) -> Vec<String> {
        let own = of_text_encoder(fields).unwrap_or_default();
        own.unknown(&Self::stable_diffusion_1(), WITHOUT_EFFECT)
    }

    /// Reads a `config.json`. Missing fields have the values of transformers' `CLIPTextConfig`, unknown ones
    /// do not matter.
    ///
    /// # Errors
    ///
    /// JSON that does not parse, and values no text model has.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        Fields::read("the text encoder's config.json", json)?.try_into()
    }

    /// Reads the sizes off the parameters of a model. Shapes do not tell the activation, which is that of the family; nor
    /// the number of heads, one for 64 channels in every CLIP.
    ///
    /// # Errors
    ///
    /// When a parameter is missing or has a shape of no such model. The error names the parameter.
    pub fn from_weights(weights: &Checkpoint, family: Family) -> Result<Self, ConfigError> {
        const HEAD: usize = 64;
        let tokens = "text_model.embeddings.token_embedding.weight";
        let positions = "text_model.embeddings.position_embedding.weight";
        let hidden_size = weights.extent(tokens, 1)?;
        let hidden_act = match family {
            Family::StableDiffusion1 => Activation::QuickGelu,
            _ => Activation::Gelu,
        };
        let fields = [
            ("vocab_size", json!(weights.extent(tokens, 0)?)),
            ("hidden_size", json!(hidden_size)),
            ("intermediate_size", json!(weights.extent("text_model.encoder.layers.0.mlp.fc1.weight", 0)?)),
            ("num_hidden_layers", json!(weights.count_from(0, "text_model.encoder.layers."))),
            ("num_attention_heads", json!((hidden_size / HEAD).max(1))),
            ("max_position_embeddings", json!(weights.extent(positions, 0)?)),
            ("hidden_act", json!(hidden_act)),
        ];
        Fields::new(weights.name(), fields).try_into()
    }

    /// The text encoder of Stable Diffusion 1: OpenAI's CLIP ViT-L/14.
    pub fn stable_diffusion_1() -> Self {
        Self::known([
            ("hidden_size", json!(768)),
            ("intermediate_size", json!(3072)),
            ("num_attention_heads", json!(12)),
        ])
    }

    /// The text encoder of Stable Diffusion 2: OpenCLIP ViT-H/14 without its last layer.
    pub fn stable_diffusion_2() -> Self {
        Self::known([
            ("hidden_size", json!(1024)),
            ("intermediate_size", json!(4096)),
            ("num_attention_heads", json!(16)),
            ("num_hidden_layers", json!(23)),
            ("hidden_act", json!(Activation::Gelu)),
        ])
    }

    fn known<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Fields::new("a known model", fields).try_into().expect("a model that exists")
    }
}

impl TryFrom<Fields> for ClipTextModelConfig {
    type Error = ConfigError;

    /// The bounds lie far beyond every published CLIP; a damaged file must not ask for all memory.
    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        let fields = of_text_encoder(&fields)?;
        let num_attention_heads = fields.size("num_attention_heads", 8, 256)?;
        let expected = format!("1..=16384, a multiple of num_attention_heads, {num_attention_heads}");
        let divides = |size: &usize| (1..=1 << 14).contains(size) && size.is_multiple_of(num_attention_heads);
        let config = Self {
            vocab_size: fields.size("vocab_size", 49_408, 1 << 20)?,
            hidden_size: fields.checked("hidden_size", 512, expected, divides)?,
            intermediate_size: fields.size("intermediate_size", 2048, 1 << 16)?,
            num_hidden_layers: fields.size("num_hidden_layers", 12, 256)?,
            num_attention_heads,
            max_position_embeddings: fields.size("max_position_embeddings", 77, 1 << 12)?,
            hidden_act: fields.or("hidden_act", Activation::QuickGelu)?,
            layer_norm_eps: fields.epsilon("layer_norm_eps", 1e-5)?,
        };
        let [width, inner, layers] =
            [config.hidden_size, config.intermediate_size, config.num_hidden_layers].map(|size| size as f64);
        let parameters = config.vocab_size as f64 * width + layers * (4.0 * width * width + 2.0 * width * inner);
        fields.check_network(parameters, config.num_hidden_layers)?;
        Ok(config)
    }
}

/// The config of a whole CLIP has that of its text encoder inside; transformers takes it from there.
fn of_text_encoder(fields: &Fields) -> Result<Fields, ConfigError> {
    let is_whole = fields.get("model_type").is_some_and(|kind| kind == "clip");
    if is_whole { fields.part("text_config") } else { Ok(fields.clone()) }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QuickGelu => "quick_gelu",
            Self::Gelu => "gelu",
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;

    fn refusal(json: &str) -> String {
        ClipTextModelConfig::from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn reads_the_text_encoder_of_stable_diffusion_2() {
        let json = r#"{"architectures": ["CLIPTextModel"], "bos_token_id": 0, "hidden_act": "gelu", "hidden_size": 1024,
            "intermediate_size": 4096, "layer_norm_eps": 1e-05, "max_position_embeddings": 77,
            "model_type": "clip_text_model", "num_attention_heads": 16, "num_hidden_layers": 23, "vocab_size": 49408}"#;
        let expected = ClipTextModelConfig {
            vocab_size: 49_408,
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 23,
            num_attention_heads: 16,
            max_position_embeddings: 77,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-5,
        };
        assert_eq!(ClipTextModelConfig::from_json(json).unwrap(), expected);
        assert_eq!(ClipTextModelConfig::stable_diffusion_2(), expected);
    }

    /// `CLIPTextConfig.from_pretrained` of a folder with this config.
    #[test]
    fn the_config_of_a_whole_clip_has_that_of_its_text_encoder() {
        let json = r#"{"model_type": "clip", "projection_dim": 768, "vision_config": {"hidden_size": 1024},
            "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}}"#;
        assert_eq!(ClipTextModelConfig::from_json(json).unwrap(), ClipTextModelConfig::stable_diffusion_1());
        let json = json.replace("768, \"intermediate_size", "7, \"intermediate_size");
        assert!(refusal(&json).starts_with("text_config.hidden_size is 7"), "{}", refusal(&json));
    }

    /// The text encoder of CompVis/stable-diffusion-v1-4.
    #[test]
    fn deserialising_checks_as_reading_does() {
        let json = r#"{"hidden_act": "quick_gelu", "hidden_size": 768, "intermediate_size": 3072, "layer_norm_eps": 1e-05,
            "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 49408}"#;
        let config: ClipTextModelConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config, ClipTextModelConfig::stable_diffusion_1());
        assert_eq!(serde_json::from_value::<ClipTextModelConfig>(json!(config)).unwrap(), config);
        let error = serde_json::from_str::<ClipTextModelConfig>(r#"{"vocab_size": 0}"#).unwrap_err().to_string();
        assert!(error.starts_with("vocab_size is 0 in the config; expected 1..=1048576"), "{error}");
    }

    #[test]
    fn sizes_outside_every_clip_are_named() {
        let expected = "vocab_size is 0 in the text encoder's config.json; expected 1..=1048576";
        assert_eq!(refusal(r#"{"vocab_size": 0}"#), expected);
        for field in ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"] {
            for size in ["0", "4000000000"] {
                let error = refusal(&format!(r#"{{"{field}": {size}}}"#));
                assert!(error.starts_with(&format!("{field} is {size} ")), "{error}");
            }
        }
        assert!(refusal(r#"{"max_position_embeddings": 100000}"#).starts_with("max_position_embeddings is 100000"));
    }

    #[test]
    fn values_that_do_not_fit_together_are_named() {
        let heads = refusal(r#"{"hidden_size": 100, "num_attention_heads": 8}"#);
        assert!(heads.starts_with("hidden_size is 100 in") && heads.ends_with("num_attention_heads, 8"), "{heads}");
        let activation = refusal(r#"{"hidden_act": "swish"}"#);
        assert!(
            activation.starts_with("hidden_act is \"swish\" in") && activation.contains("`quick_gelu`"),
            "{activation}"
        );
        for epsilon in ["0.0", "-1e-5", "2.0"] {
            assert!(refusal(&format!(r#"{{"layer_norm_eps": {epsilon}}}"#)).starts_with("layer_norm_eps is"));
        }
    }

    #[test]
    fn malformed_json_says_where() {
        assert!(refusal("{").contains("malformed (EOF while parsing an object at line 1 column 1)"));
        assert!(refusal(r#"{"hidden_size": -4}"#).starts_with("hidden_size is -4 in the text encoder's config.json"));
    }

    /// ```python
    /// x = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0])
    /// transformers.activations.ACT2FN["quick_gelu"](x), ACT2FN["gelu"](x)
    /// ```
    // gelu(-3) cancels in float32: torch itself is 5e-7 off the exact -0.00404969.
    #[test]
    fn activations_equal_transformers() {
        let x = Tensor::<3>::from_data([[[-3.0, -1.0, 0.0, 0.5, 2.0]]], &Device::flex());
        let expected = [
            (Activation::QuickGelu, [-0.018_071_31, -0.154_204_23, 0.0, 0.350_388_44, 1.935_658_6]),
            (Activation::Gelu, [-0.004_050_225, -0.158_655_26, 0.0, 0.345_731_23, 1.954_499_7_f32]),
        ];
        for (activation, values) in expected {
            let values = TensorData::new(values.to_vec(), [1, 1, 5]);
            let actual = activation.apply(x.clone()).into_data();
            actual.assert_approx_eq(&values, Tolerance::<f32>::rel_abs(1e-6, 1e-6));
        }
    }
}
